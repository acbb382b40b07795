package providers

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"shorepass/throttle"
)

// byPassword checks the name window and the address budget of a password, and answers
// from the cache or by the providers. The rate limit comes first: the cache would tell a
// stranger beyond the limit that a guess is right.
func (c *Chain) byPassword(ctx context.Context, ends time.Time, key throttle.MAC, cred Credential, began time.Time) (*Identity, error) {
	a, err := c.throttle.Begin(ctx, c.guess(cred))
	if err != nil {
		return nil, c.refusedByThrottle(ctx, cred, began, err)
	}
	defer a.End()
	if id := c.cachedIdentity(cred, key); id != nil {
		a.Settle(throttle.Proved, throttle.Cause{})
		return id, nil
	}
	// An identity with a refresh token is not shared: each offline login gets a token of
	// its own.
	withoutToken := func(id *Identity) bool { return id.RefreshToken.IsZero() }
	id, lead, err := c.askShared(ctx, ends, c.passwords.callKey(key, cred, a.HasProof()), withoutToken, func(ctx context.Context) (*Identity, error) {
		return c.login(ctx, a, key, cred)
	})
	if !lead {
		settle(a, err) // each login counts for its own address
	}
	return id, err
}

// login asks the providers, and caches a right password.
func (c *Chain) login(ctx context.Context, a *throttle.Attempt, key throttle.MAC, cred Credential) (*Identity, error) {
	epoch, began := c.passwords.currentEpoch(), time.Now()
	id, m, err := c.askProviders(ctx, a, cred)
	switch {
	case err != nil && errors.Is(err, ErrRejected):
		c.refusalTimes.add(time.Since(began))
	case err == nil && !cred.Offline:
		c.passwords.put(key, id, cred.Address, *m.config.Remember, epoch)
	}
	return id, err
}

// askProviders looks the account up at one provider after another. The first that has it
// proves the password, if the throttle admits it.
func (c *Chain) askProviders(ctx context.Context, a *throttle.Attempt, cred Credential) (*Identity, *member, error) {
	var began time.Time // of the last Lookup
	for _, m := range cred.askable() {
		began = time.Now()
		account, err := m.lookup(ctx, cred.Login)
		switch {
		case errors.Is(err, ErrNotMine) && c.doubted(m) == nil:
			continue
		case isUnrecognized(err):
			settle(a, NotCounted(err))
			return nil, nil, err
		case err != nil:
			return nil, nil, c.rejectAtLookup(ctx, a, m, began, cred, err)
		}
		id, err := c.prove(ctx, a, m, began, account, cred)
		return id, m, err
	}
	return nil, nil, c.rejectUnknown(ctx, a, began, cred)
}

// prove has the throttle reserve an entry for the account, and then the provider prove the
// password.
func (c *Chain) prove(ctx context.Context, a *throttle.Attempt, m *member, began time.Time, account *Account, cred Credential) (*Identity, error) {
	answer, err := a.Reserve(ctx, throttle.Account{Provider: m.config.Name, Subject: account.Subject, State: account.State, Limit: m.config.limit()})
	if err != nil {
		return nil, err
	}
	if answer.Verdict != throttle.Ask {
		m.pad(ctx, began, cred)
		a.Settle(throttle.Unknown, answer.Cause)
		return nil, c.notAdmitted(m, answer)
	}
	found, err := m.prove(ctx, account, cred.password())
	c.noteLogin(a, m, cmp.Or(account.Subject, c.bareKey(cred.Login)), err)
	if err != nil {
		if !isUnrecognized(err) {
			m.refusalTimes.add(time.Since(began))
		}
		return nil, c.settleRejected(a, m, err)
	}
	return m.checkProved(ctx, a, found, MethodPassword)
}

// checkProved applies the configuration (names, groups, require_groups) to the identity
// that a provider proved, and settles the attempt. The refresh token of an identity that
// it refuses is revoked.
func (m *member) checkProved(ctx context.Context, a *throttle.Attempt, found *Identity, method Method) (*Identity, error) {
	id, err := m.adopt(found, method)
	switch {
	case err == nil:
		a.Settle(throttle.Proved, throttle.Cause{})
		return id, nil
	case isUnrecognized(err):
		settle(a, err)
	default:
		a.Settle(throttle.ProvedRefused, causeOf(err))
	}
	m.revokeRefused(ctx, found)
	return nil, err
}

// errFull says that the account window is full. The client does not see it.
var errFull = errors.New("too many wrong passwords for this account, so the provider was not asked")

