package session

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"shorepass/providers"
)

var (
	states   = map[string]Answer{"Vouched": AnswerVouched, "Down": AnswerDown, "Rejected": AnswerRejected, "Gone": AnswerGone, "Never": AnswerNever, "Lost": AnswerLost}
	outcomes = map[string]outcome{
		"vouched": outcomeVouched, "rejected": outcomeRejected, "ended": outcomeEnded, "gone": outcomeGone,
		"never": outcomeNever, "unavailable": outcomeUnavailable,
	}

	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	grace    = time.Hour
	identity = &StoredIdentity{Version: Version{2}}
)

// gones and pendings are the other columns of a state.
var (
	gones = map[string]time.Time{"not gone": {}, "gone": noon.Add(-30 * time.Minute), "gone for grace": noon.Add(-grace)}

	pendings = map[string]SignIn{
		"none":      {},
		"a stamp":   {PendingSince: noon.Add(-time.Minute), PendingReason: ReasonStamp},
		"an end":    {PendingSince: noon.Add(-time.Minute), PendingReason: ReasonEnded},
		"gone is":   {PendingSince: noon.Add(-time.Minute), PendingReason: ReasonGone},
		"now stamp": {PendingSince: noon, PendingReason: ReasonStamp},
		"now ended": {PendingSince: noon, PendingReason: ReasonEnded},
		"now gone":  {PendingSince: noon, PendingReason: ReasonGone},
	}
)

// signInOf is a sign-in in a state.
func signInOf(state, gone, pending string) SignIn {
	p := pendings[pending]
	return SignIn{
		ID: 7, Version: Version{1}, Stamp: "old", TokenVersion: 3, LastVouched: noon.Add(-time.Hour), LastAsked: noon.Add(-time.Minute),
		LastAnswer: states[state], GoneSince: gones[gone], PendingSince: p.PendingSince, PendingReason: p.PendingReason, LeaseUntil: noon.Add(time.Second),
	}
}

// TestNext walks every pair of a state and an outcome. The three parts of a
// state change independently: the answer, since when the person is gone, and
// the pending end.
func TestNext(t *testing.T) {
	rows := table(`
		             Vouched   Down      Rejected  Gone      Never     Lost
		vouched      Vouched   Vouched   Vouched   Vouched   Vouched   Vouched
		rejected     Rejected  Rejected  Rejected  Rejected  Rejected  Rejected
		ended        Rejected  Rejected  Rejected  Rejected  Rejected  Rejected
		gone         Gone      Gone      Gone      Gone      Gone      Gone
		never        Never     Never     Never     Never     Never     Never
		unavailable  Down      Down      Lost      Lost      Down      Lost`)
	goneRows := table(`
		             not-gone  gone      gone-for-grace
		vouched      not-gone  not-gone  not-gone
		rejected     not-gone  not-gone  not-gone
		ended        not-gone  not-gone  not-gone
		gone         now       gone      gone-for-grace
		never        not-gone  gone      gone-for-grace
		unavailable  not-gone  gone      gone-for-grace`)
	pendingRows := table(`
		                             none       a-stamp    an-end     gone-is
		vouched                      none       a-stamp    now-stamp  now-stamp
		vouched,another-stamp        now-stamp  now-stamp  now-stamp  now-stamp
		vouched,no-stamp             none       a-stamp    now-stamp  now-stamp
		vouched,of-other-attributes  none       a-stamp    now-stamp  now-stamp
		rejected                     none       a-stamp    an-end     gone-is
		ended                        now-ended  now-ended  an-end     gone-is
		gone                         none       a-stamp    an-end     gone-is
		gone,for-grace               now-gone   now-gone   an-end     gone-is
		never                        none       a-stamp    an-end     gone-is
		unavailable                  none       a-stamp    an-end     gone-is`)
	stamps := map[string]string{"": "old", "another-stamp": "new", "no-stamp": "", "of-other-attributes": "hash:new"}
	for said := range outcomes {
		for state := range states {
			for _, gone := range []string{"not gone", "gone", "gone for grace"} {
				for _, pending := range []string{"none", "a stamp", "an end", "gone is"} {
					for detail, stamp := range stamps {
						if said != "vouched" && detail != "" {
							continue
						}
						was := signInOf(state, gone, pending)
						a := answer{outcome: outcomes[said], tokenVersion: was.TokenVersion}
						want := was
						want.LastAsked, want.LeaseUntil, want.LastAnswer = noon, time.Time{}, states[rows[said][state]]
						want.GoneSince = gones[spaced(goneRows[said][dashed(gone)])]
						if said == "gone" && gone == "not gone" {
							want.GoneSince = noon
						}
						row := said
						switch {
						case detail != "":
							row += "," + detail
						case said == "gone" && gone == "gone for grace":
							row += ",for-grace"
						}
						p := pendings[spaced(pendingRows[row][dashed(pending)])]
						want.PendingSince, want.PendingReason = p.PendingSince, p.PendingReason
						if said == "vouched" {
							a.stamp, a.identity = stamp, identity
							want.LastVouched, want.Version, want.Stamp = noon, identity.Version, cmp.Or(stamp, was.Stamp)
						}
						if diff := gocmp.Diff(want, next(was, a, grace, noon)); diff != "" {
							t.Errorf("%s after %s, %s, pending %s (-want +got):\n%s", row, state, gone, pending, diff)
						}
					}
				}
			}
		}
	}
}

