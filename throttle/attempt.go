package throttle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Attempt is one login, from its guess to its outcome. It belongs to one goroutine.
type Attempt struct {
	t       *Throttle
	cfg     *Config
	rows    rows
	req     request
	secret  MAC // of the secret and, for a token, its kind
	text    MAC // of the login name, as typed, and the secret
	pair    MAC // of the name and the secret, as the address budget counts them
	isToken bool

	address string // as [Config.addressKey] returns it; "" where it is unknown
	running bool   // it counts as running in the queue of the address

	call     *call     // of equal passwords at the account
	askedAt  time.Time // when the entry was reserved, by the store's clock
	reserved bool      // an entry is reserved, and the provider is being asked
	nameOnly bool      // an entry is reserved in the name window alone
	done     bool      // settled or ended
}

const (
	// pollFirst and pollLast are the first and the longest interval at which an
	// attempt polls for the end of an equal one in another process (exponential
	// backoff).
	pollFirst = 10 * time.Millisecond
	pollLast  = 200 * time.Millisecond
)

// Reserve takes an entry for the password in the name window and the account window,
// in one transaction. Where an equal password is being proved, Reserve waits for its
// answer first. It is called once. The error is a [*RetryAfter], [ErrUnanswered], or
// one of ctx.
func (a *Attempt) Reserve(ctx context.Context, account Account) (Answer, error) {
	a.setAccount(account)
	answer, err := a.awaitAndReserve(ctx)
	a.t.counters.countAnswer(answer, err)
	switch {
	case err != nil:
		a.leaveCall()
	case answer.Verdict == Ask:
		a.reserved = true
		a.t.asking.Add(1)
		a.t.calls.setAsked(a.call)
	default:
		if a.req.waited {
			a.t.calls.setAsked(a.call)
		}
		a.leaveCall()
	}
	return answer, err
}

// awaitAndReserve waits for an equal password in flight, in this process by its
// call and in others by the lease of its entry, and reserves.
func (a *Attempt) awaitAndReserve(ctx context.Context) (answer Answer, err error) {
	a.call, a.req.equalProved, a.req.waited, err = a.t.calls.join(ctx, callKey{a.rows.keys[accountRow], a.req.secret})
	if err != nil {
		return Answer{}, err
	}
	a.findRefusal()
	for poll := pollFirst; ; poll = min(2*poll, pollLast) {
		if err := a.rows.readWritten(ctx); err != nil {
			return Answer{}, err
		}
		answer, err := a.tryReserve(ctx)
		if !errors.Is(err, errLeased) {
			return answer, err
		}
		a.req.waited = true
		if err := sleep(ctx, poll); err != nil {
			return Answer{}, fmt.Errorf("wait for the same login: %w", err)
		}
	}
}

// setAccount sets the account window of the attempt, and the MACs of the password
// and of the state in it. Where no subject is known, the window belongs to the name,
// whose spellings may be several accounts: a password that is wrong for one of them
// may be right for another, so that the MAC covers the text of the login name.
func (a *Attempt) setAccount(account Account) {
	m := a.t.hasher
	key := a.t.accountKey(account.Provider, account.Subject, a.req.name)
	secret := a.secret
	if account.Subject == "" {
		secret = a.text
	}
	a.rows.keys[accountRow] = key
	a.req.secret = m.MAC("in", string(key[:]), string(secret[:]))
	a.req.accountLimit = account.Limit
	if account.State != "" {
		a.req.state = m.MAC("state", string(key[:]), account.State)
	}
	a.req.stateAndConfig = m.MAC("generation", string(a.cfg.ConfigHash), string(a.req.state[:]))
}

// accountKey returns the key of an account window: that of a subject or, where no
// subject is known, of a login name at the provider.
func (t *Throttle) accountKey(provider, subject string, name MAC) MAC {
	if subject == "" {
		return t.hasher.MAC("account of a name", provider, string(name[:]))
	}
	return t.hasher.MAC("account", provider, subject)
}

// tryReserve applies reserve to the rows by compare-and-swap, beginning with the
// rows as they were read. The error is that of reserve, or one of ctx.
func (a *Attempt) tryReserve(ctx context.Context) (answer Answer, err error) {
	var before, after windows
	err = a.rows.update(ctx, func(now time.Time) ([]Change, error) {
		w, err := a.admit(now)
		if err != nil {
			return nil, err
		}
		before = w
		after, answer, err = reserve(w, a.limitedRequest(), now)
		if err != nil {
			return nil, err
		}
		a.askedAt = now
		a.nameOnly = answer.Verdict != Ask && len(after.name.entries) > len(w.name.entries)
		return a.windowChanges(w, after), nil
	})
	if err == nil {
		a.t.counters.countFilled(before, after, a.limitedRequest())
	}
	return answer, err
}