// notAdmitted returns the error of a password that the throttle did not admit.
func (c *Chain) notAdmitted(m *member, answer throttle.Answer) error {
	err := Reject(WrongPassword, errFull)
	if answer.Verdict == throttle.Repeat {
		cause := answer.Cause
		cause.Detail = strings.TrimPrefix(cause.Detail, (&Failure{Provider: m.config.Name, Err: errors.New("")}).Error())
		err = repeatRejection(cause)
	}
	err = m.wrap(err)
	if c.doubted(m) != nil {
		return m.circuitOpenError(err)
	}
	return err
}

// settleRejected settles an attempt that a provider rejected, or for which it was
// unavailable, and returns its error.
func (c *Chain) settleRejected(a *throttle.Attempt, m *member, err error) error {
	if c.doubted(m) != nil && !isUnrecognized(err) {
		err = m.circuitOpenError(err)
	}
	settle(a, err)
	return err
}

// rejectAtLookup refuses a login that a provider rejected at Lookup, such as a name of two
// entries. The refusal takes as long as a wrong password, and counts by the name alone.
func (c *Chain) rejectAtLookup(ctx context.Context, a *throttle.Attempt, m *member, began time.Time, cred Credential, err error) error {
	c.noteLogin(a, m, c.bareKey(cred.Login), err)
	if c.doubted(m) != nil {
		m.pad(ctx, began, cred)
		return m.circuitOpenError(err)
	}
	if limited := a.ReserveName(ctx); limited != nil {
		return limited
	}
	m.pad(ctx, began, cred)
	a.Settle(throttle.Unknown, causeOf(err))
	return err
}

// rejectUnknown refuses a login whose name no provider has, as rejectAtLookup does.
func (c *Chain) rejectUnknown(ctx context.Context, a *throttle.Attempt, began time.Time, cred Credential) error {
	err := Reject(Unknown, errors.New("no provider has this account"))
	asked := cred.askable()
	for _, m := range asked {
		c.noteLogin(a, m, c.bareKey(cred.Login), err)
	}
	if limited := a.ReserveName(ctx); limited != nil {
		return limited
	}
	switch {
	case len(asked) > 0:
		asked[len(asked)-1].pad(ctx, began, cred)
	case len(cred.route.members) > 0:
		c.refusalTimes.wait(ctx, began)
	}
	a.Settle(throttle.Unknown, causeOf(err))
	return err
}

// settle settles an attempt by the error of its login, nil for a success.
func settle(a *throttle.Attempt, err error) {
	a.Settle(outcomeOf(err), causeOf(err))
}

// outcomeOf returns the throttle's outcome for the error of a login.
func outcomeOf(err error) throttle.Outcome {
	switch {
	case err == nil:
		return throttle.Proved
	case isUnrecognized(err) && MayBeCounted(err):
		return throttle.MayBeCounted
	case isUnrecognized(err):
		return throttle.NotCounted
	}
	switch ReasonOf(err) {
	case WrongPassword, Gone, Unspecified:
		return throttle.Wrong
	case RefusedByConfig:
		return throttle.ProvedRefused
	}
	return throttle.OtherRefusal
}

// guess returns a credential as the throttle's [throttle.Guess].
func (c *Chain) guess(cred Credential) throttle.Guess {
	g := throttle.Guess{Name: c.bareKey(cred.Login), Text: string(cred.Login), Secret: cred.Secret, Address: cred.Address, Limit: nameLimit(cred.route.members)}
	if cred.Kind() != Password {
		g.Token = cred.Kind().String()
	}
	return g
}

// nameLimit returns the limit of a login name that may be an account of any of these
// providers: the smallest number and the longest window, so that the answer does not
// tell whose account it is.
func nameLimit(members []*member) throttle.Limit {
	if len(members) == 0 {
		return throttle.Limit{Passwords: defaultWrongPasswords, Window: defaultWrongPasswordWindow}
	}
	limit := members[0].config.limit()
	for _, m := range members[1:] {
		more := m.config.limit()
		limit.Passwords, limit.Window = min(limit.Passwords, more.Passwords), max(limit.Window, more.Window)
	}
	return limit
}

func (c Config) limit() throttle.Limit {
	return throttle.Limit{Passwords: c.WrongPasswords, Window: c.WrongPasswordWindow}
}

func (c Credential) password() LoginPassword {
	return LoginPassword{Secret: c.Secret, Offline: c.Offline}
}
