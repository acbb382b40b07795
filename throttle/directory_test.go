package throttle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
)

var (
	home     = netip.MustParseAddr("192.0.2.7")
	stranger = netip.MustParseAddr("198.51.100.20")
	nowhere  = netip.Addr{}

	four = Limit{Passwords: 4, Window: 30 * time.Minute}
)

// directory is the account base of a test. Its method login does with a throttle what
// the chain does: look up, reserve, prove, settle.
type directory struct {
	mu       sync.Mutex
	accounts map[string]*person // by the text of a login name
	limit    Limit
	slow     time.Duration // how long a proof takes
	proofs   []string      // passwords that arrived
}

type person struct {
	subject  string
	state    string
	password string
	fails    map[string]Outcome // the outcome of a password, other than Proved or Wrong
	always   Outcome            // the outcome of every password, if it is not 0
}

func newDirectory() *directory {
	bob := &person{subject: "uuid-bob", state: "s1", password: "right", fails: map[string]Outcome{}}
	alice := &person{subject: "uuid-alice", state: "s1", password: "right", fails: map[string]Outcome{}}
	return &directory{limit: four, accounts: map[string]*person{"bob": bob, "bob@mail": bob, "alice": alice}}
}

func (d *directory) person(text string) *person {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.accounts[text]
}

func (d *directory) arrived() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.proofs)
}

// prove returns the outcome of a password, as a provider would.
func (d *directory) prove(p *person, password string) Outcome {
	time.Sleep(d.slow)
	d.mu.Lock()
	defer d.mu.Unlock()
	o := p.fails[password]
	if p.always != 0 {
		o = p.always
	}
	if o != NotCounted {
		d.proofs = append(d.proofs, password)
	}
	switch {
	case o != 0:
		return o
	case password == p.password:
		return Proved
	}
	return Wrong
}

func (d *directory) guess(text, password string, from netip.Addr) Guess {
	return Guess{Name: nameOf(text), Text: text, Secret: secret.New(password), Address: from, Limit: d.limit}
}

// nameOf returns the key of a login name: "Bob" has that of "bob".
func nameOf(text string) string {
	if text == "Bob" {
		return "bob"
	}
	return text
}

// login logs in, and returns the HTTP status with the reason of a refusal.
func (d *directory) login(ctx context.Context, t *Throttle, text, password string, from netip.Addr) string {
	a, err := t.Begin(ctx, d.guess(text, password, from))
	if err != nil {
		return status(err)
	}
	defer a.End()
	p := d.person(text)
	if p == nil {
		if err := a.ReserveName(ctx); err != nil {
			return status(err)
		}
		a.Settle(Unknown, Cause{Reason: "no such account"})
		return "401 no such account"
	}
	answer, err := a.Reserve(ctx, Account{Provider: "corp", Subject: p.subject, State: p.state, Limit: d.limit})
	switch {
	case err != nil:
		return status(err)
	case answer.Verdict == Repeat:
		a.Settle(Unknown, answer.Cause)
		return "401 " + answer.Cause.Reason
	case answer.Verdict == Full:
		a.Settle(Unknown, answer.Cause)
		return "401 full"
	}
	o := d.prove(p, password)
	reason := map[Outcome]string{ProvedRefused: "configuration", Wrong: "wrong password", OtherRefusal: "locked"}[o]
	a.Settle(o, Cause{Reason: reason})
	switch {
	case o == Proved:
		return "200"
	case o.is401():
		return "401 " + reason
	}
	return "503"
}

func status(err error) string {
	if limited, ok := errors.AsType[*RetryAfter](err); ok {
		return fmt.Sprintf("429 %s %v", limited.Limit, limited.After.Round(time.Second))
	}
	if refused, ok := errors.AsType[*Refused](err); ok {
		return "401 " + refused.Cause.Reason
	}
	if errors.Is(err, ErrUnanswered) {
		return "503 unanswered"
	}
	return "error: " + err.Error()
}

// newTest returns a throttle that is closed when the test ends.
func newTest(t testing.TB, store Store) *Throttle {
	throttle := New(store, make([]byte, 32), Config{AddressFailures: 30}, slog.New(slog.DiscardHandler))
	t.Cleanup(throttle.Close)
	return throttle
}
