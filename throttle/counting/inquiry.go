package counting

import (
	"context"
	"fmt"
	"sync"
)

// inquiries are the passwords that providers are being asked about at this
// moment, by account. Each of them could be wrong, so each is counted as if it
// were. Equal ones wait for the first: if that is wrong, nobody needs to ask
// again.
type inquiries struct {
	mu       sync.Mutex
	underWay map[Mark]map[Mark]*inquiry // account and password; bounded by the logins that the caller has under way at once
}

// inquiry is one password under way for one account. Its fields are guarded by
// inquiries.mu.
type inquiry struct {
	account Mark
	tried
	refs  int           // attempts that hold it
	right bool          // it was proved: whoever comes now need not wait
	done  chan struct{} // closed when the first has its answer
}

// tried says whose count a password that is under way may burden.
type tried struct {
	secret Mark
	place  string
	own    bool // it counts for its place alone; false also as long as that is not known
}

// hold puts a password among those under way, and returns the others of the
// same account that may be wrong. It waits for an equal one; if that proves to
// be right, all who waited go on at once. right says that it already did.
func (q *inquiries) hold(ctx context.Context, account, secret Mark, place string, right bool) (*inquiry, []tried, error) {
	for {
		held, others := q.tryHold(account, secret, place, right)
		if others != nil {
			return held, others, nil
		}
		select {
		case <-held.done:
			right = held.right // set before done is closed, and not changed after
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("wait for the same login: %w", context.Cause(ctx))
		}
	}
}

// tryHold returns others as nil when the caller must wait for held.
func (q *inquiries) tryHold(account, secret Mark, place string, right bool) (held *inquiry, others []tried) {
	q.mu.Lock()
	defer q.mu.Unlock()
	secrets := q.underWay[account]
	held = secrets[secret]
	if held != nil && !held.right && !right {
		return held, nil
	}
	if held == nil {
		if secrets == nil {
			secrets = make(map[Mark]*inquiry)
			q.underWay[account] = secrets
		}
		held = &inquiry{account: account, tried: tried{secret: secret, place: place}, done: make(chan struct{})}
		secrets[secret] = held
	}
	if right {
		held.prove()
	}
	held.refs++
	others = make([]tried, 0, len(secrets)-1)
	for _, i := range secrets {
		if i != held && !i.right {
			others = append(others, i.tried)
		}
	}
	return held, others
}

// prove lets everybody who waits go on. q.mu is held.
func (i *inquiry) prove() {
	if !i.right {
		i.right = true
		close(i.done)
	}
}

// settle notes whose count it is.
func (q *inquiries) settle(i *inquiry, own bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i.own = own
}

// release ends what hold began. right says that the password was proved.
func (q *inquiries) release(i *inquiry, right bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i.refs--
	if right {
		i.prove()
	}
	if i.refs > 0 {
		return
	}
	if !i.right {
		close(i.done)
	}
	delete(q.underWay[i.account], i.secret)
	if len(q.underWay[i.account]) == 0 {
		delete(q.underWay, i.account)
	}
}
