package session

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStatus walks every pair of a state and an age of the last answer. The
// columns are for a redemption that began after the answer; for one that began
// before it, every answer is recent.
func TestStatus(t *testing.T) {
	rows := table(`
		                             0s        29s       30s       4m59s     5m0s      1h0m0s    began-before
		Vouched                      fresh     fresh     fresh     fresh     due       due       fresh
		Vouched,a-stamp-pending      fresh     fresh     fresh     fresh     due       due       fresh
		Never                        fresh     fresh     fresh     fresh     due       due       fresh
		Down                         fresh     fresh     stale     stale     stale     stale     fresh
		Down,vouched-4m-before       fresh     fresh     fresh     stale     stale     stale     fresh
		Down,vouched-59m-before      fresh     fresh     fresh     fresh     stale     due       fresh
		Down,vouched-66m-before      down      down      due       due       due       due       down
		Down,gone                    down      down      due       due       due       due       down
		Lost                         down      down      due       due       due       due       down
		Rejected                     rejected  rejected  due       due       due       due       rejected
		Gone                         gone      gone      due       due       due       due       gone
		Rejected,an-end-pending      ending    ending    due       due       due       due       ending
		Gone,an-end-pending          ending    ending    due       due       due       due       ending
		Never,an-end-pending         ending    ending    due       due       due       due       ending
		Lost,an-end-pending          ending    ending    due       due       due       due       ending`)
	statuses := []string{"fresh", "stale", "due", "rejected", "gone", "ending", "down", "doubted"} // by signInStatus
	cfg := Config{Revalidate: 5 * time.Minute, Grace: time.Hour}
	seen := make(map[Answer]bool)
	for row, cells := range rows {
		name, detail, _ := strings.Cut(row, ",")
		state := func(age time.Duration) *SignIn {
			s := &SignIn{LastAsked: noon.Add(-age), LastAnswer: states[name]}
			s.LastVouched = s.LastAsked
			if detail == "gone" || name == "Gone" {
				s.GoneSince = s.LastAsked
			}
			switch detail {
			case "a-stamp-pending":
				s.PendingSince, s.PendingReason = s.LastAsked, ReasonStamp
			case "an-end-pending":
				s.PendingSince, s.PendingReason = s.LastAsked, ReasonEnded
			case "vouched-4m-before":
				s.LastVouched = s.LastAsked.Add(-4 * time.Minute)
			case "vouched-59m-before":
				s.LastVouched = s.LastAsked.Add(-59 * time.Minute)
			case "vouched-66m-before":
				s.LastVouched = s.LastAsked.Add(-66 * time.Minute)
			}
			seen[s.LastAnswer] = true
			return s
		}
		for column, want := range cells {
			s, began := state(time.Minute), noon.Add(-time.Minute) // a minute: no state has come to the end of its grace by then
			if age, err := time.ParseDuration(column); err == nil {
				s, began = state(age), noon.Add(time.Second)
			}
			if got := statuses[status(s, &cfg, time.Time{}, began, noon)]; got != want {
				t.Errorf("%s, answered %s ago: status = %s, want %s", row, column, got, want)
			}
			checkDoubted(t, row, s, &cfg, began, want)
		}
	}
	if len(seen) != len(states) {
		t.Errorf("the table has %d states, want %d", len(seen), len(states))
	}
}

// checkDoubted checks status in a state while the provider is doubted, after it
// was, and with an answer from after that. Refusals are void; any other status
// is want.
func checkDoubted(t *testing.T, row string, s *SignIn, cfg *Config, began time.Time, want string) {
	t.Helper()
	statuses := map[signInStatus]string{statusFresh: "fresh", statusStale: "stale", statusDue: "due", statusRejected: "rejected",
		statusGone: "gone", statusEnding: "ending", statusDown: "down", statusDoubted: "doubted"}
	for _, tc := range []struct {
		name    string
		doubted time.Time
		want    string
	}{
		{"is doubted", noon, "doubted"},
		{"is doubted for longer", noon.Add(time.Minute), "doubted"},
		{"was doubted since", noon.Add(-time.Millisecond), "due"},
		{"was doubted before", s.LastAsked.Add(-time.Millisecond), want},
	} {
		if tc.name == "was doubted since" && s.LastAsked.After(tc.doubted) {
			continue
		}
		if !s.refuses() || want == "due" {
			tc.want = want
		}
		if got := statuses[status(s, cfg, tc.doubted, began, noon)]; got != tc.want {
			t.Errorf("%s, whose provider %s: status = %s, want %s", row, tc.name, got, tc.want)
		}
	}
}

// TestStatusRevalidateShort: each state is due after revalidate, if that is
// shorter than the retry interval.
func TestStatusRevalidateShort(t *testing.T) {
	cfg := Config{Revalidate: time.Second, Grace: time.Hour}
	for name, state := range states {
		s := &SignIn{LastAnswer: state, LastAsked: noon.Add(-time.Second), LastVouched: noon.Add(-time.Second)}
		want := statusDue
		if state == AnswerDown {
			want = statusStale
		}
		if got := status(s, &cfg, time.Time{}, noon, noon); got != want {
			t.Errorf("%s, answered %v ago: status = %v, want %v", name, cfg.Revalidate, got, want)
		}
	}
}

// TestFinal: which sessions a pending end ends.
func TestFinal(t *testing.T) {
	sessions := []SessionStamp{{Hash{1}, "old"}, {Hash{2}, "older"}, {Hash{3}, ""}}
	for _, tc := range []struct {
		pending string
		doubted time.Time
		want    []byte
		decided bool
	}{
		{"an end", time.Time{}, []byte{1, 2, 3}, true},
		{"gone is", time.Time{}, []byte{1, 2, 3}, true},
		{"a stamp", time.Time{}, []byte{2}, true},
		{"an end", noon, nil, false},
		{"a stamp", noon, []byte{2}, true},
	} {
		p := PendingEnd{SignIn: signInOf("Vouched", "not gone", tc.pending), Sessions: sessions}
		tokens, decided := p.final(tc.doubted)
		var got []byte
		for _, token := range tokens {
			got = append(got, token[0])
		}
		if !slices.Equal(got, tc.want) || decided != tc.decided {
			t.Errorf("%+v: final = %v, %v", tc, got, decided)
		}
	}
}
