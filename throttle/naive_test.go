package throttle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// naive is a reference implementation of the rule of the windows, written without
// entries and leases: it stores every event, and replays them for each verdict.
type naive struct {
	limit  Limit
	events []event
}

// event is an event in the life of a password.
type event struct {
	password byte
	at       time.Time
	what     happened
	asked    time.Time // of an outcome
	state    byte
}

// happened is an outcome, or sent or unsent.
type happened = Outcome

const (
	sent   happened = 100 // to the provider
	unsent happened = 101 // refused without asking the provider
)

// known is the state of one password.
type known struct {
	sent     time.Time
	outcome  Outcome // the last answer, 0 for none
	failures int     // that the provider may have counted
	state    byte
	inFlight time.Time // since when; zero where it is not in flight
}

// naiveWindow has the states of the passwords of an account, or of a name.
type naiveWindow map[byte]*known

// at advances a window to now.
func (w naiveWindow) at(now time.Time, quiet time.Duration, ofName bool) {
	var youngest time.Time
	for password, k := range w {
		if asked := k.inFlight; !asked.IsZero() && !now.Before(asked.Add(leaseTTL)) {
			w.happens(event{password: password, what: MayBeCounted, asked: asked}, ofName)
		}
	}
	for _, k := range w {
		for _, t := range []time.Time{k.sent, k.inFlight} {
			if t.After(youngest) {
				youngest = t
			}
		}
	}
	if !now.Before(youngest.Add(quiet)) {
		clear(w)
	}
}

func (w naiveWindow) happens(e event, ofName bool) {
	k, was := w[e.password], w[e.password] != nil
	if !was {
		k = &known{sent: e.at}
		if e.what < sent {
			k.sent = e.asked
		}
	}
	stays := true
	switch e.what {
	case sent:
		k.inFlight = e.at
	case unsent:
		if stays = was || ofName; ofName {
			k.outcome, k.failures = Wrong, 1
		}
	case Proved:
		stays = false
	case ProvedRefused:
		stays = ofName
	case NotCounted:
		stays = k.outcome != 0
	case MayBeCounted:
		if ofName {
			stays = k.outcome != 0
		} else {
			k.outcome, k.failures, k.sent = MayBeCounted, k.failures+1, e.asked
		}
	}
	switch e.what {
	case Wrong, OtherRefusal, ProvedRefused:
		if k.outcome == 0 || k.outcome == MayBeCounted {
			k.failures++
		}
		if k.outcome, k.state = e.what, e.state; e.what != OtherRefusal {
			k.sent = e.asked
		}
	}
	if e.what < sent {
		k.inFlight = time.Time{}
	}
	if stays {
		w[e.password] = k
	} else {
		delete(w, e.password)
	}
}

func (n *naive) replay(now time.Time, ofName bool) naiveWindow {
	w, quiet := naiveWindow{}, n.limit.Window+time.Minute
	for _, e := range n.events {
		w.at(e.at, quiet, ofName)
		w.happens(e, ofName)
	}
	w.at(now, quiet, ofName)
	return w
}

// total returns how many failures the provider may have counted, of one outcome
// or of all.
func (w naiveWindow) total(only Outcome) (n int) {
	for _, k := range w {
		if only != 0 && k.outcome != only {
			continue
		}
		n += k.failures
		if !k.inFlight.IsZero() && (k.outcome == 0 || k.outcome == MayBeCounted) {
			n++
		}
	}
	return n
}

// verdict returns the verdict on a password as of now.
func (n *naive) verdict(now time.Time, password, state byte, proved bool) string {
	room := n.limit.Passwords
	if !proved && room >= 2 {
		room--
	}
	name, account := n.replay(now, true), n.replay(now, false)
	if name[password] == nil && name.total(0) >= room {
		return "429"
	}
	k := account[password]
	switch {
	case k == nil && account.total(0) < room:
		return "ask"
	case k == nil && account.total(MayBeCounted) >= room:
		return "503"
	case k == nil:
		return "full"
	case !k.inFlight.IsZero():
		return "wait"
	case k.outcome == Wrong && k.state == state:
		return "repeat"
	case k.outcome == MayBeCounted && account.total(0) >= room:
		return "503"
	}
	return "ask"
}

// lockout is a directory that counts failures as Active Directory does: its count
// returns to zero after a window without a failure, and it locks the account above the
// limit.
type lockout struct {
	window time.Duration
	count  int
	last   time.Time
}

func (l *lockout) fail(at time.Time) {
	if at.Sub(l.last) >= l.window {
		l.count = 0
	}
	l.count, l.last = l.count+1, at
}

// game plays passwords against the rule, the reference implementation and a directory.
type game struct {
	t         *testing.T
	now       time.Time
	limit     Limit
	windows   windows
	naive     naive
	directory lockout
	state     byte
	holder    int64
	inFlight  []attemptInFlight
}

