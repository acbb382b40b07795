package providers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	throttle "shorepass/throttle/counting"
)

// Authenticate proves a credential; one that [Chain.Recognize] has not seen yet
// it recognizes first. The error wraps ErrRejected, ErrGone or ErrUnavailable,
// or is a [*throttle.RetryAfter]. It takes ten seconds at most.
//
// A login that has begun runs to its end and is counted, though ctx ends before:
// a client must not guess for free by hanging up. Only the wait for an equal
// login of another caller ends with ctx.
func (c *Chain) Authenticate(ctx context.Context, cred Credential) (_ *Identity, err error) {
	defer classify(&err)
	if cred, err = c.admissible(cred); err != nil {
		return nil, err
	}
	key := c.memory.key(cred)
	if cred.route.kind == Password && !cred.Offline {
		if id := c.memory.recall(key); id != nil {
			return id, nil
		}
	}
	ends := time.Now().Add(chainLimit)
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	// An offline token of a provider belongs to one login. A refresh token
	// that came twice at once is sent once all the same, or a provider that
	// rotates it would take the second for theft.
	sharing := cred.route.kind != Password || !cred.Offline
	for proved := false; ; {
		f, lead, err := c.flights.fly(ctx, ends, key, proved, func(ctx context.Context) (*Identity, error) { return c.login(ctx, key, cred, proved) })
		if err != nil {
			return nil, err
		}
		if lead {
			return f.identity, f.err
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the same login: %w", context.Cause(ctx))
		}
		_, held := errors.AsType[*throttle.RetryAfter](f.err)
		switch {
		case f.err == nil && sharing:
			return f.identity, nil
		case f.err == nil:
			proved = true // a moment ago, so this login need not wait for its turn
		case held:
			// The limit was that of the other caller's address: try again.
		default:
			return nil, f.err
		}
	}
}

// admissible recognizes a credential and rejects one that no provider may see,
// such as an empty password. It is cheap and comes first.
func (c *Chain) admissible(cred Credential) (Credential, error) {
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
		return cred, fmt.Errorf("a user name that is nobody's: %w", ErrRejected)
	}
	return cred, nil
}

// Hopeless returns the error with which Authenticate would refuse a credential
// without asking a provider, or nil. It counts nothing. Callers use it before
// work that a guess must not cause, such as a write to the store.
func (c *Chain) Hopeless(ctx context.Context, cred Credential) (err error) {
	defer classify(&err)
	if cred, err = c.admissible(cred); err != nil {
		return err
	}
	if cred, err = cred.directed(); err != nil {
		return err
	}
	return c.throttle.Check(ctx, cred.guess(false))
}

// login asks the providers, and caches a right password. proved says that an
// equal login was proved a moment ago.
func (c *Chain) login(ctx context.Context, key throttle.Mark, cred Credential, proved bool) (*Identity, error) {
	epoch := c.memory.currentEpoch()
	cred, err := cred.directed()
	if err != nil {
		return nil, err
	}
	switch cred.route.kind {
	case IDToken:
		return c.byIDToken(ctx, cred)
	case RefreshToken:
		return c.byRefreshToken(ctx, cred)
	}
	id, m, err := c.byPassword(ctx, cred, proved)
	if err != nil {
		return nil, err
	}
	if !cred.Offline {
		c.memory.remember(key, id, *m.config.Remember, epoch)
	}
	return id, nil
}

// directed returns the credential as it goes to the providers, or why it goes
// to none.
func (c Credential) directed() (Credential, error) {
	if len(c.route.members) == 0 {
		return c, fmt.Errorf("no provider takes this %s: %w", c.route.kind, ErrRejected)
	}
	if c.Login.Reserved() {
		c.Login = "" // beside a token it is not a name
	}
	return c, nil
}

