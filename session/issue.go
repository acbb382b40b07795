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

// writeLimit is how long one write to the store may take.
const writeLimit = 10 * time.Second

// Issue makes a session for id on service. The first result is its token, a
// new refresh token of ours, which nobody will ever be able to read again.
// When Issue returns, the session survives a crash.
func (s *Sessions) Issue(ctx context.Context, id *providers.Identity, service string, client Client) (secret.Text, *Session, error) {
	made, err := s.make(ctx, s.rules.Load(), KindRefresh, id, service, client, nil)
	if err != nil {
		return secret.Text{}, nil, err
	}
	return made.Token, made, nil
}

// Abandon has the provider revoke the renewal of a login that came to nothing,
// best effort and without being waited for: nobody else knows that it is there.
func (s *Sessions) Abandon(id *providers.Identity) {
	if id == nil || id.Renewal.IsZero() {
		return
	}
	_ = s.tasks.begin(func() { // nothing is left to do while shutting down
		ctx, cancel := context.WithTimeout(context.Background(), revokeLimit)
		defer cancel()
		err := guarded(s.log, func() error {
			return s.revoker.atProvider(ctx, id.Provider, providerID(id.Provider, id.Fingerprint), id.Renewal)
		})
		if err != nil {
			s.log.Warn("could not revoke the refresh token of a login that came to nothing", "provider", id.Provider, "error", err)
		}
	})
}

// makeUpstream makes a session that answers to a provider's refresh token too.
func (s *Sessions) makeUpstream(ctx context.Context, id *providers.Identity, service string, client Client, upstream *Hash) (*Session, error) {
	return s.make(ctx, s.rules.Load(), KindRefresh, id, service, client, upstream)
}

// make makes a session of one kind. upstream is nil unless it answers to a
// provider's refresh token too.
func (s *Sessions) make(ctx context.Context, r *rules, kind Kind, id *providers.Identity, service string, client Client, upstream *Hash) (*Session, error) {
	if id == nil || id.Provider == "" || id.Fingerprint == "" || id.Subject == "" {
		return nil, errors.New("a session needs an identity with a provider, its fingerprint and a subject")
	}
	token := newToken(kind)
	_, hash, ok := parseToken(token)
	if !ok {
		panic("session: a new token is none")
	}
	d, err := s.draft(r, kind, hash, id, service)
	if err != nil {
		return nil, unavailable(err) // a claim that cannot be encoded, as at a revalidation
	}
	d.Client, d.Upstream = client.trimmed(), upstream
	// A client that gives up must not leave the provider's token behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	err = s.store.Create(ctx, d, r.cfg.PerPerson)
	s.health.noteCreate(err)
	if err != nil {
		return nil, unavailable(fmt.Errorf("keep a new session: %w", err))
	}
	made := r.cfg.session(&d.Row, id, d.Created)
	made.Token, made.Client = token, d.Client
	return made, nil
}

func (s *Sessions) draft(r *rules, kind Kind, hash Hash, id *providers.Identity, service string) (*Draft, error) {
	known, err := encodeFacts(id)
	if err != nil {
		return nil, err
	}
	now := s.clock.now()
	d := &Draft{
		Row: Row{
			Hash: hash, Kind: kind, Method: id.Method, Service: service,
			ProviderID: providerID(id.Provider, id.Fingerprint), Stamp: id.Stamp, Created: now,
		},
		Who: personKey(id.Provider, id.Subject), Provider: id.Provider, Subject: id.Subject, Facts: known, Evict: ReasonPerPerson.Ending("", now),
	}
	d.Person = d.Next(Person{})
	d.Expires = now.Add(r.cfg.lifetime(&d.Row))
	// What an ID token says holds for one job, and what came with a renewal of
	// its own was said to this login: neither may change another session.
	d.Own = id.Method == providers.MethodIDToken || r.providers.PerSession(id.Provider) || !id.Renewal.IsZero()
	if !id.Renewal.IsZero() {
		if d.Sealed, err = s.keys.seal(hash.ID(), id.Renewal); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// session is a row as callers see it.
func (c *Config) session(row *Row, known *providers.Identity, used time.Time) *Session {
	id := *known // groups and claims are shared, and never changed
	id.Method, id.AuthTime, id.Stamp, id.Renewal = row.method(), row.Created, row.Stamp, secret.Text{}
	return &Session{
		ID: row.Hash.ID(), Kind: row.Kind, Service: row.Service, Identity: &id,
		Created: row.Created, Expires: c.expires(row), LastUsed: used, Checked: row.Person.Checked,
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
	return r.Method
}

// What is kept of a client's own words, in bytes.
const (
	maxClientID  = 100
	maxUserAgent = 200
)

// trimmed is what of a client is kept: information, and never much of it.
func (c Client) trimmed() Client {
	return Client{Address: c.Address, ID: trim(c.ID, maxClientID), UserAgent: trim(c.UserAgent, maxUserAgent)}
}

func trim(text string, max int) string {
	text = text[:min(len(text), max)]
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