type attemptInFlight struct {
	req      request
	asked    time.Time
	password byte
}

func (g *game) request(password byte, proved bool) request {
	g.holder++
	return request{name: MAC{99}, nameSecret: MAC{password}, secret: MAC{password}, state: MAC{g.state}, nameLimit: g.limit, accountLimit: g.limit, holder: g.holder, hasProof: proved}
}

func (g *game) at() windows {
	return windows{g.windows.name.nameWindowAt(g.now, g.limit.Window), g.windows.account.accountWindowAt(g.now, g.limit.Window)}
}

// guess reserves for a password, and leaves the attempt in flight where it was sent.
func (g *game) guess(password byte, proved bool) {
	t := g.request(password, proved)
	after, answer, err := reserve(g.at(), &t, g.now)
	got := map[Verdict]string{Ask: "ask", Repeat: "repeat", Full: "full"}[answer.Verdict]
	switch _, limited := errors.AsType[*RetryAfter](err); {
	case limited:
		got = "429"
	case errors.Is(err, ErrUnanswered):
		got = "503"
	case errors.Is(err, errLeased):
		got = "wait"
	}
	if want := g.naive.verdict(g.now, password, g.state, proved); got != want {
		var story strings.Builder
		for _, e := range g.naive.events {
			fmt.Fprintf(&story, "%v: password %d, %d in state %d\n", e.at.Sub(noon), e.password, e.what, e.state)
		}
		g.t.Fatalf("at %v: password %d is %q, want %q; windows: %s; %s\n%s", g.now.Sub(noon), password, got, want, g.at().name.shown(), g.at().account.shown(), &story)
	}
	if err != nil {
		return
	}
	g.windows = after
	e := event{password: password, at: g.now, what: unsent}
	if got == "ask" {
		e.what = sent
		g.inFlight = append(g.inFlight, attemptInFlight{t, g.now, password})
	}
	g.naive.events = append(g.naive.events, e)
}

// settle settles an attempt in flight.
func (g *game) settle(i int, o Outcome) {
	if len(g.inFlight) == 0 {
		return
	}
	i %= len(g.inFlight)
	a := g.inFlight[i]
	g.inFlight = append(g.inFlight[:i], g.inFlight[i+1:]...)
	if g.now.Sub(a.asked) >= leaseTTL {
		return // the lease has expired, and no login takes as long
	}
	g.windows = settle(g.at(), &a.req, o, "why", a.asked)
	g.naive.events = append(g.naive.events, event{a.password, g.now, o, a.asked, a.req.state[0]})
	switch o {
	case Wrong, MayBeCounted:
		g.arrive(a.asked)
	case Proved, ProvedRefused:
		g.directory.count = 0
	}
}

// arrive has the directory count a failure, and fails the test above the limit.
func (g *game) arrive(at time.Time) {
	if at.Before(g.directory.last) {
		at = g.directory.last
	}
	if g.directory.fail(at); g.directory.count > g.limit.Passwords {
		g.t.Fatalf("at %v the directory counts %d failures, want at most %d", g.now.Sub(noon), g.directory.count, g.limit.Passwords)
	}
}

// pass lets time pass. A password that is in flight for longer than its lease may have
// arrived.
func (g *game) pass(d time.Duration) {
	g.now = g.now.Add(d)
	var left []attemptInFlight
	for _, a := range g.inFlight {
		if g.now.Sub(a.asked) < leaseTTL {
			left = append(left, a)
		} else {
			g.arrive(a.asked)
		}
	}
	g.inFlight = left
}

// FuzzWindow plays the rule of the windows over time against the reference
// implementation, and against a directory that locks the account when it counts more
// failures than the limit.
func FuzzWindow(f *testing.F) {
	f.Add(byte(4), []byte{0, 1, 50, 2, 0, 1, 60, 2, 3, 90, 0, 50, 7, 0, 0, 90})
	f.Add(byte(1), []byte{})
	f.Fuzz(func(t *testing.T, limit byte, steps []byte) {
		l := Limit{Passwords: int(limit%6) + 1, Window: 30 * time.Minute}
		g := &game{t: t, now: noon, limit: l, naive: naive{limit: l}, directory: lockout{window: l.Window}}
		for _, s := range steps[:min(len(steps), 300)] {
			switch n := s / 8; {
			case s%8 < 3:
				g.guess(n%7, s%8 == 0)
			case s%8 < 6:
				g.settle(int(n), []Outcome{Proved, ProvedRefused, Wrong, OtherRefusal, NotCounted, MayBeCounted}[n%6])
			case s%8 == 6:
				g.pass([]time.Duration{time.Second, 14 * time.Second, leaseTTL, time.Minute, 10 * time.Minute, 29 * time.Minute, 31 * time.Minute}[n%7])
			default: // a new password, or an unlocked account: the directory resets its count
				if len(g.inFlight) == 0 {
					g.state++
					g.directory.count = 0
				}
			}
		}
	})
}
