package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// writeTimeout bounds one write to the store.
const writeTimeout = 10 * time.Second

// Issue creates a session for id on service. The first result is its refresh
// token, which cannot be read from the store later. When Issue returns, the
// session is durable.
func (s *Sessions) Issue(ctx context.Context, id *providers.Identity, service string, client Client) (secret.Text, *Session, error) {
	made, err := s.logIn(ctx, id, draftOptions{kind: KindRefresh, service: service, client: client})
	if err != nil {
		return secret.Text{}, nil, err
	}
	return made.Token, made, nil
}

// IssueBrowser creates a session for a login with a browser: with a form, or at
// the provider in the provider's session sid. Its Token is the cookie. replaced is the
// cookie that the browser had before, zero for none: its session ends in the
// same transaction, whosever it was, so that no superseded session lives on.
func (s *Sessions) IssueBrowser(ctx context.Context, id *providers.Identity, sid string, replaced secret.Text, client Client) (*Session, error) {
	o := draftOptions{kind: KindBrowser, sid: sid, client: client}
	if kind, hash, ok := parseToken(replaced); ok && kind == KindBrowser {
		o.replaces = &hash
	}
	return s.logIn(ctx, id, o)
}

// HoldsProviderToken reports whether the sign-in that a login of id would join has a
// provider's refresh token already. It is false at a provider where each login has a
// sign-in of its own. A provider that issues a refresh token only at the first consent is
// asked for another one only where this is false. The error wraps
// providers.ErrUnavailable.
func (s *Sessions) HoldsProviderToken(ctx context.Context, id *providers.Identity) (bool, error) {
	if s.generation.Load().signsInAlone(id) {
		return false, nil
	}
	held, err := s.store.HoldsProviderToken(ctx, id.Provider, id.Subject, providerID(id.Provider, id.Fingerprint))
	if err != nil {
		return false, unavailable(fmt.Errorf("look up whether a refresh token is stored: %w", err))
	}
	return held, nil
}

// signsInAlone reports whether a login of id has a sign-in of its own. The claims of an
// ID token are those of one job, and must not change another's session.
func (g *generation) signsInAlone(id *providers.Identity) bool {
	return id.Method == providers.MethodIDToken || g.providers.PerSignIn(id.Provider)
}

// makeByProviderToken creates a session that the provider's refresh token
// redeems too.
func (s *Sessions) makeByProviderToken(ctx context.Context, id *providers.Identity, service string, client Client, providerToken *Hash) (*Session, error) {
	return s.logIn(ctx, id, draftOptions{kind: KindRefresh, service: service, client: client, providerToken: providerToken})
}

// draftOptions describes a session to be created, without the person.
type draftOptions struct {
	kind          Kind
	sid           string
	service       string
	client        Client
	providerToken *Hash  // as in Draft
	grant         *Hash  // as in Draft
	from          *Hash  // as in Draft
	replaces      *Hash  // as in Draft
	label         string // as in Session
	limits        string
	lifetime      time.Duration // 0 for the longest
}

// logIn creates a session for a login.
func (s *Sessions) logIn(ctx context.Context, id *providers.Identity, o draftOptions) (*Session, error) {
	if id == nil || id.Provider == "" || id.Fingerprint == "" || id.Subject == "" {
		return nil, errors.New("a session needs an identity with a provider, its fingerprint and a subject")
	}
	g := s.generation.Load()
	d, token := s.newDraft(g, o)
	d.Login = Login{Method: id.Method, Name: o.client.LoginName, SID: o.sid, ACR: id.ACR, AMR: id.AMR, Time: id.AuthTime}
	if d.Login.Time.IsZero() {
		d.Login.Time = d.Created
	}
	d.ProviderID, d.Stamp, d.Provider, d.Subject = providerID(id.Provider, id.Fingerprint), id.Stamp, id.Provider, id.Subject
	if g.signsInAlone(id) {
		d.LoginID = d.Hash.ID()
	}
	var err error
	if d.Identity, err = encodeIdentity(id); err != nil {
		return nil, unavailable(err) // such as a claim that cannot be encoded; a revalidation fails likewise
	}
	if !id.RefreshToken.IsZero() {
		if d.Sealed, err = s.keys.seal(sealName(d.LoginID, d.Provider, d.ProviderID, d.Subject), id.RefreshToken); err != nil {
			return nil, unavailable(err)
		}
	}
	d.SignIn = d.Next(SignIn{})
	return s.create(ctx, g, d, token, id)
}

