package server

import (
	"context"
	"fmt"
	"time"

	"shorepass/policy"
	"shorepass/providers"
	"shorepass/session"
)

// answerLimit is how long one request may take in all: docker gives up after
// fifteen seconds, and the chain of providers has ten.
const answerLimit = 12 * time.Second

// asker is who a question comes from, settled. The zero asker is anonymous.
type asker struct {
	identity *providers.Identity // nil for anonymous
	session  *session.Session    // nil unless one of our tokens, or a provider's refresh token, was redeemed
	credential
}

// credential says what the asker may get for what was brought.
type credential int

const (
	given    credential = iota // it came from elsewhere: an offline token may be given for it
	ours                       // one of our own tokens, which yields no other
	standing                   // a provider's refresh token that already has a session: the client keeps using it
)

// authenticate settles who asks q. It is the one way in: every entry point and
// every kind of credential passes here, so that none of them can miss a check
// that another has. Errors are those of providers and session.
func (s *Server) authenticate(ctx context.Context, gen *Generation, q *question, from origin) (asker, error) {
	client := session.Client{Address: from.peer, ID: q.client, UserAgent: from.userAgent}
	switch {
	case q.proof == proofNone:
		return asker{}, nil
	case q.secret.IsZero():
		return asker{}, fmt.Errorf("empty secret: %w", providers.ErrRejected)
	case q.proof == proofRefresh:
		return s.redeem(ctx, q, client, session.KindRefresh)
	case session.Recognize(q.secret):
		return s.redeem(ctx, q, client, session.KindRefresh, session.KindPAT, session.KindRobot)
	case q.login == "":
		return asker{}, fmt.Errorf("empty user name: %w", providers.ErrRejected)
	}

	login, secret := gen.Chain.JoinRefreshName(q.login, q.secret)
	if session.Recognize(secret) {
		return asker{}, fmt.Errorf("a token of ours, as that of a provider: %w", providers.ErrRejected)
	}
	cred := providers.Credential{
		Login: login, Secret: secret, Kind: gen.Chain.Recognize(login, secret),
		Address: from.peer, Service: q.service, Offline: q.offline,
	}
	if cred.Kind == providers.RefreshToken {
		return s.redeemUpstream(ctx, gen, cred, client)
	}
	if cred.Kind == providers.Password {
		if err := q.checkAccount(); err != nil {
			return asker{}, err
		}
	}
	id, err := gen.Chain.Authenticate(ctx, cred)
	if err != nil {
		return asker{}, err
	}
	return asker{identity: id}, nil
}

// redeem takes one of our own tokens.
func (s *Server) redeem(ctx context.Context, q *question, client session.Client, kinds ...session.Kind) (asker, error) {
	found, err := s.sessions.Redeem(ctx, q.secret, q.service, client, kinds...)
	if err != nil {
		return asker{}, err
	}
	return asker{identity: found.Identity, session: found, credential: ours}, nil
}

// redeemUpstream takes a provider's refresh token that was given as a password.
// It goes to the provider once in its life; after that it stands for the
// session that was made of it, since a provider that rotates its tokens would
// take a second use for theft.
func (s *Server) redeemUpstream(ctx context.Context, gen *Generation, cred providers.Credential, client session.Client) (asker, error) {
	// The first use is written down before the provider is asked. Who guesses
	// must not have that done for nothing.
	known, err := s.sessions.KnowsUpstream(ctx, cred.Secret)
	if err == nil && !known {
		err = gen.Chain.Hopeless(ctx, cred)
	}
	if err != nil {
		return asker{}, err
	}
	found, first, err := s.sessions.RedeemUpstream(ctx, cred.Secret, cred.Service, client, func(ctx context.Context) (*providers.Identity, error) {
		return gen.Chain.Authenticate(ctx, cred)
	})
	if err != nil {
		return asker{}, err
	}
	who := asker{identity: found.Identity, session: found, credential: standing}
	if first {
		who.credential = given
	}
	return who, nil
}

// request puts the question to policy.
func (a asker) request(q *question, from origin, now time.Time) policy.Request {
	req := policy.Request{Service: q.service, Address: from.address, Time: now, Scopes: q.scopes}
	if a.identity == nil {
		req.Anonymous, req.Groups = true, []string{providers.GroupAnonymous}
		return req
	}
	req.User, req.Groups, req.Claims = a.identity.User, a.identity.Groups, a.identity.Claims
	req.Provider, req.Method = a.identity.Provider, string(a.identity.Method)
	return req
}