// byIDToken has the provider verify an ID token. It bypasses the throttle, since
// no directory counts a wrong one.
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
func (c *Chain) byRefreshToken(ctx context.Context, cred Credential) (*Identity, error) {
	a, err := c.throttle.Begin(ctx, cred.guess(false))
	if err != nil {
		return nil, err
	}
	defer a.End()
	m := cred.route.members[0]
	found, err := m.redeemRefreshToken(ctx, cred.Secret)
	if err != nil {
		return nil, failed(ctx, a, err)
	}
	id, err := m.adopt(found, MethodRefresh)
	if err != nil {
		m.giveBack(ctx, found)
		return nil, err
	}
	return id, nil
}

// byPassword looks the account up at one provider after another. The first that
// has it proves the password, if the throttle admits it.
func (c *Chain) byPassword(ctx context.Context, cred Credential, proved bool) (*Identity, *member, error) {
	a, err := c.throttle.Begin(ctx, cred.guess(proved))
	if err != nil {
		return nil, nil, err
	}
	defer a.End()
	for _, m := range cred.route.members {
		account, err := m.lookup(ctx, cred.Login)
		switch {
		case errors.Is(err, ErrNotMine):
			continue
		case err != nil:
			return nil, nil, rejectedAtLookup(ctx, a, m, err)
		}
		id, err := prove(ctx, a, m, account, cred)
		return id, m, err
	}
	return nil, nil, unknown(ctx, a, cred)
}

// prove has the throttle admit the account, and only then the provider prove
// the password.
func prove(ctx context.Context, a *throttle.Attempt, m *member, account *Account, cred Credential) (*Identity, error) {
	if err := m.admit(ctx, a, account.Subject); err != nil {
		return nil, err
	}
	found, err := m.prove(ctx, account, cred.proof())
	if err != nil {
		return nil, failed(ctx, a, err)
	}
	id, err := m.adopt(found, MethodPassword)
	if err != nil {
		a.TurnedAway(ctx)
		m.giveBack(ctx, found)
		return nil, err
	}
	a.Succeeded(ctx)
	return id, nil
}

// guess is the credential as the throttle counts it.
func (c Credential) guess(proved bool) throttle.Guess {
	g := throttle.Guess{Login: FoldCase(string(c.Login)), Skeleton: c.Login.Key(), Secret: c.Secret, Address: c.Address, Proved: proved}
	if c.Kind() != Password {
		g.Token = c.Kind().String()
	}
	return g
}

func (c Credential) proof() Proof { return Proof{Secret: c.Secret, Offline: c.Offline} }

// admit has the throttle decide whether a password may be tried on the account
// of a subject, or of the login name where that is empty.
func (m *member) admit(ctx context.Context, a *throttle.Attempt, subject string) error {
	return a.Admit(ctx, m.config.Name, subject, m.config.WrongPasswords)
}

// rejectedAtLookup counts a login that was rejected before any proof, such as a
// name of two entries. It counts by the name, unless the throttle knew the
// account.
func rejectedAtLookup(ctx context.Context, a *throttle.Attempt, m *member, err error) error {
	if !isUnrecognized(err) && !a.Admitted() {
		if held := m.admit(ctx, a, ""); held != nil {
			return held
		}
	}
	return failed(ctx, a, err)
}

// failed counts a login that a provider rejected, and returns its error. An
// unavailable provider counts nothing.
func failed(ctx context.Context, a *throttle.Attempt, err error) error {
	if !isUnrecognized(err) {
		a.Failed(ctx)
	}
	return err
}

// unknown counts a login whose name no provider has, by the name, and takes as
// long as a wrong password does.
func unknown(ctx context.Context, a *throttle.Attempt, cred Credential) error {
	last := cred.route.members[len(cred.route.members)-1]
	if err := last.admit(ctx, a, ""); err != nil {
		return err
	}
	if last.equalizer != nil {
		last.equalizer.Equalize(ctx, cred.Login, cred.proof())
	}
	a.Failed(ctx)
	return fmt.Errorf("no provider has this account: %w", ErrRejected)
}

// giveBack revokes the renewal that the provider gave to a login which our own
// rules refuse.
func (m *member) giveBack(ctx context.Context, found *Identity) {
	if found == nil {
		return
	}
	if err := m.revoke(ctx, found.Renewal); err != nil {
		m.log.Warn("could not revoke the refresh token of a refused login", "error", err)
	}
}
