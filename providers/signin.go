package providers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"shorepass/internal/secret"
)

// BrowserProviders returns the providers with the grant browser, in the order of the chain.
func (c *Chain) BrowserProviders() []BrowserProvider {
	var all []BrowserProvider
	for _, m := range c.members {
		if m.signsIn() {
			all = append(all, BrowserProvider{m.config.Name, m.browser.Label()})
		}
	}
	return all
}

// signsIn reports whether the provider has the grant browser.
func (m *member) signsIn() bool { return m.browser != nil && m.browser.SignsIn() }

// browserMember returns the provider of that name with the grant browser. The error wraps
// ErrRejected.
func (c *Chain) browserMember(name string) (*member, error) {
	m := c.member(name)
	if m == nil || !m.signsIn() {
		return nil, fmt.Errorf("no provider with the grant browser is called %q: %w", name, ErrRejected)
	}
	return m, nil
}

// AuthorizationURL returns the URL at that provider to which the browser is sent. The error
// wraps ErrRejected where there is no such provider, else ErrUnavailable. AuthorizationURL
// takes ten seconds at most.
func (c *Chain) AuthorizationURL(ctx context.Context, provider string, request AuthorizationRequest) (_ string, err error) {
	defer classify(&err)
	m, err := c.browserMember(provider)
	if err != nil {
		return "", err
	}
	leave, err := c.browsers.enter(provider, request.Address)
	if err != nil {
		return "", err
	}
	defer leave(false)
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	began := time.Now()
	to, err := m.browser.AuthorizationURL(ctx, request)
	m.calls.record(callAuthorize, began, err)
	return to, m.recordAnswer(err)
}

// browserSlots stands for a login name where sign-ins with a browser acquire their slots: they
// have a quarter of all, so that a provider that hangs leaves room for passwords. No login
// name has a NUL.
const browserSlots = "\x00browser"

// SignIn redeems the code of an authorization response at that provider, and applies to
// the identity the checks of every login. Method is [MethodBrowser]; AuthTime is the
// provider's, else now. The error is an [*AuthorizationError], or wraps ErrRejected,
// ErrGone or ErrUnavailable. The refresh token of an identity that the configuration
// refuses is revoked.
//
// A sign-in that has begun runs to its end, even if ctx ends before: a code can be redeemed
// once. SignIn takes ten seconds at most, and as many again where it revokes a token.
func (c *Chain) SignIn(ctx context.Context, provider string, response AuthorizationResponse) (_ *SignedIn, err error) {
	defer classify(&err)
	m, err := c.browserMember(provider)
	if err != nil {
		return nil, err
	}
	leave, err := c.browsers.enter(provider, response.Request.Address)
	if err != nil {
		return nil, err
	}
	defer func() { leave(err == nil) }()
	if err := c.logins.enter(browserSlots); err != nil {
		return nil, err
	}
	defer c.logins.leave(browserSlots)
	var signedIn SignedIn
	signedIn.Identity, err = c.logins.doAlone(ctx, time.Now().Add(chainLimit), func(ctx context.Context) (*Identity, error) {
		found, err := c.redeemCode(ctx, m, response)
		if err != nil {
			return nil, err
		}
		signedIn.SID, signedIn.NeedsConsent = found.SID, found.NeedsConsent
		id, err := m.adopt(found.Identity, MethodBrowser)
		if err != nil {
			m.revokeRefused(context.WithoutCancel(ctx), found.Identity)
		}
		return id, err
	})
	if err != nil {
		return nil, err
	}
	return &signedIn, nil
}

// redeemCode has the provider redeem a code. While its circuit is open, a rejection means
// unavailable.
func (c *Chain) redeemCode(ctx context.Context, m *member, response AuthorizationResponse) (*SignedIn, error) {
	began := time.Now()
	found, err := m.browser.RedeemCode(ctx, response)
	if err == nil && (found == nil || found.Identity == nil) {
		err = errors.New("it returned neither an identity nor an error")
	}
	m.calls.record(callRedeemCode, began, err)
	if _, ok := errors.AsType[*AuthorizationError](err); ok {
		return nil, err
	}
	err = m.recordPersonAnswer(notMineIsRejected(err))
	if err != nil && !isUnrecognized(err) && c.doubted(m) != nil {
		err = m.circuitOpenError(err)
	}
	return found, err
}

