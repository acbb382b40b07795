package throttle

import (
	"context"
	"time"
)

// Settle records the outcome of the password. Entries that stay are written before
// Settle returns, so that the next login sees them; removals and a proof are written
// after it (write-behind). The cause goes with a refusal, and is repeated for an equal
// password that is refused without asking; each of its texts is cut at 200 bytes. An
// attempt that reserved no entry counts for its address alone. One that is never
// settled is MayBeCounted.
func (a *Attempt) Settle(o Outcome, cause Cause) {
	if a.done {
		return
	}
	a.done = true
	defer a.release()
	cause = Cause{cause.Reason[:min(len(cause.Reason), maxCause)], cause.Detail[:min(len(cause.Detail), maxCause)]}
	if o.is401() && cause.Reason == "" {
		cause.Reason = "refused"
	}
	a.cacheRefusal(o, cause)
	write := func(ctx context.Context) {
		// Where the outcome cannot be written, the lease of the entry expires.
		_ = a.rows.update(ctx, func(now time.Time) ([]Change, error) { return a.outcomeChanges(now, o, cause.Reason) })
	}
	if o != Proved && o != NotCounted {
		run(write)
		return
	}
	if o == Proved && a.call != nil {
		a.t.calls.setProved(a.call)
	}
	a.t.writes.do(a.rows.used(), write)
}

// maxCause bounds each text of a Cause, in bytes.
const maxCause = 200

// cacheRefusal caches a refusal in the process, under account and password. Where no
// state of the account shows whether the refusal still holds, it caches the refusal
// under the guess too. A wrong password is cached only in that case: else its entry in
// the account window, which has the state, serves.
func (a *Attempt) cacheRefusal(o Outcome, cause Cause) {
	stateless := a.req.state == (MAC{})
	if !a.reserved && !a.isToken || !(o == ProvedRefused || o == OtherRefusal || o == Wrong && stateless) {
		return
	}
	r := refusal{a.req.name, a.req.state, cause, time.Now().Add(refusalTTL)}
	if a.reserved {
		a.t.refusals.put(a.req.secret, r, a.isCurrent)
	}
	if stateless {
		a.t.refusals.put(a.text, r, a.isCurrent)
	}
}

// findRefusal looks the password up in the cache of refusals, which may have it from
// another login name of the account.
func (a *Attempt) findRefusal() {
	r, ok := a.t.refusals.find(a.req.secret, a.req.state)
	if !ok {
		return
	}
	a.req.cached = &r.cause
	if a.req.state == (MAC{}) {
		r.name = a.req.name
		a.t.refusals.put(a.text, r, a.isCurrent)
	}
}

// isCurrent reports whether the configuration is still that of the attempt. A reload
// may have removed the cause of a refusal.
func (a *Attempt) isCurrent() bool { return a.t.cfg.Load() == a.cfg }

// outcomeChanges returns the changes of rows that an outcome makes.
func (a *Attempt) outcomeChanges(now time.Time, o Outcome, reason string) (changes []Change, err error) {
	if a.reserved {
		before, err := a.windows(now)
		if err != nil {
			return nil, err
		}
		changes = a.windowChanges(before, settle(before, &a.req, o, reason, a.askedAt))
	}
	if a.nameOnly {
		changes = a.paddingChanges()
	}
	switch {
	case a.address == "" || a.req.hasProof && o != Proved:
		return changes, nil
	case o.is401():
		b, err := a.budget(now)
		if err != nil {
			return nil, err
		}
		if b, isNew := b.add(a.pair, now, a.cfg.AddressFailures); isNew {
			changes = append(changes, a.rows.change(budgetRow, b.encode(), b.expires()))
		}
	case o == Proved && !a.isToken && a.rows.proofIsDue(now):
		changes = append(changes, a.rows.proofChange(now))
	}
	return changes, nil
}

// End ends the attempt, settled or not. It may be called again.
func (a *Attempt) End() {
	if a.reserved {
		a.Settle(MayBeCounted, Cause{})
	}
	if !a.done {
		a.done = true
		a.release()
	}
}

// release releases what the attempt occupies in this process: its call, and its turn
// in the queue of its address.
func (a *Attempt) release() {
	if a.reserved {
		a.t.asking.Add(-1)
	}
	a.leaveCall()
	a.leaveQueue()
}

func (a *Attempt) leaveCall() {
	if a.call != nil {
		a.t.calls.leave(a.call)
		a.call = nil
	}
}

func (a *Attempt) leaveQueue() {
	if a.running {
		a.t.queues.leave(a.address)
		a.running = false
	}
}
