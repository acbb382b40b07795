package ldap

import (
	"context"
	"testing"
	"time"
)

// TestRefusalTimesAreRoundedUp: an unknown name is refused at the same multiple of
// refusalStep as a wrong password, however short the search was.
func TestRefusalTimesAreRoundedUp(t *testing.T) {
	var r refusalTimes
	if r.imitate(t.Context(), time.Now()) {
		t.Error("a refusal was imitated before one was recorded")
	}
	for _, took := range []time.Duration{0, 3 * time.Millisecond, 10 * time.Millisecond, 10*time.Millisecond + 1, 47 * time.Millisecond} {
		want := max(1, (took+refusalStep-1)/refusalStep) * refusalStep
		if took == 0 {
			want = 0
		}
		if got := roundUp(took); got != want {
			t.Errorf("roundUp(%s) = %s, want %s", took, got, want)
		}
	}
	began := time.Now().Add(-25 * time.Millisecond)
	r.record(t.Context(), began)
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("a password that was refused after 25ms was refused at %s, want 30ms", took)
	}
	for range 3 {
		began := time.Now()
		if r.imitate(t.Context(), began); time.Since(began) < 30*time.Millisecond {
			t.Errorf("an imitated refusal took %s, want at least 30ms", time.Since(began))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began = time.Now()
	waitUntil(ctx, began.Add(time.Hour))
	if time.Since(began) > time.Minute {
		t.Error("waitUntil did not return when its context ended")
	}
}
