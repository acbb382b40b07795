package session

import (
	"context"
	"fmt"
	"slices"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Inspect returns the session behind a token as it stands, for somebody who
// may know it. It is no redemption: no provider is asked, no use is noted, nothing
// ends. The error wraps providers.ErrUnavailable, or ErrRefused where by what is
// known a redemption would be: it has ended or is over, its provider is another
// by now, or the provider's last word about the person was no.
func (s *Sessions) Inspect(ctx context.Context, token secret.Text) (*Session, error) {
	found, err := s.behind(ctx, token)
	if err != nil {
		return nil, err
	}
	r := s.rules.Load()
	if err := r.mayLive(&found.Row, found.identity); err != nil {
		return nil, err
	}
	if why := r.cfg.over(&found.Row, s.now()); why != "" {
		return nil, refused("it is over: " + string(why))
	}
	if answer := found.Person.Answer; found.Method != providers.MethodIDToken && (answer == AnswerRejected || answer == AnswerGone) {
		return nil, refused(fmt.Sprintf("the provider %q did not let the person in when last asked", found.Provider))
	}
	return r.listed(found), nil
}

// RevokeToken ends the session behind a token, for whoever holds it: anyone who
// could use it may end it. It returns the session as it was, and whether it ended
// only now. The error wraps providers.ErrUnavailable, or ErrRefused where there
// is no such session. As with Revoke, every replica refuses the token from then on.
func (s *Sessions) RevokeToken(ctx context.Context, token secret.Text, by string) (was *Session, ended bool, err error) {
	found, err := s.behind(ctx, token)
	if err != nil {
		return nil, false, err
	}
	was = s.rules.Load().listed(found)
	if !was.Ended.IsZero() && !slices.Contains(Refusals(), was.Why) {
		return was, false, nil // the password that is remembered by now is another
	}
	n, err := s.revoke(ctx, []*selectedSession{found}, by)
	if err != nil {
		return nil, false, err
	}
	return was, n > 0 && was.Ended.IsZero(), nil
}

// ServiceOf returns the service that a token was made for, be the token good or
// not. The error wraps ErrRefused or providers.ErrUnavailable.
func (s *Sessions) ServiceOf(ctx context.Context, token secret.Text) (string, error) {
	found, err := s.behind(ctx, token)
	if err != nil {
		return "", err
	}
	return found.Service, nil
}

// behind looks up the session of a token, ended or not: of ours, or a provider's
// refresh token that a session answers to.
func (s *Sessions) behind(ctx context.Context, token secret.Text) (*selectedSession, error) {
	kind, hash, ok := parseToken(token)
	switch {
	case ok:
	case Recognize(token):
		return nil, refused("it is mangled")
	default:
		row, err := s.store.FindUpstream(ctx, upstreamHash(token))
		if err != nil {
			return nil, lookError(err)
		}
		kind, hash = row.Kind, row.Hash
	}
	for found, err := range s.selected(ctx, Selector{ID: hash.ID(), Kind: kind, Ended: true}) {
		switch {
		case err != nil:
			return nil, err
		case found.Hash == hash:
			return found, nil
		}
	}
	return nil, errUnknown
}