// LogoutURL returns the URL at that provider at which a person logs out there and from which
// the browser comes back to returnTo, or "" where the provider has none. The errors are those
// of AuthorizationURL.
func (c *Chain) LogoutURL(ctx context.Context, provider, returnTo string) (_ string, err error) {
	defer classify(&err)
	m, err := c.browserMember(provider)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	to, err := m.browser.LogoutURL(ctx, returnTo)
	return to, m.recordAnswer(err)
}

// VerifyLogoutToken has that provider verify a logout token. The error wraps ErrRejected
// where the token is not valid or there is no such provider, else ErrUnavailable. It takes
// ten seconds at most.
func (c *Chain) VerifyLogoutToken(ctx context.Context, provider string, token secret.Text) (_ *LogoutToken, err error) {
	defer classify(&err)
	m, err := c.browserMember(provider)
	if err != nil {
		return nil, err
	}
	if n := len(token.Reveal()); n == 0 || n > maxToken {
		return nil, fmt.Errorf("logout token of %d bytes: %w", n, ErrRejected)
	}
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	began := time.Now()
	verified, err := m.browser.VerifyLogoutToken(ctx, token)
	m.calls.record(callLogoutToken, began, err)
	if err != nil && !isUnrecognized(err) {
		return nil, m.wrap(err) // a stranger's token says nothing about the provider's health
	}
	return verified, m.recordAnswer(err)
}

// formKinds are the kinds of provider whose accounts sign in with the form of the sign-in
// page: those that check a password themselves.
var formKinds = []string{kindFile, kindLDAP}

// OffersForm reports whether any provider's accounts sign in with the form.
func (c *Chain) OffersForm() bool { return slices.ContainsFunc(c.members, (*member).takesForm) }

// takesForm reports whether the provider may be asked about a password of the form. An
// OpenID provider may not: its passwords belong on its own page.
func (m *member) takesForm() bool { return slices.Contains(formKinds, m.config.Kind) }

// SignInByForm proves a password that was typed into the form of the sign-in page. It takes
// the way of every password ([Chain.Authenticate]), with the same counters and in the same
// time, but for this: the cache of right passwords does not answer; the chain ends as
// though no provider had the account before a provider that is neither a directory nor a
// file; and any token is rejected. Method is [MethodBrowser], AMR "pwd" (RFC 8176).
func (c *Chain) SignInByForm(ctx context.Context, cred Credential) (*Identity, error) {
	if c.isToken(cred.Secret) {
		return nil, c.rejectToken(ctx, cred)
	}
	cred.form, cred.Offline, cred.route = true, true, c.formRoute(cred.Login)
	id, err := c.Authenticate(ctx, cred)
	if err != nil {
		return nil, err
	}
	signedIn := *id
	signedIn.Method, signedIn.AMR = MethodBrowser, []string{"pwd"}
	return &signedIn, nil
}

// formRoute returns the route of a password of the form. Text that is no JWT is a password,
// under a login name too whose opaque secrets are refresh tokens elsewhere.
func (c *Chain) formRoute(login Login) route {
	if login == "" || login.Reserved() {
		return route{kind: Password}
	}
	return c.routePassword(login)
}

// askable returns the providers that may be asked about a password, in order.
func (c Credential) askable() []*member {
	if !c.form {
		return c.route.members
	}
	for i, m := range c.route.members {
		if !m.takesForm() {
			return c.route.members[:i]
		}
	}
	return c.route.members
}

// isToken reports whether a text is a token of ours or has the form of a JWT, and so may
// not reach a directory as a password.
func (c *Chain) isToken(text secret.Text) bool {
	if len(text.Reveal()) > maxToken {
		return false // too long for a password too
	}
	_, isJWT, _ := readUnverified(text.Reveal())
	return isJWT || c.ourToken(secret.New(trimToken(text.Reveal())))
}

// rejectToken rejects a token that was typed as a password. It counts for the address alone.
func (c *Chain) rejectToken(ctx context.Context, cred Credential) (err error) {
	defer classify(&err)
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	guess := c.guess(cred)
	guess.Token = "token"
	a, err := c.throttle.Begin(ctx, guess)
	if err != nil {
		return c.refusedByThrottle(ctx, cred, began, err)
	}
	defer a.End()
	err = Reject(WrongPassword, errors.New("a token, and the form takes passwords only"))
	c.refusalTimes.wait(ctx, began)
	settle(a, err)
	return err
}