// ReserveName takes an entry in the name window alone: no provider has the name,
// several accounts have it, or the provider refused its account at Lookup. The error
// is a [*RetryAfter], or one of ctx.
//
// ReserveName makes as many trips to the store as Reserve, and Settle after it writes
// as many rows, so that their number does not tell which names exist.
func (a *Attempt) ReserveName(ctx context.Context) error {
	a.rows.keys[paddingRow] = a.paddingKey()
	if err := a.rows.readWritten(ctx); err != nil {
		return err
	}
	var before, after windows
	err := a.rows.update(ctx, func(now time.Time) ([]Change, error) {
		w, err := a.admit(now)
		if err != nil {
			return nil, err
		}
		before = w
		after, err = reserveName(w, a.limitedRequest(), now)
		if err != nil {
			return nil, err
		}
		a.nameOnly = len(after.name.entries) > len(w.name.entries)
		return a.windowChanges(w, after), nil
	})
	if err == nil {
		a.t.counters.countFilled(before, after, a.limitedRequest())
	}
	a.t.counters.countRefusal(err)
	return err
}

func (a *Attempt) paddingKey() MAC { return a.t.hasher.MAC("padding", string(a.req.name[:])) }

// paddingChanges returns changes that change nothing, of as many rows as a wrong
// password changes.
func (a *Attempt) paddingChanges() []Change {
	a.rows.keys[paddingRow] = a.paddingKey()
	name := a.rows.current[nameRow]
	return []Change{a.rows.change(nameRow, name.Body, name.Expires), a.rows.change(paddingRow, nil, time.Time{})}
}

// HasProof reports whether the login name has a proof at the address, by the rows
// that were read last.
func (a *Attempt) HasProof() bool { return a.req.hasProof }

// admit checks the name window and the address budget, and returns the windows as of
// now. The error is a [*RetryAfter]. admit does not check the account window.
func (a *Attempt) admit(now time.Time) (windows, error) {
	a.req.hasProof = a.hasProof(now)
	w, err := a.windows(now)
	if err != nil {
		return w, err
	}
	if !a.isToken {
		if err := w.admit(a.limitedRequest(), now); err != nil {
			return w, err
		}
	}
	if a.address == "" || a.req.hasProof {
		return w, nil
	}
	b, err := a.budget(now)
	if err != nil {
		return w, err
	}
	return w, b.admit(now, a.cfg.AddressFailures)
}

// hasProof reports whether the login name has a proof at the address. The proof of
// another account, which had the name before, does not count.
func (a *Attempt) hasProof(now time.Time) bool {
	proof := a.rows.current[proofRow]
	if a.isToken || !now.Before(proof.Expires) {
		return false
	}
	of, known := proofAccount(proof.Body)
	account := a.rows.keys[accountRow]
	return !known || account == (MAC{}) || of == account
}

// limitedRequest returns the request with its limits, which are halved while the
// process counts for itself.
func (a *Attempt) limitedRequest() *request {
	r := a.req
	if a.rows.local {
		r.nameLimit, r.accountLimit = r.nameLimit.half(), r.accountLimit.half()
	}
	return &r
}

// windows returns the windows as of now.
func (a *Attempt) windows(now time.Time) (w windows, err error) {
	if w.name, err = decodeWindow(a.rows.current[nameRow].Body); err != nil {
		return w, err
	}
	if w.account, err = decodeWindow(a.rows.current[accountRow].Body); err != nil {
		return w, err
	}
	w.name = w.name.nameWindowAt(now, a.req.nameLimit.Window)
	w.account = w.account.accountWindowAt(now, a.req.accountLimit.Window)
	return w, nil
}

// budget returns the address budget as of now.
func (a *Attempt) budget(now time.Time) (budget, error) {
	b, err := decodeBudget(a.rows.current[budgetRow].Body)
	return b.at(now), err
}

// windowChanges returns the changes of rows from one state of the windows to
// another.
func (a *Attempt) windowChanges(before, after windows) (changes []Change) {
	for _, w := range []struct {
		row           int
		before, after window
		limit         Limit
	}{{nameRow, before.name, after.name, a.req.nameLimit}, {accountRow, before.account, after.account, a.req.accountLimit}} {
		if body := w.after.encode(); !bytes.Equal(body, w.before.encode()) {
			changes = append(changes, a.rows.change(w.row, body, w.after.expires(w.limit.Window)))
		}
	}
	return changes
}

// newAttempt returns the attempt of a guess, with no row read yet.
func (t *Throttle) newAttempt(g Guess) *Attempt {
	m, cfg := t.hasher, t.cfg.Load()
	name := m.MAC("name", g.Name)
	secret := m.MAC("secret", g.Token, g.Secret.Reveal())
	a := &Attempt{t: t, cfg: cfg, address: cfg.addressKey(g.Address), isToken: g.Token != "",
		secret: secret,
		text:   m.MAC("text", g.Text, string(secret[:])),
		pair:   m.MAC("pair", string(name[:]), string(secret[:])),
		req:    request{name: name, nameSecret: m.MAC("in", string(name[:]), string(secret[:])), nameLimit: g.Limit, holder: rand.Int64() | 1},
	}
	a.rows.t = t
	if !a.isToken {
		a.rows.keys[nameRow] = name
	}
	if a.address != "" {
		a.rows.keys[budgetRow] = m.MAC("address", string(cfg.ConfigHash), a.address)
	}
	if a.address != "" && !a.isToken {
		a.rows.keys[proofRow] = t.proofKey(name, a.address)
	}
	return a
}
