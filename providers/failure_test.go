package providers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"shorepass/throttle"
)

// TestClassify: which errors the chain wraps in ErrUnavailable at its exits.
func TestClassify(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"none", nil, false},
		{"not mine", fmt.Errorf("x: %w", ErrNotMine), false},
		{"rejected", &Failure{"corp", ErrRejected}, false},
		{"ended", errors.Join(ErrRejected, ErrEnded), false},
		{"gone", ErrGone, false},
		{"gone after a rotation", &RotatedError{Err: ErrGone}, false},
		{"down after a rotation", &RotatedError{Err: errors.New("down")}, true},
		{"cannot be asked again", ErrCannotRevalidate, false},
		{"throttled", &throttle.RetryAfter{Limit: "account"}, false},
		{"down", &Failure{"corp", errors.New("connection refused")}, true},
		{"too many logins", errBusy, true},
		{"closed", errClosed, true},
		{"the client went away", context.Canceled, true},
		{"late", context.DeadlineExceeded, true},
	} {
		err := test.err
		classify(&err)
		if errors.Is(err, ErrUnavailable) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want ErrUnavailable %v", test.name, err, test.want)
		}
	}
}

// TestAvailabilityIsLoggedWhenItChanges: one line when a provider stops answering and one when
// it answers again, however many logins there are.
func TestAvailabilityIsLoggedWhenItChanges(t *testing.T) {
	var log bytes.Buffer
	d := &directory{accounts: bob(), catches: true}
	c, err := NewChain([]Member{{d, Config{Name: "corp", Kind: "ldap"}.WithDefaults()}}, newThrottle(t), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	logged := func(when string, want ...string) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		for i, line := range lines {
			if _, text, ok := strings.Cut(line, " "); ok {
				lines[i] = text // without the time
			}
		}
		if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%s the log has\n%s\nwant\n%s", when, got, strings.Join(want, "\n"))
		}
		log.Reset()
	}
	ask := func(answer error) {
		d.set(answer)
		d.again = func(*Identity) (*Identity, error) { return nil, answer }
		for i := range 3 {
			c.try(t, typed("bob", fmt.Sprint(answer, i), home))
			c.Revalidate(t.Context(), &Identity{Provider: "corp", Subject: "1"})
		}
	}
	ask(ErrRejected)
	logged("while it answers", "")
	ask(NotCounted(errors.New("connection refused")))
	logged("when it is down", `level=WARN msg="a provider is unavailable" provider=corp error="connection refused"`)
	ask(context.Canceled)
	logged("when requests are canceled", "")
	ask(ErrGone)
	logged("when it is back", `level=INFO msg="a provider is available again" provider=corp`)
	ask(context.Canceled)
	logged("when requests are canceled later", "")
}

// TestSlowPersonIsNoOutage: a bind that waits for one person (a second factor by phone) does
// not make the provider unavailable, and is not logged, whether others log in during it or
// not. Where the provider's own probe right after it fails, the provider is down.
func TestSlowPersonIsNoOutage(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer error // of the bind
		want   string
	}{
		{"the bind may have arrived", context.DeadlineExceeded, "[]"},
		{"the probe right after fails too", NotCounted(context.DeadlineExceeded), "[corp]"},
		{"it concerns some accounts alone", NotCounted(SomeAccounts(context.DeadlineExceeded)), "[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			d := &directory{accounts: bob(), refuse: map[string]error{"by phone": test.answer}}
			c, err := NewChain([]Member{{d, Config{Name: "corp", Kind: "ldap"}.WithDefaults()}}, newThrottle(t), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for range 3 {
				if got := outcome(c.try(t, typed("alice", "right", home))); got != "200" {
					t.Errorf("another person = %s, want 200", got)
				}
				if got := outcome(c.try(t, typed("bob", "by phone", stranger))); got != "503" {
					t.Errorf("a bind without an answer = %s, want 503", got)
				}
			}
			if got := fmt.Sprint(c.Down()); got != test.want {
				t.Errorf("Down() = %s, want %s", got, test.want)
			}
			if quiet := log.Len() == 0; quiet != (test.want == "[]") {
				t.Errorf("the log has %q", log.String())
			}
		})
	}
}

// TestRepeatedRejection: a refusal from a cache has the reason of the first one and its text,
// each of them once.
func TestRepeatedRejection(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"a locked account", &Failure{"corp", Reject(Locked, errors.New("uid=bob"))}, "refused before: provider corp: uid=bob: credential rejected: locked"},
		{"refused by the configuration", Reject(RefusedByConfig, errors.New("provider corp found bob")), "refused before: provider corp found bob: credential rejected: refused by the configuration"},
		{"no reason", &Failure{"corp", fmt.Errorf("bind: %w", ErrRejected)}, "refused before: provider corp: bind: credential rejected: no reason given"},
		{"a text that is the reason", Reject(Disabled, errors.New("disabled")), "refused before: disabled: credential rejected: disabled"},
		{"a grant that is gone", ErrGone, "refused before: account or grant is gone: credential rejected: account or grant is gone"},
		{"a long text", Reject(Disabled, errors.New(strings.Repeat("é", maxDetail))), "refused before: " + strings.Repeat("é", maxDetail/2) + ": credential rejected: disabled"},
	} {
		repeated := repeatRejection(causeOf(test.err))
		if !errors.Is(repeated, ErrRejected) || ReasonOf(repeated) != ReasonOf(test.err) || repeated.Error() != test.want {
			t.Errorf("%s: repeatRejection = %q for %q, want %q for %q", test.name, repeated, ReasonOf(repeated), test.want, ReasonOf(test.err))
		}
		if again := repeatRejection(throttle.Cause{Reason: string(ReasonOf(test.err))}); !errors.Is(again, ErrRejected) || ReasonOf(again) != ReasonOf(test.err) {
			t.Errorf("%s: repeatRejection without a detail = %v, want the reason %q", test.name, again, ReasonOf(test.err))
		}
	}
	for _, reason := range reasons {
		if again := repeatRejection(causeOf(Reject(reason, errors.New("finding")))); ReasonOf(again) != reason {
			t.Errorf("repeatRejection of %q = %v, want the same reason", reason, again)
		}
	}
	for _, err := range []error{nil, errors.New("connection refused")} {
		if cause := causeOf(err); cause != (throttle.Cause{}) {
			t.Errorf("causeOf(%v) = %q, want none", err, cause)
		}
	}
}
