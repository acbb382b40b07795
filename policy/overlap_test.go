package policy

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOverlap: overlap is right for known pairs, in both orders.
func TestOverlap(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a*", "*b", true},
		{"a*", "b*", false},
		{"team-*", "team-blue", true},
		{"*-admins", "team-*", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"", "*", true},
		{"", "?", false},
		{"ab", "??", true},
		{"a?c*", "abd*", false},
		{"*x*", "abc", false},
		{"jo*é", "jo?", true},
	} {
		if got := overlap(parseSymbols(tt.a, true), parseSymbols(tt.b, true)); got != tt.want {
			t.Errorf("overlap(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
		if got := overlap(parseSymbols(tt.b, true), parseSymbols(tt.a, true)); got != tt.want {
			t.Errorf("overlap(%q, %q) = %v, want %v", tt.b, tt.a, got, tt.want)
		}
	}
}

// TestOverlapIsExact: two random globs overlap if and only if one of all short
// texts matches both.
func TestOverlapIsExact(t *testing.T) {
	texts := []string{""}
	for from := 0; len(texts[from]) < 6; from++ {
		texts = append(texts, texts[from]+"a", texts[from]+"b")
	}
	draw := rand.New(rand.NewPCG(1, 2))
	random := func() string {
		var b strings.Builder
		for range draw.IntN(4) {
			b.WriteByte("ab*?"[draw.IntN(4)])
		}
		return b.String()
	}
	for range 3000 {
		a, b := random(), random()
		inA, inB := regexpOf(a), regexpOf(b)
		want := slices.ContainsFunc(texts, func(text string) bool { return inA.MatchString(text) && inB.MatchString(text) })
		if got := overlap(parseSymbols(a, true), parseSymbols(b, true)); got != want {
			t.Errorf("overlap(%q, %q) = %v, want %v by trying all short texts", a, b, got, want)
		}
	}
}

// TestPathGlobs: of two random globs of repositories overlap is exact, and includes is right
// where it says so, by all short texts.
func TestPathGlobs(t *testing.T) {
	texts := []string{""}
	for from := 0; len(texts[from]) < 6; from++ {
		texts = append(texts, texts[from]+"a", texts[from]+"/", texts[from]+"b")
	}
	draw := rand.New(rand.NewPCG(3, 4))
	random := func() (string, []symbol, *regexp.Regexp) {
		var b strings.Builder
		for range 1 + draw.IntN(4) {
			b.WriteString([]string{"a", "b", "/", "*", "**"}[draw.IntN(5)])
		}
		text := b.String()
		for strings.Contains(text, "***") {
			text = strings.ReplaceAll(text, "***", "**")
		}
		g, err := parseGlob(text, pathName)
		if err != nil {
			t.Fatal(err)
		}
		return text, g.symbols(), referenceGlob(text, "[^/]*")
	}
	included, wholes := 0, 0
	for range 1000 {
		a, symbolsA, inA := random()
		b, symbolsB, inB := random()
		both, whole := false, true
		for _, text := range texts {
			matchesA, matchesB := inA.MatchString(text), inB.MatchString(text)
			both, whole = both || matchesA && matchesB, whole && (matchesA || !matchesB)
		}
		if got := overlap(symbolsA, symbolsB); got != both {
			t.Errorf("overlap(%q, %q) = %v, want %v by trying all short texts", a, b, got, both)
		}
		got := includes(symbolsA, symbolsB)
		if got && !whole {
			t.Errorf("includes(%q, %q), but some text matches the second alone", a, b)
		}
		if whole {
			wholes++
		}
		if got {
			included++
		}
	}
	if included < wholes*9/10 {
		t.Errorf("includes holds for %d of %d pairs of which it is so, want nearly all", included, wholes)
	}
}

func regexpOf(glob string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.NewReplacer("*", ".*", "?", ".").Replace(glob) + "$")
}
