package providers_test

import (
	"errors"
	"fmt"
	"testing"

	"shorepass/providers"
)

// TestFindings: check --live prints a finding with its severity and its key, and fails
// at the faults alone.
func TestFindings(t *testing.T) {
	found := providers.Findings{
		providers.Infof("%d people", 3),
		providers.Warningf("users.stamp", "no entry shows %q", "a"),
		providers.Warningf("", "slow"),
		providers.Faultf("users.base", "no such entry"),
	}
	if got, want := found.String(), "3 people\nwarning (users.stamp): no entry shows \"a\"\nwarning: slow\nfault (users.base): no such entry"; got != want {
		t.Errorf("String() =\n%s\nwant\n%s", got, want)
	}
	if got := found.Faults(); len(got) != 1 || got[0].Key != "users.base" {
		t.Errorf("Faults() = %v, want that of users.base", got)
	}
}

// TestKeyOf: an error that was wrapped tells the key that cures it, with its text and
// its causes.
func TestKeyOf(t *testing.T) {
	cause := errors.New("signed by an unknown authority")
	err := fmt.Errorf("dial: %w", providers.WithKey("tls.ca", cause))
	if providers.KeyOf(err) != "tls.ca" || !errors.Is(err, cause) || err.Error() != "dial: signed by an unknown authority" {
		t.Errorf("KeyOf(%v) = %q", err, providers.KeyOf(err))
	}
	if key := providers.KeyOf(cause); key != "" {
		t.Errorf("KeyOf of an error without a key = %q", key)
	}
}
