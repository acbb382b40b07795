package throttle

import (
	"errors"
	"testing"
	"time"
)

// naive is the rule of the windows as DESIGN tells it, written without entries
// and leases: it keeps all that ever happened, and works out from that what holds
// now.
type naive struct {
	limit  Limit
	events []event
}

// event is a password that was sent, with its outcome once there is one, or one
// that was refused without being sent.
type event struct {
	password byte
	at       time.Time // of sending
	settled  time.Time // zero while it is under way
	outcome  Outcome   // 0 while it is under way
	state    byte
	unsent   bool // refused without sending
}

// known is what the naive rule knows of a password.
type known struct {
	sent     time.Time
	outcome  Outcome // the last of Wrong, OtherRefusal, ProvedRefused, MayHaveArrived; 0 for none
	failures int     // that the provider may have counted
	state    byte
	underWay bool
}

// failures replays what happened to the window of the account, or of the name.
func (n *naive) replay(now time.Time, ofName bool) map[byte]*known {
	window := map[byte]*known{}
	quiet := n.limit.Window + time.Minute
	clearAt := func(t time.Time) {
		var youngest time.Time
		for _, k := range window {
			if k.sent.After(youngest) {
				youngest = k.sent
			}
		}
		if !t.Before(youngest.Add(quiet)) {
			clear(window)
		}
	}
	for _, e := range n.events {
		clearAt(e.at)
		k, was := window[e.password], window[e.password] != nil
		if !was {
			k = &known{sent: e.at}
			window[e.password] = k
		}
		before := *k
		outcome := e.outcome
		if outcome == 0 && !now.Before(e.at.Add(leaseTTL)) {
			outcome = MayHaveArrived
		}
		switch {
		case e.unsent:
			if ofName {
				k.outcome, k.failures = Wrong, 1
			} else if !was {
				delete(window, e.password)
			}
		case outcome == 0:
			k.underWay = true
			if e.at.After(k.sent) {
				k.sent = e.at
			}
		case outcome == Proved, outcome == ProvedRefused && !ofName:
			delete(window, e.password)
		case outcome == NotSent, outcome == MayHaveArrived && ofName:
			if !was {
				delete(window, e.password)
			} else {
				*k = before
			}
		case outcome == MayHaveArrived:
			k.sent, k.outcome, k.failures = e.at, MayHaveArrived, before.failures+1
		default:
			if outcome == Wrong || !was || ofName && outcome == ProvedRefused {
				k.sent = e.at
			}
			if before.outcome == 0 || before.outcome == MayHaveArrived {
				k.failures = before.failures + 1
			}
			k.outcome, k.state = outcome, e.state
		}
	}
	clearAt(now)
	return window
}

func total(window map[byte]*known, only Outcome) (n int) {
	for _, k := range window {
		if only != 0 && k.outcome != only {
			continue
		}
		n += k.failures
		if k.underWay && (k.outcome == 0 || k.outcome == MayHaveArrived) {
			n++
		}
	}
	return n
}

// verdict is what becomes of a password now.
func (n *naive) verdict(now time.Time, password, state byte, proved bool) string {
	room := n.limit.Passwords
	if !proved && room >= 2 {
		room--
	}
	name, account := n.replay(now, true), n.replay(now, false)
	if name[password] == nil && total(name, 0) >= room {
		return "429"
	}
	k := account[password]
	switch {
	case k == nil && total(account, 0) < room:
		return "ask"
	case k == nil && total(account, MayHaveArrived) >= room:
		return "503"
	case k == nil:
		return "full"
	case k.underWay:
		return "wait"
	case k.outcome == Wrong && k.state == state:
		return "repeat"
	case k.outcome == MayHaveArrived && total(account, 0) >= room:
		return "503"
	}
	return "ask"
}

// lockout is a directory that counts failures as Active Directory does: its count
// goes back to nothing once none came for as long as the window, and it locks the
// account above the limit.
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

// game plays passwords against the rule, the naive rule and a directory.
type game struct {
	t         *testing.T
	now       time.Time
	limit     Limit
	windows   windows
	naive     naive
	directory lockout
	state     byte
	holder    int64
	underWay  []attemptOf
}