// table reads a table of words: by row, by column.
func table(text string) map[string]map[string]string {
	lines := strings.Split(text, "\n")[1:]
	columns := strings.Fields(lines[0])
	rows := make(map[string]map[string]string)
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		row := make(map[string]string)
		for i, column := range columns {
			row[column] = cells[1+i]
		}
		rows[cells[0]] = row
	}
	return rows
}

func dashed(text string) string { return strings.ReplaceAll(text, " ", "-") }

func spaced(text string) string { return strings.ReplaceAll(text, "-", " ") }

// TestNextToken: an answer with a new refresh token increments TokenVersion,
// and an answer to a replaced token is void, whatever the outcome.
func TestNextToken(t *testing.T) {
	for name, o := range outcomes {
		was := signInOf("Vouched", "not gone", "none")
		if got := next(was, answer{outcome: o, tokenVersion: 3, rotated: true}, grace, noon).TokenVersion; got != 4 {
			t.Errorf("%s with another refresh token: TokenVersion = %d, want 4", name, got)
		}
		want := was
		want.LeaseUntil = time.Time{}
		if diff := gocmp.Diff(want, next(was, answer{outcome: o, tokenVersion: 2, rotated: true, stamp: "new", identity: identity}, grace, noon)); diff != "" {
			t.Errorf("%s to a replaced token (-want +got):\n%s", name, diff)
		}
	}
}

// TestLoggedIn walks every pair of a state and a login's time: a login is the
// answer vouched, for any stored token, unless the provider has vouched after
// it.
func TestLoggedIn(t *testing.T) {
	for state := range states {
		for gone := range gones {
			for _, pending := range []string{"none", "a stamp", "an end"} {
				for _, stamp := range []string{"new", "old", ""} {
					for _, rotated := range []bool{true, false} {
						was := signInOf(state, gone, pending)
						a := answer{outcome: outcomeVouched, stamp: stamp, identity: identity, rotated: rotated}
						for _, after := range []time.Duration{-time.Hour, -time.Millisecond, 0, time.Millisecond, time.Hour} {
							now, want := was.LastVouched.Add(after), was
							if after >= 0 {
								asked := a
								asked.tokenVersion = was.TokenVersion
								want = next(was, asked, grace, now)
								want.LeaseUntil = was.LeaseUntil
							} else if rotated {
								want.TokenVersion++
							}
							if diff := gocmp.Diff(want, loggedIn(was, a, now)); diff != "" {
								t.Errorf("a login %v after %s, %s, pending %s, stamp %q (-want +got):\n%s", after, state, gone, pending, stamp, diff)
							}
						}
					}
				}
			}
		}
	}
}

