package providers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseLogin(t *testing.T) {
	for _, test := range []struct {
		typed string
		want  Login
	}{
		{"bob", "bob"}, {" BOB\t", "BOB"}, {"ｂｏｂ", "ｂｏｂ"}, {`CORP\Bob`, `CORP\Bob`}, {"jose\u0301", "josé"}, {"JOSÉ", "JOSÉ"},
		{"o(brien", "o(brien"}, {`CN=Doe\, J`, `CN=Doe\, J`}, {"", ""}, {"Straße", "Straße"}, {"\u00a0bob\u00a0", "bob"},
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

// TestLoginKey: spellings that some provider takes for one account have one key.
func TestLoginKey(t *testing.T) {
	for _, test := range []struct{ typed, want string }{
		{"bob", "bob"}, {"BOB", "bob"}, {"ｂｏｂ", "bob"}, {`CORP\Bob`, `corp\bob`}, {"jose\u0301", "jose"}, {"JOSÉ", "jose"},
		{"Straße", "strasse"}, {"jose doe", "josedoe"}, {"b\u00adob", "bob"}, {"\u212aevin", "kevin"}, {"$Refresh:SSO", "$refresh:sso"},
	} {
		if got := Login(test.typed).Key(); got != test.want {
			t.Errorf("Login(%q).Key() = %q, want %q", test.typed, got, test.want)
		}
	}
	f := Login("$Refresh")
	if !f.Reserved() || !Login("＄oidc").Reserved() || Login("refresh").Reserved() {
		t.Error("a reserved name is recognized by its key")
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
		if len(once) > maxLogin { // composing may make it longer than what was typed
			return
		}
		if twice, err := ParseLogin(string(once)); err != nil || twice != once {
			t.Errorf("ParseLogin(%q) = %q, and of that again %q, %v, want the same", typed, once, twice, err)
		}
	})
}

// TestFoldingCherokee: x/text folds Cherokee letters of either case into the other, so that one
// name had two keys.
func TestFoldingCherokee(t *testing.T) {
	for r := '\u13a0'; r <= '\u13f5'; r++ {
		upper, lower := Login(r).Key(), Login(strings.ToLower(string(r))).Key()
		if upper != lower || FoldCase(string(r)) != FoldCase(strings.ToLower(string(r))) {
			t.Errorf("the key of %q is %q and in lower case %q, want one", r, upper, lower)
		}
	}
}

// TestWindowNames: a login name with a domain has a name window of its own only where the domain
// is not configured; WindowNames returns both.
func TestWindowNames(t *testing.T) {
	c := one(t, &directory{domains: []string{"CORP", "Corp.Example"}}, nil)
	for _, test := range []struct {
		login      Login
		bare, want string
	}{
		{"Bob", "bob", "[bob]"},
		{`CORP\Bob`, "bob", `[corp\bob bob]`},
		{"bob@CORP.example", "bob", "[bob@corp.example bob]"},
		{"a@b@corp.example", "a@b", "[a@b@corp.example a@b]"},
		{`OTHER\bob`, `other\bob`, `[other\bob bob]`},
		{"bob@", "bob@", "[bob@]"}, {`corp\`, `corp\`, `[corp\]`}, {"@corp.example", "@corp.example", "[@corp.example]"},
	} {
		if got := c.bareKey(test.login); got != test.bare {
			t.Errorf("bareKey(%q) = %q, want %q", test.login, got, test.bare)
		}
		if got := fmt.Sprint(test.login.WindowNames()); got != test.want {
			t.Errorf("WindowNames(%q) = %s, want %s", test.login, got, test.want)
		}
	}
}

// TestFoldASCII: the fast path of FoldCase for ASCII has the result of foldUnicode.
func TestFoldASCII(t *testing.T) {
	for r := rune(0); r < utf8.RuneSelf; r++ {
		if text := "a" + string(r) + "Z"; FoldCase(text) != foldUnicode(text) {
			t.Errorf("FoldCase(%q) = %q, want %q", text, FoldCase(text), foldUnicode(text))
		}
	}
}

func BenchmarkFoldCase(b *testing.B) {
	for b.Loop() {
		FoldCase("CN=Team-Blue,OU=Groups")
	}
}

func BenchmarkFoldUnicode(b *testing.B) {
	for b.Loop() {
		foldUnicode("CN=Team-Blue,OU=Groups")
	}
}
