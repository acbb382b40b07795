package ldap

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// beginTrial takes a server down, waits for the end of the backoff and begins a trial.
func beginTrial(t *testing.T, s *server) *trial {
	t.Helper()
	s.recordFailure(nil, errors.New("down"))
	time.Sleep(backoffMin)
	current, ok := s.tryAcquire()
	if !ok || current == nil {
		t.Fatal("no trial after the backoff")
	}
	return current
}

// TestOnlyItsCallerEndsATrial: the outcome of an operation that began before the trial
// lets no second trial run at the same time.
func TestOnlyItsCallerEndsATrial(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(s *server, t *trial)
	}{
		{"given up", (*server).release},
		{"failed", func(s *server, t *trial) { s.recordFailure(t, errors.New("down")) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server)
				ended := beginTrial(t, s)
				s.recordSuccess(ended)
				current := beginTrial(t, s)
				epoch := s.currentEpoch()
				for _, older := range []*trial{nil, ended} {
					test.end(s, older)
					time.Sleep(backoffMax)
					if _, ok := s.tryAcquire(); ok {
						t.Fatal("a second trial began during the first")
					}
				}
				if s.currentEpoch() != epoch {
					t.Error("an older operation ended the epoch")
				}
				test.end(s, current)
				time.Sleep(backoffMax)
				if _, ok := s.tryAcquire(); !ok {
					t.Error("no trial after the end of the first")
				}
			})
		})
	}
}

// TestCanceledSearchEndsNoTrial: a search on an older connection whose context ends
// during a trial lets no second trial begin.
func TestCanceledSearchEndsNoTrial(t *testing.T) {
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		return ldaptest.Answer{Silence: r.DN == "uid=slow,dc=x"}
	})
	d := newTestDirectory(t, f)
	s := d.list.all()[0]
	if _, err := d.find(t.Context(), query{base: "uid=a,dc=x", filter: "(uid=a)"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := d.search.do(ctx, "a", func(c *conn) error {
		beginTrial(t, s)
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := d.searchOn(c, query{base: "uid=slow,dc=x", filter: "(uid=slow)"}, nil)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a canceled search = %v", err)
	}
	if _, ok := s.tryAcquire(); ok {
		t.Error("a second trial began during the first")
	}
}

// TestTrialJoinsAProbeInFlight: a trial whose caller finds a probe in flight ends, so
// that the server is tried again.
func TestTrialJoinsAProbeInFlight(t *testing.T) {
	f := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer { return ldaptest.Answer{} })
	d := newTestDirectory(t, f)
	s := d.list.all()[0]
	s.recordFailure(nil, errors.New("down"))
	time.Sleep(backoffMin)
	inFlight, _ := s.joinProbe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.probeIfDue(ctx, s)
	s.endProbe(inFlight, errNotProbed)
	if d.probeIfDue(t.Context(), s); !s.up() {
		t.Error("the server was not tried again")
	}
}