// TestLoggedInFirst: the row of a first login has the provider's answer.
func TestLoggedInFirst(t *testing.T) {
	for _, stamp := range []string{"new", ""} {
		want := SignIn{Version: Version{2}, Stamp: stamp, LastVouched: noon, LastAsked: noon, LastAnswer: AnswerVouched}
		if diff := gocmp.Diff(want, loggedIn(SignIn{}, answer{outcome: outcomeVouched, stamp: stamp, identity: identity}, noon)); diff != "" {
			t.Errorf("a first login with the stamp %q (-want +got):\n%s", stamp, diff)
		}
	}
}

func TestAdopts(t *testing.T) {
	for _, tc := range []struct{ was, is, want string }{
		{"", "", "nothing"},
		{"", "a:1", ""},
		{"a:1", "", "nothing"},
		{"a:1", "a:1", "nothing"},
		{"a:1", "a:2", "nothing"},
		{"a:1", "b:1", "a:1"},
		{"1", "2", "nothing"}, // of version 1 of the schema
		{"1", "a:1", "1"},
	} {
		got := "nothing"
		if adopts := (SignIn{Stamp: tc.was}).Adopts(SignIn{Stamp: tc.is}); len(adopts) == 1 {
			got = adopts[0]
		}
		if got != tc.want {
			t.Errorf("%q, which becomes %q, adopts sessions with %q, want %q", tc.was, tc.is, got, tc.want)
		}
	}
}

// TestVoidRefusal: refusals while the provider is doubted are void, and nothing
// else.
func TestVoidRefusal(t *testing.T) {
	for state := range states {
		for gone := range gones {
			for _, pending := range []string{"none", "a stamp", "an end"} {
				s := signInOf(state, gone, pending)
				refuses := state == "Rejected" || state == "Gone" || gone != "not gone" || pending == "an end"
				for _, tc := range []struct {
					doubted time.Time
					void    bool
				}{{time.Time{}, false}, {s.LastAsked.Add(-time.Millisecond), false}, {s.LastAsked, refuses}, {noon, refuses}} {
					want := s
					if tc.void {
						want.LastAnswer, want.GoneSince = AnswerLost, time.Time{}
						if pending == "an end" {
							want.PendingSince, want.PendingReason = time.Time{}, ""
						}
					}
					got, void := voidRefusal(s, tc.doubted)
					if diff := gocmp.Diff(want, got); diff != "" || void != tc.void {
						t.Errorf("%s, %s, pending %s, doubted until %v: void = %v (-want +got):\n%s", state, gone, pending, tc.doubted, void, diff)
					}
				}
			}
		}
	}
}

// TestNewlyEnded: which answers the circuit breaker counts as newly ended.
func TestNewlyEnded(t *testing.T) {
	for _, tc := range []struct {
		gone, pending, said string
		want                bool
	}{
		{"not gone", "none", "ended", true},
		{"not gone", "a stamp", "ended", true},
		{"not gone", "an end", "ended", false},
		{"not gone", "none", "gone", true},
		{"gone", "none", "gone", false},
		{"gone for grace", "none", "gone", true},
		{"gone for grace", "gone is", "gone", false},
		{"gone", "none", "ended", true},
		{"not gone", "none", "rejected", false},
		{"not gone", "none", "vouched", false},
		{"gone", "an end", "vouched", false},
		{"gone", "none", "unavailable", false},
		{"not gone", "none", "never", false},
	} {
		was := signInOf("Vouched", tc.gone, tc.pending)
		if got := newlyEnded(was, next(was, answer{outcome: outcomes[tc.said], tokenVersion: was.TokenVersion, stamp: "new"}, grace, noon)); got != tc.want {
			t.Errorf("%+v: newlyEnded = %v", tc, got)
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
