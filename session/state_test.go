package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"shorepass/providers"
)

var (
	states   = []string{"Vouched", "Down", "Rejected", "Gone", "Never", "Held", "Lost"} // by Answer
	outcomes = map[string]outcome{
		"vouched": outcomeVouched, "rejected": outcomeRejected, "ended": outcomeEnded, "gone": outcomeGone,
		"never": outcomeNever, "held": outcomeHeld, "unavailable": outcomeUnavailable,
	}
)

// TestNext walks every pair of a state and an outcome, each with a person who is
// gone and with one who is not.
func TestNext(t *testing.T) {
	const table = `
		             Vouched   Down      Rejected  Gone      Never     Held      Lost      when it is gone, and is not
		vouched      Vouched   Vouched   Vouched   Vouched   Vouched   Vouched   Vouched   zero  zero
		rejected     Rejected  Rejected  Rejected  Rejected  Rejected  Rejected  Rejected  zero  zero
		ended        Rejected  Rejected  Rejected  Rejected  Rejected  Rejected  Rejected  zero  zero
		gone         Gone      Gone      Gone      Gone      Gone      Gone      Gone      same  now
		never        Never     Never     Never     Never     Never     Never     Never     same  zero
		held         Held      Held      Held      Held      Held      Held      Held      same  zero
		unavailable  Down      Down      Lost      Lost      Down      Lost      Lost      same  zero`
	rows := strings.Split(table, "\n")[2:]
	if len(rows) != len(outcomes) {
		t.Fatalf("the table has %d outcomes, want %d", len(rows), len(outcomes))
	}
	for _, row := range rows {
		cells := strings.Fields(row)
		said, wanted, gone := cells[0], cells[1:1+len(states)], cells[1+len(states):]
		for state := range states {
			checkNext(t, said, Answer(state), since, answerOf(wanted[state]), gone[0])
			checkNext(t, said, Answer(state), time.Time{}, answerOf(wanted[state]), gone[1])
		}
	}
}

var (
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	since = noon.Add(-30 * time.Minute) // when a person was found gone
)

// checkNext holds what follows at noon in one state against the table.
func checkNext(t *testing.T, said string, state Answer, gone time.Time, wantAnswer Answer, wantGone string) {
	t.Helper()
	facts := &Facts{Version: Version{2}}
	for _, stamp := range []string{"new", ""} {
		was := Person{ID: 7, Version: Version{1}, Stamp: "old", Checked: noon.Add(-time.Hour), Asked: noon.Add(-time.Minute), Answer: state, Gone: gone, Lease: noon.Add(time.Second)}
		a, want := answer{outcome: outcomes[said]}, was
		want.Asked, want.Lease, want.Answer = noon, time.Time{}, wantAnswer
		want.Gone = map[string]time.Time{"zero": {}, "same": since, "now": noon}[wantGone]
		if said == "vouched" {
			a.stamp, a.facts = stamp, facts
			want.Checked, want.Version = noon, facts.Version
			want.Stamp = cmp.Or(stamp, was.Stamp)
		}
		if diff := gocmp.Diff(want, next(was, a, noon)); diff != "" {
			t.Errorf("%s after %s, gone since %v, stamp %q (-want +got):\n%s", said, states[state], gone, stamp, diff)
		}
	}
}

// TestLoggedIn walks every pair of a state and a login's time, each with a person
// who is gone and with one who is not, at a login with a stamp and at one without:
// a login is the answer vouched, unless the provider has vouched later.
func TestLoggedIn(t *testing.T) {
	facts := &Facts{Version: Version{2}}
	for state, name := range states {
		for _, gone := range []time.Time{{}, since} {
			for _, stamp := range []string{"new", ""} {
				was := Person{ID: 7, Version: Version{1}, Stamp: "old", Checked: noon, Asked: noon.Add(time.Minute), Answer: Answer(state), Gone: gone, Lease: noon.Add(time.Hour)}
				for _, tc := range []struct {
					after   time.Duration // the provider has vouched
					changes bool
				}{
					{-time.Hour, false},
					{-time.Millisecond, false},
					{0, true},
					{time.Millisecond, true},
					{time.Hour, true},
				} {
					now, want := noon.Add(tc.after), was
					if tc.changes {
						want = Person{ID: 7, Version: facts.Version, Stamp: cmp.Or(stamp, "old"), Checked: now, Asked: now, Answer: AnswerVouched, Lease: was.Lease}
					}
					if diff := gocmp.Diff(want, loggedIn(was, answer{outcome: outcomeVouched, stamp: stamp, facts: facts}, now)); diff != "" {
						t.Errorf("a login %v after %s, gone since %v, stamp %q (-want +got):\n%s", tc.after, name, gone, stamp, diff)
					}
				}
			}
		}
	}
}

// TestLoggedInFirst: the row of a first login is what the provider said there.
func TestLoggedInFirst(t *testing.T) {
	for _, stamp := range []string{"new", ""} {
		want := Person{Version: Version{2}, Stamp: stamp, Checked: noon, Asked: noon, Answer: AnswerVouched}
		a := answer{outcome: outcomeVouched, stamp: stamp, facts: &Facts{Version: want.Version}}
		if diff := gocmp.Diff(want, loggedIn(Person{}, a, noon)); diff != "" {
			t.Errorf("a first login with the stamp %q (-want +got):\n%s", stamp, diff)
		}
	}
}

// answerOf returns the Answer of that name.
func answerOf(name string) Answer { return Answer(slices.Index(states, name)) }

