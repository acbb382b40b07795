package providers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"shorepass/throttle"
)

// Authenticate proves a credential, which it recognizes first unless [Chain.Recognize]
// has. The error wraps ErrRejected, ErrGone or ErrUnavailable, or is a
// [*throttle.RetryAfter]. Authenticate takes ten seconds at most.
//
// A login that has begun runs to its end and is counted, even if ctx ends before, so
// that no client guesses for free by hanging up. Only the wait for an equal login of
// another caller ends with ctx.
func (c *Chain) Authenticate(ctx context.Context, cred Credential) (_ *Identity, err error) {
	defer classify(&err)
	if cred, err = c.checkCredential(cred); err != nil {
		return nil, err
	}
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(chainLimit))
	defer cancel()
	key := c.passwords.key(cred)
	leave, err := c.enter(cred, key)
	if err != nil {
		return nil, err
	}
	defer leave()
	ends := began.Add(chainLimit)
	switch cred.Kind() {
	case IDToken:
		return c.byIDToken(ctx, cred)
	case RefreshToken:
		// A token that comes twice concurrently is sent once, or a provider that
		// rotates it would take the second use for theft.
		id, _, err := c.askShared(ctx, ends, key, anyIdentity, func(ctx context.Context) (*Identity, error) {
			return c.byRefreshToken(ctx, cred, began)
		})
		return id, err
	}
	return c.byPassword(ctx, ends, key, cred, began)
}

// enter acquires a slot for a login; the caller calls leave. A cached login needs none
// at the address where it was proved, so that it is answered even while logins at a
// hanging directory occupy all slots. From another address that answer would tell that
// a guess is right, since logins without a slot are refused uncounted.
func (c *Chain) enter(cred Credential, key throttle.MAC) (leave func(), err error) {
	if cred.mayBeCached() && c.passwords.wasProvedAt(key, cred.Address) {
		return func() {}, nil
	}
	name := "" // tokens come under any name, or all under the same one
	if cred.Kind() == Password {
		name = c.bareKey(cred.Login)
	}
	return func() { c.logins.leave(name) }, c.logins.enter(name)
}

// cachedIdentity returns the identity of a cached right password, or nil.
func (c *Chain) cachedIdentity(cred Credential, key throttle.MAC) *Identity {
	if !cred.mayBeCached() {
		return nil
	}
	return c.passwords.get(key)
}

// mayBeCached reports whether the cache of right passwords may answer: for a password,
// and not for an offline token.
func (c Credential) mayBeCached() bool { return c.Kind() == Password && !c.Offline }

// checkCredential recognizes a credential, and rejects one that no provider may see,
// such as an empty password. It is cheap and comes first.
func (c *Chain) checkCredential(cred Credential) (Credential, error) {
	if cred.route.kind == 0 {
		cred = c.Recognize(cred)
	}
	if cred.route.err != nil {
		return cred, cred.route.err
	}
	secret := cred.Secret.Reveal()
	switch {
	case strings.Trim(secret, " \t\r\n\x00") == "":
		return cred, fmt.Errorf("empty password: %w", ErrRejected)
	case len(secret) > maxToken, len(secret) > maxPassword && cred.route.kind == Password:
		return cred, fmt.Errorf("password of %d bytes: %w", len(secret), ErrRejected)
	case strings.ContainsRune(secret, 0):
		// A directory that reads up to the first NUL may see an empty password,
		// and a bind with one succeeds (RFC 4513, section 5.1.2).
		return cred, fmt.Errorf("password with a NUL: %w", ErrRejected)
	case cred.route.kind == Password && (cred.Login == "" || cred.Login.Reserved()):
		return cred, fmt.Errorf("a reserved user name, or none: %w", ErrRejected)
	case cred.route.kind != Password && len(cred.route.members) == 0:
		return cred, fmt.Errorf("no provider accepts this %s: %w", cred.route.kind, ErrRejected)
	}
	return cred, nil
}

// Precheck returns the error with which Authenticate would refuse a credential
// without asking a provider, or nil. It counts nothing. Callers use it before
// work that a guess must not cause, such as a write to the store.
func (c *Chain) Precheck(ctx context.Context, cred Credential) (err error) {
	defer classify(&err)
	if cred, err = c.checkCredential(cred); err != nil {
		return err
	}
	return asRejection(c.throttle.Check(ctx, c.guess(cred)))
}

// NoteProof has the throttle write a proof for a session that was made under a login
// name and redeemed at an address.
func (c *Chain) NoteProof(login Login, address netip.Addr) {
	if login != "" && !login.Reserved() {
		c.throttle.NoteProof(c.bareKey(login), address)
	}
}

// refusedByThrottle returns the error of a login that the throttle refused to begin. A
// cached refusal takes as long as one by a provider.
func (c *Chain) refusedByThrottle(ctx context.Context, cred Credential, began time.Time, err error) error {
	err = asRejection(err)
	if !errors.Is(err, ErrRejected) {
		return err
	}
	c.refusalTimes.wait(ctx, began)
	if m := c.doubted(cred.askable()...); m != nil {
		return m.circuitOpenError(err)
	}
	return err
}

// askShared has equal concurrent logins share the answer of the first, which leads
// (single-flight). Where mayShare refuses the identity of the answer, each login asks for
// itself.
func (c *Chain) askShared(ctx context.Context, ends time.Time, key throttle.MAC, mayShare func(*Identity) bool, ask func(context.Context) (*Identity, error)) (_ *Identity, lead bool, err error) {
	for {
		call, lead, err := c.logins.do(ctx, ends, key, ask)
		if err != nil {
			return nil, false, err
		}
		_, limited := errors.AsType[*throttle.RetryAfter](call.err)
		switch {
		case !lead && limited:
			continue // the limit was that of the leader's address
		case !lead && call.err == nil && !mayShare(call.identity):
			id, err := c.logins.doAlone(ctx, ends, ask)
			return id, true, err
		}
		return call.identity, lead, call.err
	}
}

func anyIdentity(*Identity) bool { return true }

// byIDToken has the provider verify an ID token. It bypasses the throttle, since no
// directory counts wrong ID tokens.
func (c *Chain) byIDToken(ctx context.Context, cred Credential) (*Identity, error) {
	m := cred.route.members[0]
	found, err := m.verifyIDToken(ctx, cred.Secret)
	if err != nil {
		return nil, err
	}
	return m.adopt(found, MethodIDToken)
}

// byRefreshToken has the provider redeem a refresh token of its own. A refused
// one counts against the client's address.
func (c *Chain) byRefreshToken(ctx context.Context, cred Credential, began time.Time) (*Identity, error) {
	a, err := c.throttle.Begin(ctx, c.guess(cred))
	if err != nil {
		return nil, c.refusedByThrottle(ctx, cred, began, err)
	}
	defer a.End()
	m := cred.route.members[0]
	found, err := m.redeemRefreshToken(ctx, cred.Secret)
	if err != nil {
		return nil, c.settleRejected(a, m, err)
	}
	return m.checkProved(ctx, a, found, MethodRefresh)
}

// revokeRefused revokes the refresh token that the provider issued for a login which the
// configuration refuses, unless a revocation may end other logins of the person, or is not
// wanted.
func (m *member) revokeRefused(ctx context.Context, found *Identity) {
	if found == nil || m.refreshOptions != nil && m.refreshOptions.RevokeWhen() != RevokeSignIn {
		return
	}
	if err := m.revoke(ctx, found.RefreshToken); err != nil {
		m.log.Warn("could not revoke the refresh token of a refused login", "error", err)
	}
}
