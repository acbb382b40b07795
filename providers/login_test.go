package providers

import (
	"errors"
	"strings"
	"testing"
)

func TestParseLogin(t *testing.T) {
	for _, test := range []struct {
		typed string
		want  Login
	}{
		{"bob", "bob"}, {" BOB\t", "bob"}, {"ｂｏｂ", "bob"}, {`CORP\Bob`, `corp\bob`}, {"jose\u0301", "josé"}, {"JOSÉ", "josé"},
		{"o(brien", "o(brien"}, {`CN=Doe\, J`, `cn=doe\, j`}, {"", ""}, {"Straße", "strasse"}, {"\u00a0bob\u00a0", "bob"},
	} {
		if got, err := ParseLogin(test.typed); err != nil || got != test.want {
			t.Errorf("ParseLogin(%q) = %q, %v, want %q", test.typed, got, err, test.want)
		}
	}
	for _, typed := range []string{"b\x00b", "b\nb", "\xff", "b\u200bb", "b\u202eb", strings.Repeat("a", 513)} {
		if got, err := ParseLogin(typed); !errors.Is(err, ErrMalformedLogin) {
			t.Errorf("ParseLogin(%q) = %q, %v, want ErrMalformedLogin", typed, got, err)
		}
	}
}

func FuzzParseLogin(f *testing.F) {
	f.Add(" BOB ")
	f.Add("jose\u0301")
	f.Fuzz(func(t *testing.T, typed string) {
		once, err := ParseLogin(typed)
		if err != nil {
			return
		}
		if len(once) > maxLogin { // folding may make it longer than what was typed
			return
		}
		if twice, err := ParseLogin(string(once)); err != nil || twice != once {
			t.Errorf("ParseLogin(%q) = %q, and of that again %q, %v: two counters for one name", typed, once, twice, err)
		}
	})
}

// TestFoldingCherokee: its letters were folded into the other case each time,
// so that one name had two counters.
func TestFoldingCherokee(t *testing.T) {
	for r := '\u13a0'; r <= '\u13f5'; r++ {
		upper, err := ParseLogin(string(r))
		lower, err2 := ParseLogin(strings.ToLower(string(r)))
		if upper != lower || errors.Join(err, err2) != nil {
			t.Errorf("ParseLogin(%q) = %q and in lower case %q, want one name", r, upper, lower)
		}
	}
}
