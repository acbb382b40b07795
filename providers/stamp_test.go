package providers_test

import (
	"testing"

	"shorepass/providers"
)

// TestStamp: a stamp can be compared with one of the same attributes, in the same
// order, and with no other.
func TestStamp(t *testing.T) {
	stamp := providers.Stamp
	one := stamp([]string{"pwdChangedTime"}, "2026")
	for _, tc := range []struct {
		name, other string
		same, equal bool
	}{
		{"itself", stamp([]string{"pwdChangedTime"}, "2026"), true, true},
		{"another value", stamp([]string{"pwdChangedTime"}, "2027"), true, false},
		{"a value with a colon", stamp([]string{"pwdChangedTime"}, "20:27"), true, false},
		{"another attribute", stamp([]string{"pwdLastSet"}, "2026"), false, false},
		{"one attribute more", stamp([]string{"pwdChangedTime", "pwdLastSet"}, "2026"), false, false},
		{"a stamp of version 1, without attributes", "2026", false, false},
	} {
		if same := providers.SameAttributes(one, tc.other); same != tc.same || (one == tc.other) != tc.equal {
			t.Errorf("%s: of the same attributes: %v, equal: %v, want %v and %v", tc.name, same, one == tc.other, tc.same, tc.equal)
		}
	}
	if got := stamp([]string{"pwdChangedTime"}, ""); got != "" {
		t.Errorf("a stamp without a value = %q, want none", got)
	}
	if !providers.SameAttributes("2026", "2027") {
		t.Error("two stamps of version 1 are not comparable")
	}
}
