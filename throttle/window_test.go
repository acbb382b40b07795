package throttle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shown prints of each entry of a window its password, its last answer and count, and
// its lease.
func (w window) shown() string {
	var all []string
	for _, e := range w.entries {
		text := fmt.Sprintf("%d %s", e.secret[0], [...]string{"unanswered", "wrong", "refused", "lost"}[e.last])
		if e.count != 1 {
			text += fmt.Sprint(" x", e.count)
		}
		if e.leased() {
			text += fmt.Sprint(" leased ", e.holder)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func inWindow(secret byte, k lastAnswer, count int) entry {
	e := entry{secret: MAC{secret}, taken: noon, last: k, count: count, reason: "first"}
	if k == noAnswer || k == lost {
		e.reason = ""
	}
	return e
}

func leasedTo(holder int64, e entry) entry {
	e.holder, e.lease = holder, noon.Add(leaseTTL)
	return e
}

// requestOf is the request of password 1, in state 0, by attempt 7.
func requestOf(edit func(*request)) *request {
	t := &request{name: MAC{99}, nameSecret: MAC{1}, secret: MAC{1}, holder: 7, nameLimit: four, accountLimit: four}
	if edit != nil {
		edit(t)
	}
	return t
}

// TestReserve walks the table of reserve.
func TestReserve(t *testing.T) {
	ofState := func(t *request) { t.state = MAC{5} }
	known := func(t *request) { t.hasProof = true }
	waited := func(t *request) { t.waited = true }
	w2, w3, w4 := inWindow(2, wrong, 1), inWindow(3, wrong, 1), inWindow(4, wrong, 1)
	n2, n3, n4 := inWindow(2, refused, 1), inWindow(3, refused, 1), inWindow(4, refused, 1)
	for _, test := range []struct {
		what          string
		name, account []entry
		try           func(*request)
		want          string // verdict, or error
		names, after  string // windows
	}{
		{"the first", nil, nil, nil, "ask", "1 unanswered x0 leased 7", "1 unanswered x0 leased 7"},
		{"the name window is full", []entry{n2, n3, n4}, nil, nil, "429 31m0s", "", ""},
		{"full for addresses without a proof", []entry{n2, n3, n4}, nil, known, "ask", "2 refused, 3 refused, 4 refused, 1 unanswered x0 leased 7", "1 unanswered x0 leased 7"},
		{"full of passwords in flight", []entry{n2, n3, leasedTo(8, inWindow(4, noAnswer, 0))}, nil, nil, "429 31m0s", "", ""},
		{"full, with an entry of its own", []entry{n2, n3, inWindow(1, refused, 1)}, nil, nil, "ask", "2 refused, 3 refused, 1 refused leased 7", "1 unanswered x0 leased 7"},
		{"the account window is full", nil, []entry{w2, w3, w4}, nil, "full", "1 refused", "2 wrong, 3 wrong, 4 wrong"},
		{"full for addresses without a proof", nil, []entry{w2, w3, w4}, known, "ask", "1 unanswered x0 leased 7", "2 wrong, 3 wrong, 4 wrong, 1 unanswered x0 leased 7"},
		{"full of passwords in flight", nil, []entry{w2, w3, leasedTo(8, inWindow(4, noAnswer, 0))}, nil, "full", "1 refused", "2 wrong, 3 wrong, 4 unanswered x0 leased 8"},
		{"full of wrong and lost ones", nil, []entry{w2, inWindow(3, lost, 2)}, nil, "full", "1 refused", "2 wrong, 3 lost x2"},
		{"full of lost ones alone", nil, []entry{inWindow(2, lost, 2), inWindow(3, lost, 1)}, nil, "503", "", ""},
		{"leased", nil, []entry{leasedTo(8, inWindow(1, noAnswer, 0))}, nil, "leased", "", ""},
		{"leased, and an equal one was proved", nil, []entry{leasedTo(8, inWindow(1, noAnswer, 0))}, func(t *request) { t.equalProved = true }, "ask", "1 unanswered x0 leased 7", "1 unanswered x0 leased 7"},
		{"wrong in the same state", nil, []entry{inWindow(1, wrong, 1)}, nil, "repeat first", "1 refused", "1 wrong"},
		{"wrong in another state", nil, []entry{inWindow(1, wrong, 1)}, ofState, "ask", "1 unanswered x0 leased 7", "1 wrong leased 7"},
		{"wrong in another state, in a full window", nil, []entry{inWindow(1, wrong, 1), w2, w3}, ofState, "ask", "1 unanswered x0 leased 7", "1 wrong leased 7, 2 wrong, 3 wrong"},
		{"refused for another reason", nil, []entry{inWindow(1, refused, 1)}, nil, "ask", "1 unanswered x0 leased 7", "1 refused leased 7"},
		{"refused for another reason while it waited", nil, []entry{inWindow(1, refused, 1)}, waited, "repeat first", "1 refused", "1 refused"},
		{"the same, in another state or by another configuration", nil, []entry{inWindow(1, refused, 1)}, func(t *request) { t.waited, t.stateAndConfig = true, MAC{5} }, "ask", "1 unanswered x0 leased 7", "1 refused leased 7"},
		{"refused by the configuration while it waited", []entry{inWindow(1, refused, 1)}, nil, waited, "repeat first", "1 refused", ""},
		{"its refusal is cached", nil, []entry{inWindow(1, refused, 1)}, func(t *request) { t.cached = &Cause{Reason: "cached"} }, "repeat cached", "1 refused", "1 refused"},
		{"lost, with room for one more", nil, []entry{inWindow(1, lost, 2)}, nil, "ask", "1 unanswered x0 leased 7", "1 lost x2 leased 7"},
		{"lost, with no room", nil, []entry{inWindow(1, lost, 2), w2}, nil, "503", "", ""},
	} {
		before := windows{window{test.name}, window{test.account}}
		after, answer, err := reserve(before, requestOf(test.try), noon)
		got := map[Verdict]string{Ask: "ask", Repeat: "repeat " + answer.Cause.Reason, Full: "full"}[answer.Verdict]
		limited, _ := errors.AsType[*RetryAfter](err)
		switch {
		case limited != nil:
			got = fmt.Sprint("429 ", limited.After)
		case errors.Is(err, ErrUnanswered):
			got = "503"
		case errors.Is(err, errLeased):
			got = "leased"
		}
		if got != test.want {
			t.Errorf("%s: reserve = %s, want %s", test.what, got, test.want)
		}
		if err == nil && (after.name.shown() != test.names || after.account.shown() != test.after) {
			t.Errorf("%s: windows are %q and %q, want %q and %q", test.what, after.name.shown(), after.account.shown(), test.names, test.after)
		}
	}
}

// TestSettle walks the table of settle: with and without an answer before, in windows
// that have another password's entry too.
func TestSettle(t *testing.T) {
	const asked, again, theirs = "asked for the first time", "asked again", "leased to another attempt"
	for _, test := range []struct {
		outcome Outcome
		entries string
		names   string
		after   string
	}{
		{Proved, asked, "2 refused", "2 wrong"},
		{Proved, again, "2 refused", "2 wrong"},
		{Proved, theirs, "1 unanswered x0 leased 8, 2 refused", "1 unanswered x0 leased 8, 2 wrong"},
		{ProvedRefused, asked, "1 refused, 2 refused", "2 wrong"},
		{ProvedRefused, again, "1 refused, 2 refused", "2 wrong"},
		{Wrong, asked, "1 refused, 2 refused", "1 wrong, 2 wrong"},
		{Wrong, again, "1 refused, 2 refused", "1 wrong, 2 wrong"},
		{Wrong, theirs, "1 refused leased 8, 2 refused", "1 wrong leased 8, 2 wrong"},
		{OtherRefusal, asked, "1 refused, 2 refused", "1 refused, 2 wrong"},
		{OtherRefusal, again, "1 refused, 2 refused", "1 refused, 2 wrong"},
		{NotCounted, asked, "2 refused", "2 wrong"},
		{NotCounted, again, "1 refused, 2 refused", "1 wrong, 2 wrong"},
		{MayBeCounted, asked, "2 refused", "1 lost, 2 wrong"},
		{MayBeCounted, again, "1 refused, 2 refused", "1 lost x2, 2 wrong"},
		{MayBeCounted, theirs, "1 unanswered x0 leased 8, 2 refused", "1 lost leased 8, 2 wrong"},
	} {
		first := map[string][2]entry{
			asked:  {leasedTo(7, inWindow(1, noAnswer, 0)), leasedTo(7, inWindow(1, noAnswer, 0))},
			again:  {leasedTo(7, inWindow(1, refused, 1)), leasedTo(7, inWindow(1, wrong, 1))},
			theirs: {leasedTo(8, inWindow(1, noAnswer, 0)), leasedTo(8, inWindow(1, noAnswer, 0))},
		}[test.entries]
		w := windows{window{[]entry{first[0], inWindow(2, refused, 1)}}, window{[]entry{first[1], inWindow(2, wrong, 1)}}}
		after := settle(w, requestOf(func(t *request) { t.state, t.stateAndConfig = MAC{5}, MAC{6} }), test.outcome, "why", noon)
		if after.name.shown() != test.names || after.account.shown() != test.after {
			t.Errorf("outcome %d, %s: windows are %q and %q, want %q and %q", test.outcome, test.entries, after.name.shown(), after.account.shown(), test.names, test.after)
		}
		if want := map[Outcome]MAC{Wrong: {5}, OtherRefusal: {6}}[test.outcome]; want != (MAC{}) {
			if e := after.account.find(MAC{1}); e.state != want || e.reason != "why" {
				t.Errorf("outcome %d: the entry is %+v, want state %v and the reason in it", test.outcome, e, want[0])
			}
		}
	}
}

// TestExpiredLease: in the account window an expired lease leaves the same as the outcome
// MayBeCounted.
func TestExpiredLease(t *testing.T) {
	for _, e := range []entry{inWindow(1, noAnswer, 0), inWindow(1, wrong, 1), inWindow(1, lost, 2)} {
		w := window{[]entry{leasedTo(8, e)}}
		settled := settle(windows{account: w}, requestOf(func(t *request) { t.holder = 8 }), MayBeCounted, "", noon).account
		for _, at := range []struct {
			time time.Time
			want string
		}{{noon.Add(leaseTTL - 1), w.shown()}, {noon.Add(leaseTTL), settled.shown()}, {noon.Add(31*time.Minute - 1), settled.shown()}, {noon.Add(31 * time.Minute), ""}} {
			if got := w.accountWindowAt(at.time, four.Window).shown(); got != at.want {
				t.Errorf("%q after %v = %q, want %q", w.shown(), at.time.Sub(noon), got, at.want)
			}
		}
	}
	name := window{[]entry{leasedTo(8, inWindow(1, noAnswer, 0)), leasedTo(8, inWindow(2, refused, 1))}}
	if got := name.nameWindowAt(noon.Add(leaseTTL), four.Window).shown(); got != "2 refused" {
		t.Errorf("a name's window = %q, want %q", got, "2 refused")
	}
}

// FuzzEncode: a window that is encoded decodes to itself, and an error comes without half
// a window.
func FuzzEncode(f *testing.F) {
	full := window{[]entry{leasedTo(1<<62, inWindow(1, wrong, 3)), inWindow(2, lost, 1), {}}}
	f.Add(full.encode())
	f.Add(budget{[]failure{{MAC{1}, noon}}}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := decodeWindow(body)
		if err != nil {
			if len(w.entries) > 0 {
				t.Errorf("decodeWindow(%x) = %v and %v, want one of them", body, w, err)
			}
		} else if again, err := decodeWindow(w.encode()); err != nil || again.shown() != w.shown() {
			t.Errorf("a window reads back as %q, %v, want %q", again.shown(), err, w.shown())
		}
		if b, err := decodeBudget(body); err == nil {
			if again, err := decodeBudget(b.encode()); err != nil || len(again.failures) != len(b.failures) {
				t.Errorf("a budget reads back as %v, %v, want %v", again, err, b)
			}
		}
	})
}
