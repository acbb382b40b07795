package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/session"
)

// requestTimeout is the timeout of one request: docker gives up after fifteen
// seconds, and the chain of providers may take ten of them.
const requestTimeout = 12 * time.Second

// redeemer redeems tokens of sessions. Its errors wrap session.ErrRefused or
// providers.ErrUnavailable.
type redeemer interface {
	// Redeem returns the session behind a token of ours that is valid for service
	// and of one of the kinds.
	Redeem(ctx context.Context, token secret.Text, service string, client session.Client, kinds ...session.Kind) (*session.Session, error)

	// RedeemOneTimePassword redeems a one-time password for a new session for service. The
	// error is a [*session.SpentError] where the password was used before.
	RedeemOneTimePassword(ctx context.Context, token secret.Text, service string, client session.Client) (*session.Session, error)

	// KnowsProviderToken reports whether a provider's refresh token has a session,
	// live or ended, so that RedeemProviderToken will not call authenticate.
	KnowsProviderToken(ctx context.Context, providerToken secret.Text) (bool, error)

	// RedeemProviderToken returns the session of a provider's refresh token. If
	// there is none, it makes one for the identity that authenticate returns, and
	// made is true. An error of authenticate is returned unchanged.
	RedeemProviderToken(ctx context.Context, providerToken secret.Text, service string, client session.Client,
		authenticate func(context.Context) (*providers.Identity, error)) (found *session.Session, made bool, err error)
}

// principal is the person, job or robot that a credential authenticates. The
// zero principal is anonymous.
type principal struct {
	identity *providers.Identity // nil for anonymous
	session  *session.Session    // nil unless one of our tokens, or a provider's refresh token, was redeemed

	// mayIssue says that an offline token may be issued for the credential: not for
	// a token of ours, which yields no other token, nor for a provider's refresh
	// token that has a session already, which the client keeps using.
	mayIssue bool
}

// narrow reduces a decision to what the limits of the principal's token allow.
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

// authenticate verifies a credential and returns its principal. service is the
// registry that a token must be valid for. Every endpoint and every kind of
// credential goes through this function, so that none can miss a check that
// another has. It sets req.method. Errors are those of providers and session.
func (s *Server) authenticate(ctx context.Context, gen *Generation, cred credential, service string, req *request) (principal, error) {
	client := cred.client(req.origin)
	switch {
	case cred.kind == kindAnonymous:
		return principal{}, nil
	case cred.secret.IsZero():
		return principal{}, fmt.Errorf("empty secret: %w", providers.ErrRejected)
	case session.KindOf(cred.secret) == session.KindOneTime:
		return s.redeemOneTime(ctx, cred, service, client)
	case cred.kind == kindRefresh:
		return s.redeem(ctx, gen, cred.secret, service, client, session.KindRefresh)
	case session.Recognize(cred.secret):
		return s.redeem(ctx, gen, cred.secret, service, client, session.KindRefresh, session.KindPAT, session.KindRobot)
	case cred.login == "":
		return principal{}, fmt.Errorf("empty user name: %w", providers.ErrRejected)
	}

	login, password := gen.Chain.JoinRefreshName(cred.login, cred.secret)
	if session.Recognize(password) {
		return principal{}, fmt.Errorf("a token of ours, sent as a provider's refresh token: %w", providers.ErrRejected)
	}
	recognized := gen.Chain.Recognize(providers.Credential{
		Login: login, Secret: password, Address: req.origin.peer, Service: service, Offline: cred.offline,
	})
	req.method = methodOf(recognized.Kind())
	if err := recognized.Misrouted(); err != nil {
		return principal{}, err
	}
	if recognized.Kind() == providers.RefreshToken {
		return s.redeemProviderToken(ctx, gen, recognized, client)
	}
	if recognized.Kind() == providers.Password {
		if err := cred.checkAccount(); err != nil {
			return principal{}, err
		}
	}
	id, err := gen.Chain.Authenticate(ctx, recognized)
	if err != nil {
		return principal{}, err
	}
	return principal{identity: id, mayIssue: true}, nil
}

// redeem redeems a token of ours. A valid one leaves a proof: to the rate limit of
// wrong passwords, its login name has logged in at the client's address.
func (s *Server) redeem(ctx context.Context, gen *Generation, token secret.Text, service string, client session.Client, kinds ...session.Kind) (principal, error) {
	found, err := s.sessions.Redeem(ctx, token, service, client, kinds...)
	if err != nil {
		return principal{}, err
	}
	gen.Chain.NoteProof(providers.Login(found.LoginName), client.Address)
	return principal{identity: found.Identity, session: found}, nil
}

// redeemOneTime redeems a one-time password for a session. It does so only where the
// request asks for an offline token, as docker login does; any other request leaves
// the password unspent.
func (s *Server) redeemOneTime(ctx context.Context, cred credential, service string, client session.Client) (principal, error) {
	if cred.kind != kindSecret || !cred.offline {
		return principal{}, errOneTime
	}
	made, err := s.sessions.RedeemOneTimePassword(ctx, cred.secret, service, client)
	switch _, spent := errors.AsType[*session.SpentError](err); {
	case errors.Is(err, session.ErrRefused) && !spent:
		return principal{}, oneTimeError{err}
	case err != nil:
		return principal{}, err
	}
	return principal{identity: made.Identity, session: made, mayIssue: true}, nil
}

// redeemProviderToken redeems a provider's refresh token that was sent as a
// password. The provider gets the token once, at its first use, which makes a
// session. Later uses redeem that session, since a provider that rotates its
// refresh tokens takes a second use for theft.
func (s *Server) redeemProviderToken(ctx context.Context, gen *Generation, cred providers.Credential, client session.Client) (principal, error) {
	// RedeemProviderToken writes a lease to the store before it asks the provider.
	// Before that write, Precheck refuses a guess that no provider would get.
	known, err := s.sessions.KnowsProviderToken(ctx, cred.Secret)
	if err == nil && !known {
		err = gen.Chain.Precheck(ctx, cred)
	}
	if err != nil {
		return principal{}, err
	}
	found, made, err := s.sessions.RedeemProviderToken(ctx, cred.Secret, cred.Service, client, func(ctx context.Context) (*providers.Identity, error) {
		return gen.Chain.Authenticate(ctx, cred)
	})
	if err != nil {
		return principal{}, err
	}
	return principal{identity: found.Identity, session: found, mayIssue: made}, nil
}