// TestEndedBy says which answers end sessions, and why.
func TestEndedBy(t *testing.T) {
	const grace = time.Hour
	for _, tc := range []struct {
		outcome   string
		was, said string        // stamps
		gone      time.Duration // for how long; 0 is not gone
		want      Reason
	}{
		{"vouched", "s1", "s1", 0, ""},
		{"vouched", "s1", "s2", 0, ReasonStamp},
		{"vouched", "s1", "", 0, ""},
		{"vouched", "", "s2", 0, ""},
		{"vouched", "s1", "s2", 2 * grace, ReasonStamp},
		{"vouched", "s1", "s1", 2 * grace, ""},
		{"ended", "s1", "", 0, ReasonEnded},
		{"ended", "s1", "", grace, ReasonEnded},
		{"gone", "s1", "", 0, ""},
		{"gone", "s1", "", grace - 1, ""},
		{"gone", "s1", "", grace, ReasonGone},
		{"rejected", "s1", "", 2 * grace, ""},
		{"never", "s1", "", 2 * grace, ""},
		{"held", "s1", "", 2 * grace, ""},
		{"unavailable", "s1", "", 2 * grace, ""},
	} {
		was := Person{Stamp: tc.was}
		if tc.gone > 0 {
			was.Gone = noon.Add(-tc.gone)
		}
		if got := endedBy(was, answer{outcome: outcomes[tc.outcome], stamp: tc.said}, grace, noon); got != tc.want {
			t.Errorf("%+v: endedBy = %q", tc, got)
		}
	}
}

// TestStatus walks every pair of a state and an age, which is that of the last
// answer. The table has what a redemption does that began after the answer; for
// one that began before, every answer is recent.
func TestStatus(t *testing.T) {
	const table = `
		                             0         29s       30s       4m59s     5m        1h        began before
		Vouched                      fresh     fresh     fresh     fresh     due       due       fresh
		Never                        fresh     fresh     fresh     fresh     due       due       fresh
		Down                         fresh     fresh     stale     stale     stale     stale     fresh
		Down,vouched-59m-before      fresh     fresh     stale     stale     stale     due       fresh
		Down,vouched-66m-before      down      down      due       due       due       due       down
		Down,gone                    down      down      due       due       due       due       down
		Lost                         down      down      due       due       due       due       down
		Rejected                     rejected  rejected  due       due       due       due       rejected
		Gone                         gone      gone      due       due       due       due       gone
		Held                         held      held      due       due       due       due       held`
	statuses := []string{"fresh", "stale", "due", "rejected", "gone", "down", "held"} // by personStatus
	cfg := Config{Revalidate: 5 * time.Minute, Grace: time.Hour}
	ages := []time.Duration{0, 29 * time.Second, 30 * time.Second, 5*time.Minute - time.Second, 5 * time.Minute, time.Hour}
	seen := make(map[Answer]bool)
	for _, row := range strings.Split(table, "\n")[2:] {
		cells := strings.Fields(row)
		name, detail, _ := strings.Cut(cells[0], ",")
		state := func(age time.Duration) *Person {
			p := &Person{Asked: noon.Add(-age), Answer: answerOf(name)}
			p.Checked = p.Asked
			switch {
			case detail == "gone" || name == "Gone":
				p.Gone = p.Asked
			case detail != "":
				var minutes int
				if _, err := fmt.Sscanf(detail, "vouched-%dm-before", &minutes); err != nil {
					t.Fatal(err)
				}
				p.Checked = p.Asked.Add(-time.Duration(minutes) * time.Minute)
			}
			seen[p.Answer] = true
			return p
		}
		for i, age := range ages {
			if got := statuses[status(state(age), &cfg, noon.Add(time.Second), noon)]; got != cells[1+i] {
				t.Errorf("%s, answered %v ago: status = %s, want %s", cells[0], age, got, cells[1+i])
			}
		}
		// A minute: no state has come to the end of its grace by then.
		if got := statuses[status(state(time.Minute), &cfg, noon.Add(-time.Minute), noon)]; got != cells[1+len(ages)] {
			t.Errorf("%s, answered since the request began: status = %s, want %s", cells[0], got, cells[1+len(ages)])
		}
	}
	if len(seen) != len(states) {
		t.Errorf("the table has %d states, want %d", len(seen), len(states))
	}
}

// TestStatusRevalidateShort: no state is left alone for longer than revalidate.
func TestStatusRevalidateShort(t *testing.T) {
	cfg := Config{Revalidate: time.Second, Grace: time.Hour}
	for state, name := range states {
		p := &Person{Answer: Answer(state), Asked: noon.Add(-time.Second), Checked: noon.Add(-time.Second)}
		want := statusDue
		if p.Answer == AnswerDown {
			want = statusStale
		}
		if got := status(p, &cfg, noon, noon); got != want {
			t.Errorf("%s, answered %v ago: status = %v, want %v", name, cfg.Revalidate, got, want)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	wrap := func(errs ...error) error {
		return fmt.Errorf("ask: %w", errors.Join(append(errs, errors.New("a cause"))...))
	}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, "vouched"},
		{wrap(providers.ErrCannotRevalidate), "never"},
		{wrap(providers.ErrRejected, providers.ErrEnded), "ended"},
		{wrap(providers.ErrGone), "gone"},
		{wrap(providers.ErrNotMine), "gone"},
		{wrap(providers.ErrRejected), "rejected"},
		{&providers.RotatedError{Err: providers.ErrRejected}, "rejected"},
		{wrap(), "unavailable"},
	} {
		if got := outcomeOf(tc.err); got != outcomes[tc.want] {
			t.Errorf("outcomeOf(%v) = %v, want %s", tc.err, got, tc.want)
		}
	}
}
