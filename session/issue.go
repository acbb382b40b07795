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

// writeTimeout is how long one write to the store may take.
const writeTimeout = 10 * time.Second

// Issue makes a session for id on service. The first result is its token, a
// new refresh token of ours, which nobody will ever be able to read again.
// When Issue returns, the session survives a crash.
func (s *Sessions) Issue(ctx context.Context, id *providers.Identity, service string, client Client) (secret.Text, *Session, error) {
	made, err := s.logIn(ctx, id, draftOptions{kind: KindRefresh, service: service, client: client})
	if err != nil {
		return secret.Text{}, nil, err
	}
	return made.Token, made, nil
}

// IssueBrowser makes a session for id, who signed in with a browser: with a form,
// or at the provider, in the session sid of the provider's own. Its Token is the
// cookie.
func (s *Sessions) IssueBrowser(ctx context.Context, id *providers.Identity, sid string, client Client) (*Session, error) {
	return s.logIn(ctx, id, draftOptions{kind: KindBrowser, sid: sid, client: client})
}

// makeByProviderToken makes a session that answers to a provider's refresh token too.
func (s *Sessions) makeByProviderToken(ctx context.Context, id *providers.Identity, service string, client Client, providerToken *Hash) (*Session, error) {
	return s.logIn(ctx, id, draftOptions{kind: KindRefresh, service: service, client: client, providerToken: providerToken})
}

// draftOptions holds all that a session is made of but the person.
type draftOptions struct {
	kind          Kind
	sid           string
	service       string
	client        Client
	providerToken *Hash  // nil unless it answers to a provider's refresh token too
	grant         *Hash  // nil unless a grant is spent for it
	label         string // as Session has them
	limits        string
	lifetime      time.Duration // 0 for the longest
}

// logIn makes a session of a login.
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
	// What an ID token says holds for one job: it may not change another session.
	if id.Method == providers.MethodIDToken || g.providers.PerSession(id.Provider) {
		d.LoginID = d.Hash.ID()
	}
	var err error
	if d.Identity, err = encodeIdentity(id); err != nil {
		return nil, unavailable(err) // a claim that cannot be encoded, as at a revalidation
	}
	if !id.RefreshToken.IsZero() {
		if d.Sealed, err = s.keys.seal(sealName(d.LoginID, d.Provider, d.ProviderID, d.Subject), id.RefreshToken); err != nil {
			return nil, unavailable(err)
		}
	}
	d.SignIn = d.Next(SignIn{})
	return s.create(ctx, g, d, token, id)
}

// draft begins a session, whose token it returns.
func (s *Sessions) newDraft(g *generation, o draftOptions) (*Draft, secret.Text) {
	token, hash := newToken(o.kind)
	d := &Draft{
		Row:           Row{Hash: hash, Kind: o.kind, Service: o.service, Limits: o.limits, Created: s.clock.now()},
		ProviderToken: o.providerToken, Grant: o.grant, Client: o.client.truncated(), Label: truncate(o.label, maxLabel),
		KeepEnded: maxEnded,
	}
	d.Bound, d.Admit = g.cfg.bound(o.kind, d.Created)
	if o.lifetime > 0 {
		d.Expires = d.Created.Add(o.lifetime)
	}
	return d, token
}

// keep writes a session to the store, and returns it with its token.
func (s *Sessions) create(ctx context.Context, g *generation, d *Draft, token secret.Text, id *providers.Identity) (*Session, error) {
	if longest := d.Created.Add(g.cfg.lifetime(&d.Row)); d.Expires.IsZero() || longest.Before(d.Expires) {
		d.Expires = longest
	}
	// A client that gives up must not leave the provider's token behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	evicted, admit := false, d.Admit
	d.Admit = func(live []LiveSession) (Eviction, error) {
		evicted = true
		return admit(live)
	}
	err := s.store.Create(ctx, d)
	s.health.recordCreate(err)
	if evicted {
		wake(s.revoker.wakes)
	}
	switch {
	case errors.Is(err, ErrTooMany), errors.Is(err, ErrSpent):
		return nil, err
	case err != nil:
		return nil, unavailable(fmt.Errorf("keep a new session: %w", err))
	}
	made := g.cfg.session(&d.Row, id, d.Created)
	made.Token, made.Client, made.Label = token, d.Client, d.Label
	return made, nil
}

// RevokeProviderToken has the provider revoke the refresh token of a login that came to
// nothing, best effort and without waiting: no row holds that token.
func (s *Sessions) RevokeProviderToken(id *providers.Identity) {
	if id == nil || id.RefreshToken.IsZero() {
		return
	}
	_ = s.tasks.begin(func() { // nothing is left to do while shutting down
		ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
		defer cancel()
		err := catchPanic(s.log, func() error {
			return s.revoker.atProvider(ctx, id.Provider, providerID(id.Provider, id.Fingerprint), id.RefreshToken)
		})
		if err != nil {
			s.log.Warn("could not revoke the refresh token of a login that came to nothing", "provider", id.Provider, "error", err)
		}
	})
}

// session is a row as callers see it.
func (c *Config) session(row *Row, known *providers.Identity, used time.Time) *Session {
	id := *known // groups and claims are shared, and never changed
	id.Method, id.AuthTime, id.ACR, id.AMR = row.method(), row.Login.Time, row.Login.ACR, row.Login.AMR
	id.Stamp, id.RefreshToken = row.Stamp, secret.Text{}
	yields := *row
	yields.Body = nil
	return &Session{
		ID: row.Hash.ID(), Kind: row.Kind, Service: row.Service, Identity: &id, Limits: row.Limits, LoginName: row.Login.Name,
		Created: row.Created, Expires: c.expires(row), LastUsed: used, Checked: row.SignIn.Checked, row: yields,
	}
}

// method is how policy and audit name what stands behind a session. A refresh
// token stands for the login that it came from: docker shows the password once
// and the token from then on, and a rule about either must hold for both.
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

// truncated is what of a client is kept: information, and never much of it.
func (c Client) truncated() Client {
	return Client{Address: c.Address, ID: truncate(c.ID, maxClientID), UserAgent: truncate(c.UserAgent, maxUserAgent)}
}

func truncate(text string, max int) string {
	text = text[:min(len(text), max)]
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
