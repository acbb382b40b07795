package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// GrantStore stores grants.
type GrantStore interface {
	// PutGrant stores a new grant, and deletes those beyond g.Keep, up to a few
	// hundred in one call. The error is ErrNotFound if g.From is not live.
	PutGrant(ctx context.Context, g *Grant) error

	// FindGrant returns the grant with that hash, or ErrNotFound. Body is as in
	// [SessionStore.Find].
	FindGrant(ctx context.Context, hash Hash, known Version) (*StoredGrant, error)
}

// oneTimeLifetime is the TTL of a one-time password.
const oneTimeLifetime = 10 * time.Minute

// maxGrants bounds the stored grants of one person and kind, spent ones
// included.
const maxGrants = 100

// SpentError says that a grant was spent before. It is an ErrRefused.
type SpentError struct{ At time.Time }

func (e *SpentError) Error() string {
	return fmt.Sprintf("%v: it was used at %s, and is good for one login", ErrRefused, e.At.UTC().Format(time.RFC3339))
}

func (e *SpentError) Unwrap() error { return ErrRefused }

// errNotDerivable refuses to derive a token from a session that is not a
// browser's, or that was not redeemed.
var errNotDerivable = errors.New("another token can be derived only from a browser's session that was redeemed")

// errOriginEnded refuses to derive a token from a session that has ended since it was
// redeemed.
var errOriginEnded = fmt.Errorf("%w: the session that it is made from has ended", ErrRefused)

// mayDerive reports whether other tokens can be derived from a session.
func (s *Session) mayDerive() bool { return s.Kind == KindBrowser && s.row != nil }

// IssueOneTimePassword derives a one-time password for service from a
// browser's session. It is valid for one login within ten minutes. It outlives the
// session if the person logs out with the browser ([Admin.RevokeToken]), as docker login
// may be next, and ends with it if the session is revoked ([Admin.Revoke]). The error
// wraps ErrRefused if the session has ended.
func (s *Sessions) IssueOneTimePassword(ctx context.Context, from *Session, service string) (secret.Text, error) {
	if !from.mayDerive() {
		return secret.Text{}, errNotDerivable
	}
	token, hash := newToken(KindOneTime)
	now := s.clock.now()
	err := s.store.PutGrant(ctx, &Grant{
		Hash: hash, Kind: KindOneTime, SignIn: from.row.SignIn.ID, Service: service, Stamp: from.row.Stamp, Login: from.row.Login,
		Created: now, Expires: now.Add(oneTimeLifetime), Keep: maxGrants, From: &from.row.Hash,
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return secret.Text{}, errOriginEnded
	case err != nil:
		return secret.Text{}, unavailable(fmt.Errorf("store a one-time password: %w", err))
	}
	return token, nil
}

// isEnded reports whether a grant was ended before its time.
func (g *StoredGrant) isEnded() bool { return !g.Expires.After(g.Created) }

// PAT holds the properties of a new personal access token.
type PAT struct {
	Label    string        // the person's name for it
	Limits   string        // what the policy grants at most; empty without limits
	Lifetime time.Duration // at most Config.PATLifetime, which 0 stands for
}

// IssuePAT derives a personal access token from a browser's session. The error
// wraps ErrTooMany if the person has as many as allowed, and ErrRefused if the session
// has ended.
func (s *Sessions) IssuePAT(ctx context.Context, from *Session, pat PAT, client Client) (*Session, error) {
	if !from.mayDerive() {
		return nil, errNotDerivable
	}
	return s.derive(ctx, from.row, from.Identity, draftOptions{kind: KindPAT, label: pat.Label, limits: pat.Limits, lifetime: pat.Lifetime, client: client, from: &from.row.Hash})
}

// RedeemOneTimePassword spends a one-time password for a session on
// service. The errors are those of [Sessions.Redeem], and a [*SpentError] if it
// was used before.
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
		case !g.LastUsed.IsZero():
			return nil, cachedIdentity{}, &SpentError{At: g.LastUsed}
		case g.isEnded():
			return nil, cachedIdentity{}, refused("it ended: " + string(ReasonRevoked))
		}
		return &g.Row, known, nil
	})
	if err != nil {
		return nil, err
	}
	made, err := s.derive(ctx, found.row, found.id, draftOptions{kind: KindRefresh, service: service, client: client, grant: &hash})
	if errors.Is(err, ErrSpent) {
		return nil, &SpentError{At: s.clock.now()} // by a concurrent request
	}
	return made, err
}

// derive creates a session that points to the sign-in of another one, and
// copies its login.
func (s *Sessions) derive(ctx context.Context, from *Row, known *providers.Identity, o draftOptions) (*Session, error) {
	g := s.generation.Load()
	d, token := s.newDraft(g, o)
	d.Derived, d.SignIn, d.Person, d.ProviderID = true, from.SignIn, from.Person, from.ProviderID
	d.Login, d.Stamp = from.Login, from.Stamp
	return s.create(ctx, g, d, token, known)
}
