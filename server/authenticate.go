package server

import (
	"context"
	"fmt"
	"time"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/session"
)

// answerLimit is how long one request may take in all: docker gives up after
// fifteen seconds, and the chain of providers has ten.
const answerLimit = 12 * time.Second

// redeemer takes tokens that stand for a login. Its errors wrap
// session.ErrRefused or providers.ErrUnavailable.
type redeemer interface {
	// Redeem returns the session behind a token of ours that is good for
	// service and of one of the kinds.
	Redeem(ctx context.Context, token secret.Text, service string, client session.Client, kinds ...session.Kind) (*session.Session, error)

	// RedeemOneTimePassword makes a session for service of a one-time login password. The error
	// is a [*session.SpentError] where it was used before.
	RedeemOneTimePassword(ctx context.Context, token secret.Text, service string, client session.Client) (*session.Session, error)

	// KnowsProviderToken reports whether a session, though it may have ended, answers
	// to a provider's refresh token, so that RedeemProviderToken will not call first.
	KnowsProviderToken(ctx context.Context, providerToken secret.Text) (bool, error)

	// RedeemProviderToken returns the session that answers to a provider's refresh
	// token. If there is none it makes one of what first returns, whose error it
	// returns as it is, and made is true.
	RedeemProviderToken(ctx context.Context, providerToken secret.Text, service string, client session.Client,
		first func(context.Context) (*providers.Identity, error)) (found *session.Session, made bool, err error)
}

// principal is the person, job or robot that a credential authenticates. The
// zero principal is anonymous.
type principal struct {
	identity *providers.Identity // nil for anonymous
	session  *session.Session    // nil unless one of our tokens, or a provider's refresh token, was redeemed

	// mayIssue says that an offline token may be issued for the credential. It
	// may not for a token of ours, which yields no other, nor for a provider's
	// refresh token that already has a session: the client keeps using it.
	mayIssue bool
}

// narrow returns what of a decision the limits of the principal's token name.
func (p principal) narrow(service string, d policy.Decision) (policy.Decision, error) {
	if p.session == nil || p.session.Limits == "" {
		return d, nil
	}
	limits, err := policy.ParseLimits(p.session.Limits)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("session %s: %w", p.session.ID, err)
	}
	return limits.Narrow(service, d), nil
}

// user returns the user name, or "" for anonymous.
func (p principal) user() string {
	if p.identity == nil {
		return ""
	}
	return p.identity.User
}

// authenticate proves a credential and returns its principal. service is the
// registry that a token must be good for. It is the one way in: every entry
// point and every kind of credential passes here, so that none of them can miss
// a check that another has. Errors are those of providers and session.
func (s *Server) authenticate(ctx context.Context, gen *Generation, cred credential, service string, req *request) (principal, error) {
	client := cred.client(req.origin)
	switch {
	case cred.kind == kindAnonymous:
		return principal{}, nil
	case cred.secret.IsZero():
		return principal{}, fmt.Errorf("empty secret: %w", providers.ErrRejected)
	case session.KindOf(cred.secret) == session.KindOneTime:
		return s.spend(ctx, cred, service, client)
	case cred.kind == kindRefresh:
		return s.redeem(ctx, gen, cred.secret, service, client, session.KindRefresh)
	case session.Recognize(cred.secret):
		return s.redeem(ctx, gen, cred.secret, service, client, session.KindRefresh, session.KindPAT, session.KindRobot)
	case cred.login == "":
		return principal{}, fmt.Errorf("empty user name: %w", providers.ErrRejected)
	}

	login, password := gen.Chain.JoinRefreshName(cred.login, cred.secret)
	if session.Recognize(password) {
		return principal{}, fmt.Errorf("a token of ours, as that of a provider: %w", providers.ErrRejected)
	}
	asked := gen.Chain.Recognize(providers.Credential{
		Login: login, Secret: password, Address: req.origin.peer, Service: service, Offline: cred.offline,
	})
	req.method = methodOf(asked.Kind())
	if err := asked.Misrouted(); err != nil {
		return principal{}, err
	}
	if asked.Kind() == providers.RefreshToken {
		return s.redeemProviderToken(ctx, gen, asked, client)
	}
	if asked.Kind() == providers.Password {
		if err := cred.checkAccount(); err != nil {
			return principal{}, err
		}
	}
	id, err := gen.Chain.Authenticate(ctx, asked)
	if err != nil {
		return principal{}, err
	}
	return principal{identity: id, mayIssue: true}, nil
}

// redeem takes one of our own tokens. Where it is good, its login name is known at
// the client's address from then on, to the limit of wrong passwords.
func (s *Server) redeem(ctx context.Context, gen *Generation, token secret.Text, service string, client session.Client, kinds ...session.Kind) (principal, error) {
	found, err := s.sessions.Redeem(ctx, token, service, client, kinds...)
	if err != nil {
		return principal{}, err
	}
	gen.Chain.NoteProof(providers.Login(found.LoginName), client.Address)
	return principal{identity: found.Identity, session: found}, nil
}

// spend takes a one-time login password, where an offline token is asked for: the
// session that it makes is that of a docker login. Any other request leaves it
// unspent.
func (s *Server) spend(ctx context.Context, cred credential, service string, client session.Client) (principal, error) {
	if cred.kind != kindSecret || !cred.offline {
		return principal{}, errOneTime
	}
	made, err := s.sessions.RedeemOneTimePassword(ctx, cred.secret, service, client)
	if err != nil {
		return principal{}, err
	}
	return principal{identity: made.Identity, session: made, mayIssue: true}, nil
}

// redeemProviderToken takes a provider's refresh token that was given as a password.
// It goes to the provider once in its life; after that it stands for the
// session that was made of it, since a provider that rotates its tokens would
// take a second use for theft.
func (s *Server) redeemProviderToken(ctx context.Context, gen *Generation, cred providers.Credential, client session.Client) (principal, error) {
	// The first use is written down before the provider is asked. Who guesses
	// must not have that done for nothing.
	known, err := s.sessions.KnowsProviderToken(ctx, cred.Secret)
	if err == nil && !known {
		err = gen.Chain.Precheck(ctx, cred)
	}
	if err != nil {
		return principal{}, err
	}
	found, first, err := s.sessions.RedeemProviderToken(ctx, cred.Secret, cred.Service, client, func(ctx context.Context) (*providers.Identity, error) {
		return gen.Chain.Authenticate(ctx, cred)
	})
	if err != nil {
		return principal{}, err
	}
	return principal{identity: found.Identity, session: found, mayIssue: first}, nil
}