// newDraft returns the draft of a session, and its token.
func (s *Sessions) newDraft(g *generation, o draftOptions) (*Draft, secret.Text) {
	token, hash := newToken(o.kind)
	d := &Draft{
		Row:           Row{Hash: hash, Kind: o.kind, Service: o.service, Limits: o.limits, Created: s.clock.now()},
		ProviderToken: o.providerToken, Grant: o.grant, From: o.from, Replaces: o.replaces, Client: o.client.truncated(), Label: truncate(o.label, maxLabel),
		KeepEnded: maxEnded,
	}
	d.Bound, d.Admit = g.cfg.bound(o.kind, d.Created)
	if o.lifetime > 0 {
		d.Expires = d.Created.Add(o.lifetime)
	}
	return d, token
}

// create writes a session to the store, and returns it with its token.
func (s *Sessions) create(ctx context.Context, g *generation, d *Draft, token secret.Text, id *providers.Identity) (*Session, error) {
	d.Expires = g.cfg.expires(&d.Row, g.reauthenticate(id.Provider))
	// A client that disconnects must not cancel the write: the provider's
	// refresh token would stay valid without a row.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	revocable, admit := d.Replaces != nil, d.Admit
	d.Admit = func(live []LiveSession) (Eviction, error) {
		revocable = true
		return admit(live)
	}
	err := s.store.Create(ctx, d)
	s.health.recordCreate(err)
	if revocable {
		wake(s.revoker.wakes)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, errOriginEnded
	case errors.Is(err, ErrTooMany), errors.Is(err, ErrSpent):
		return nil, err
	case err != nil:
		return nil, unavailable(fmt.Errorf("store a new session: %w", err))
	}
	made := g.session(&d.Row, id, d.Created)
	made.Token, made.Client, made.Label = token, d.Client, d.Label
	return made, nil
}

// RevokeProviderToken has the provider revoke the refresh token of a login for
// which no session was created, since no row has that token. It is best effort,
// and does not wait.
func (s *Sessions) RevokeProviderToken(id *providers.Identity) {
	if id == nil || id.RefreshToken.IsZero() {
		return
	}
	_ = s.tasks.begin(func() { // at shutdown the token is left to expire
		ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
		defer cancel()
		err := catchPanic(s.log.With("provider", id.Provider), func() error {
			return s.revoker.atProvider(ctx, id.Provider, providerID(id.Provider, id.Fingerprint), id.RefreshToken)
		})
		if err != nil {
			s.log.Warn("could not revoke the refresh token of a login without a session", "provider", id.Provider, "error", err)
		}
	})
}

// session returns a row as a Session.
func (g *generation) session(row *Row, known *providers.Identity, used time.Time) *Session {
	id := *known // a copy: groups and claims are shared, and never changed
	id.Method, id.AuthTime, id.ACR, id.AMR = row.method(), row.Login.Time, row.Login.ACR, row.Login.AMR
	id.Stamp, id.RefreshToken = row.Stamp, secret.Text{}
	var origin *Row // what derived sessions copy from
	if row.Kind == KindBrowser && row.SignIn.ID != 0 {
		origin = new(*row)
		origin.Body = nil
	}
	return &Session{
		ID: row.Hash.ID(), Kind: row.Kind, Service: row.Service, Identity: &id, Limits: row.Limits, LoginName: row.Login.Name,
		Created: row.Created, Expires: g.cfg.expires(row, g.reauthenticate(id.Provider)), LastUsed: used, LastVouched: row.SignIn.LastVouched,
		hasProviderToken: row.SignIn.TokenVersion > 0, row: origin,
	}
}

// method returns the login method that policy and audit see for a session. For
// a refresh token it is the method of its login: docker sends the password once
// and the token from then on, and a rule must apply to both alike.
func (r *Row) method() providers.Method {
	switch r.Kind {
	case KindPAT:
		return providers.MethodPAT
	case KindRobot:
		return providers.MethodRobot
	}
	return r.Login.Method
}

// Bounds of the texts that a client or a person chooses, in bytes.
const (
	maxClientID  = 100
	maxUserAgent = 200
	maxLabel     = 100
)

// truncated returns the client as it is stored, with bounded texts.
func (c Client) truncated() Client {
	return Client{Address: c.Address, ID: truncate(c.ID, maxClientID), UserAgent: truncate(c.UserAgent, maxUserAgent)}
}

// truncate cuts a text to max bytes, and drops what is not printable.
func truncate(text string, max int) string {
	text = text[:min(len(text), max)]
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