type attemptOf struct {
	try   try
	asked time.Time
	event int
}

func (g *game) try(password byte, proved bool) try {
	g.holder++
	return try{name: Mark{99}, nameSecret: Mark{password}, secret: Mark{password}, state: Mark{g.state}, nameLimit: g.limit, accountLimit: g.limit, holder: g.holder, proved: proved}
}

func (g *game) at() windows {
	return windows{g.windows.name.nameWindowAt(g.now, g.limit.Window), g.windows.account.accountWindowAt(g.now, g.limit.Window)}
}

// guess tries a password, and leaves it under way where it was sent.
func (g *game) guess(password byte, proved bool) {
	t := g.try(password, proved)
	after, answer, err := reserve(g.at(), &t, g.now)
	got := map[Verdict]string{Ask: "ask", Repeat: "repeat", Full: "full"}[answer.Verdict]
	switch _, held := errors.AsType[*RetryAfter](err); {
	case held:
		got = "429"
	case errors.Is(err, ErrUnanswered):
		got = "503"
	case errors.Is(err, errLeased):
		got = "wait"
	}
	if want := g.naive.verdict(g.now, password, g.state, proved); got != want {
		g.t.Fatalf("at %v: password %d is %q, want %q\nnaive: %+v\nwindows: %s; %s", g.now.Sub(noon), password, got, want, g.naive.events, g.windows.name.shown(), g.windows.account.shown())
	}
	if err != nil {
		return
	}
	g.windows = after
	g.naive.events = append(g.naive.events, event{password: password, at: g.now, unsent: got != "ask"})
	if got == "ask" {
		g.underWay = append(g.underWay, attemptOf{t, g.now, len(g.naive.events) - 1})
	}
}

// settle ends an attempt that is under way.
func (g *game) settle(i int, o Outcome) {
	if len(g.underWay) == 0 {
		return
	}
	i %= len(g.underWay)
	a := g.underWay[i]
	g.underWay = append(g.underWay[:i], g.underWay[i+1:]...)
	if g.now.Sub(a.asked) >= leaseTTL {
		return // no login takes as long
	}
	g.windows = settle(g.at(), &a.try, o, "why", a.asked)
	e := &g.naive.events[a.event]
	e.outcome, e.settled, e.state = o, g.now, a.try.state[0]
	switch o {
	case Wrong, MayHaveArrived:
		g.arrive(a.asked)
	case Proved, ProvedRefused:
		g.directory.count = 0
	}
}

// arrive has the directory count a failure.
func (g *game) arrive(at time.Time) {
	if at.Before(g.directory.last) {
		at = g.directory.last
	}
	if g.directory.fail(at); g.directory.count > g.limit.Passwords {
		g.t.Fatalf("at %v the directory counts %d failures, want at most %d\nnaive: %+v", g.now.Sub(noon), g.directory.count, g.limit.Passwords, g.naive.events)
	}
}

// pass lets time pass. What is under way for too long may have arrived.
func (g *game) pass(d time.Duration) {
	g.now = g.now.Add(d)
	var left []attemptOf
	for _, a := range g.underWay {
		if g.now.Sub(a.asked) < leaseTTL {
			left = append(left, a)
		} else {
			g.arrive(a.asked)
		}
	}
	g.underWay = left
}

// FuzzWindow plays the rule of the windows over time against the naive one, and
// against a directory, which locks the account if it ever counts more failures
// than the limit.
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
				g.settle(int(n), []Outcome{Proved, ProvedRefused, Wrong, OtherRefusal, NotSent, MayHaveArrived}[n%6])
			case s%8 == 6:
				g.pass([]time.Duration{time.Second, 14 * time.Second, leaseTTL, time.Minute, 10 * time.Minute, 29 * time.Minute, 31 * time.Minute}[n%7])
			default: // a password set anew, or an account unlocked: which ends what is counted
				if len(g.underWay) == 0 {
					g.state++
					g.directory.count = 0
				}
			}
		}
	})
}
