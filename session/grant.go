package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// GrantStore keeps grants that wait to be spent.
type GrantStore interface {
	// PutGrant keeps a new grant, and forgets those beyond g.Keep, up to a few
	// hundred at once.
	PutGrant(ctx context.Context, g *Grant) error

	// FindGrant returns the grant of that hash, or ErrNotFound; its Body is left
	// out where the identity is of the version that the caller knows.
	FindGrant(ctx context.Context, hash Hash, known Version) (*StoredGrant, error)
}

// oneTimeLifetime is how long a one-time login password waits for its docker
// login.
const oneTimeLifetime = 10 * time.Minute

// maxGrants is how many grants of a kind are kept of one person, spent ones too.
const maxGrants = 100

// SpentError says that a grant was spent before. It is an ErrRefused.
type SpentError struct{ At time.Time }

func (e *SpentError) Error() string {
	return fmt.Sprintf("%v: it was used at %s, and is good for one login", ErrRefused, e.At.UTC().Format(time.RFC3339))
}

func (e *SpentError) Unwrap() error { return ErrRefused }

// errNotDerivable refuses to make anything of a session that is no browser's, or was not
// redeemed.
var errNotDerivable = errors.New("only a browser's session that was redeemed yields another token")

// mayDerive reports whether other tokens can be made of a session.
func (s *Session) mayDerive() bool { return s.Kind == KindBrowser && s.row.SignIn.ID != 0 }

// IssueOneTimePassword makes a one-time login password for service, of a browser's session: it
// is good for one login within ten minutes.
func (s *Sessions) IssueOneTimePassword(ctx context.Context, from *Session, service string) (secret.Text, error) {
	if !from.mayDerive() {
		return secret.Text{}, errNotDerivable
	}
	token, hash := newToken(KindOneTime)
	now := s.clock.now()
	err := s.store.PutGrant(ctx, &Grant{
		Hash: hash, Kind: KindOneTime, SignIn: from.row.SignIn.ID, Service: service, Stamp: from.row.Stamp, Login: from.row.Login,
		Created: now, Expires: now.Add(oneTimeLifetime), Keep: maxGrants,
	})
	if err != nil {
		return secret.Text{}, unavailable(fmt.Errorf("keep a one-time password: %w", err))
	}
	return token, nil
}

// PAT holds the properties of a new personal access token.
type PAT struct {
	Label    string        // what the person calls it
	Limits   string        // what the policy grants at most; empty without limits
	Lifetime time.Duration // at most Config.PATLifetime, which 0 stands for
}

// IssuePAT makes a personal access token of a browser's session. The error wraps
// ErrTooMany where the person has as many as may be.
func (s *Sessions) IssuePAT(ctx context.Context, from *Session, pat PAT, client Client) (*Session, error) {
	if !from.mayDerive() {
		return nil, errNotDerivable
	}
	return s.derive(ctx, &from.row, from.Identity, draftOptions{kind: KindPAT, label: pat.Label, limits: pat.Limits, lifetime: pat.Lifetime, client: client})
}

// RedeemOneTimePassword makes a session for service of a one-time login password. The error is as
// that of [Sessions.Redeem]; a [*SpentError] where it was used before.
func (s *Sessions) RedeemOneTimePassword(ctx context.Context, token secret.Text, service string, client Client) (*Session, error) {
	kind, hash, ok := parseToken(token)
	switch {
	case !ok:
		return nil, refused("it is mangled")
	case kind != KindOneTime:
		return nil, refused("it is no one-time password")
	}
	found, err := s.findRedeemable(ctx, func(ctx context.Context) (*Row, cachedIdentity, error) {
		known := s.identities.get(hash)
		g, err := s.store.FindGrant(ctx, hash, known.version)
		switch {
		case err != nil:
			return nil, cachedIdentity{}, err
		case g.Kind != kind:
			return nil, cachedIdentity{}, refused("its kind is another")
		case g.Service != service:
			return nil, cachedIdentity{}, refused(fmt.Sprintf("it was made for the service %q", g.Service))
		case !g.Used.IsZero():
			return nil, cachedIdentity{}, &SpentError{At: g.Used}
		}
		return &g.Row, known, nil
	})
	if err != nil {
		return nil, err
	}
	made, err := s.derive(ctx, found.row, found.id, draftOptions{kind: KindRefresh, service: service, client: client, grant: &hash})
	if errors.Is(err, ErrSpent) {
		return nil, &SpentError{At: s.clock.now()} // by another request at the same moment
	}
	return made, err
}

// yield makes a session that points to the sign-in of another, and copies its
// login.
func (s *Sessions) derive(ctx context.Context, from *Row, known *providers.Identity, o draftOptions) (*Session, error) {
	g := s.generation.Load()
	d, token := s.newDraft(g, o)
	d.Derived, d.SignIn, d.Person, d.ProviderID = true, from.SignIn, from.Person, from.ProviderID
	d.Login, d.Stamp = from.Login, from.Stamp
	return s.create(ctx, g, d, token, known)
}
