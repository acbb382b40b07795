package counting

import (
	"context"
	"slices"
	"time"
)

// Attempt is one login, from its guess to the answer. It belongs to one
// goroutine.
type Attempt struct {
	t      *Throttle
	login  Mark
	name   Mark // of the login name as the most forgiving provider compares it
	secret Mark
	place  string // "" when the address is unknown: then it has no budget and no proofs

	right bool // the same was proved a moment ago: it waits for no equal one

	account account
	guess   Mark     // the password, as the account counts it
	inquiry *inquiry // what is held for it; nil when nothing is
	own     bool     // it counts for this place alone
	held    *Count   // where other replicas see that it is under way; nil where they need not
	inside  bool     // it is one of those that its place has under way

	// ahead are the counters of the account that the login is known to be, as
	// they stood when those of the login were read.
	ahead struct {
		buckets []Mark
		found   [][]Counted
	}
}

// Admit decides whether the password may be tried on the account of a
// provider's subject or, where that is empty, of the login name, and reserves
// room for it, as if it were wrong, until the attempt is over. limit is how many
// distinct wrong passwords the account may have. The error is ErrRefused, a
// [*RetryAfter], or one of ctx.
func (a *Attempt) Admit(ctx context.Context, provider, subject string, limit int) error {
	if subject == "" {
		return a.admit(ctx, account{a.name, limit, true})
	}
	return a.admit(ctx, account{a.t.marks.Mark("account", provider, subject), limit, false})
}

// Admitted reports whether an account has admitted the attempt.
func (a *Attempt) Admitted() bool { return a.inquiry != nil }

// admit reserves before it reads, so that of two that come at once one sees the
// other.
func (a *Attempt) admit(ctx context.Context, who account) error {
	if a.inquiry != nil && a.account == who {
		return nil
	}
	a.release(false)
	a.releaseShared()
	t := a.t
	a.account, a.guess = who, a.secret
	if who.nameless {
		// Two spellings may be two people after all: what is wrong for one of
		// them is not refused to the other, and is a guess more.
		a.guess = t.marks.Mark("spelled", string(a.login[:]), string(a.secret[:]))
	}
	t.mu.Lock()
	t.aliases.Put(a.login, who)
	t.mu.Unlock()

	held, others, err := t.inquiries.hold(ctx, who.mark, a.guess, a.place, a.right)
	if err != nil {
		return err
	}
	a.inquiry = held
	if err := a.decide(ctx, others); err != nil {
		a.release(false)
		return err
	}
	return nil
}

// buckets are the counters of an account.
func (a *Attempt) buckets(who account) []Mark {
	t := a.t
	return []Mark{t.refused(who.mark), t.proved(who.mark, a.place), t.wrong(who.mark, a.place), t.wrong(who.mark, ""), t.address(a.place)}
}

// decide reads the counters of the account at hand. others are the passwords
// that were being tried on it before they are read.
func (a *Attempt) decide(ctx context.Context, others []tried) error {
	t, who := a.t, a.account
	buckets := a.buckets(who)
	var found [][]Counted
	if slices.Equal(buckets, a.ahead.buckets) {
		found = t.counters.Recount(buckets, a.ahead.found)
		a.ahead.buckets = nil // what is asked later is read again
	} else {
		found = t.counters.Marks(ctx, buckets)
	}
	if holds(found[0], a.guess) {
		return ErrRefused
	}
	wrong := found[3]
	if a.own = a.place != "" && len(found[1]) > 0; a.own {
		wrong = found[2]
	} else if full := tooMany("address", found[4], addressFailures); full != nil && a.place != "" {
		return full
	}
	t.inquiries.settle(a.inquiry, a.own)
	if err := a.room(wrong, others); err != nil || a.own {
		return err
	}
	a.held = &Count{t.trying(who.mark), a.guess, t.heldFor}
	t.counters.Hold(ctx, *a.held)
	found = t.counters.Marks(ctx, []Mark{t.trying(who.mark), t.wrong(who.mark, "")})
	return a.room(union(found[0], found[1]), others)
}

// room returns a RetryAfter where the wrong passwords of the account, with
// those that are being tried and may be, leave no room for this one.
func (a *Attempt) room(wrong []Counted, others []tried) error {
	wrong = slices.DeleteFunc(wrong, func(c Counted) bool { return c.Mark == a.guess }) // held here, or it would be refused
	if full := tooMany("account", wrong, a.account.limit); full != nil {
		return full
	}
	count := len(wrong)
	for _, o := range others {
		same := !o.own
		if a.own {
			same = o.place == a.place
		}
		if same && !holds(wrong, o.secret) {
			count++
		}
	}
	if count >= a.account.limit {
		return &RetryAfter{After: heldUpFor, What: "account"}
	}
	return nil
}

// heldUpFor is the wait for those who are held up by passwords that are being
// tried at this moment and may yet be right.
const heldUpFor = 3 * time.Second

// release ends what admit began in this process. right says that the password
// was proved.
func (a *Attempt) release(right bool) {
	if a.inquiry != nil {
		a.t.inquiries.release(a.inquiry, right)
		a.inquiry = nil
	}
}

// releaseShared ends the hold that other replicas see: they count the password
// no more.
func (a *Attempt) releaseShared() {
	if a.held == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	a.t.counters.Release(ctx, *a.held)
	a.held = nil
}

// End ends the attempt, whether it failed or succeeded.
func (a *Attempt) End() {
	a.release(false)
	a.releaseShared()
	if a.inside {
		a.t.places.leave(a.place)
		a.inside = false
	}
}

// Failed counts the password as wrong.
func (a *Attempt) Failed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	t := a.t
	counts := []Count{{t.refused(a.login), a.secret, refusedFor}}
	if a.inquiry != nil {
		where := ""
		if a.own {
			where = a.place
		}
		counts = append(counts, Count{t.refused(a.account.mark), a.guess, refusedFor}, Count{t.wrong(a.account.mark, where), a.guess, refusedFor})
	}
	if a.place != "" && !a.own {
		counts = append(counts, Count{t.address(a.place), t.marks.Mark("try", string(a.login[:]), string(a.secret[:])), refusedFor})
	}
	t.counters.Add(ctx, counts)
	a.held = nil // what is wrong stays counted
	a.release(false)
}

// TurnedAway caches the refusal of a right password, whose account our own rules
// reject. It counts as no wrong password.
func (a *Attempt) TurnedAway(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	counts := []Count{{a.t.refused(a.login), a.secret, refusedFor}}
	if a.inquiry != nil {
		counts = append(counts, Count{a.t.refused(a.account.mark), a.guess, refusedFor})
	}
	a.t.counters.Add(ctx, counts)
}

// Succeeded notes that the account was proved at this place.
func (a *Attempt) Succeeded(ctx context.Context) {
	counted := a.inquiry != nil
	a.release(true)
	if !counted || a.place == "" {
		return
	}
	proofs := []Mark{a.t.proved(a.account.mark, a.place), a.t.proved(a.login, a.place)}
	if !a.t.newProof(proofs) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	a.t.counters.Add(ctx, []Count{{proofs[0], Mark{}, provedFor}, {proofs[1], Mark{}, provedFor}})
}
