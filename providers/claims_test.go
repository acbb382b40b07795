package providers

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClaimsRoundTrip: encoding keeps the types of numbers, since rules distinguish 3 and 3.0.
func TestClaimsRoundTrip(t *testing.T) {
	claims := map[string]any{
		"text": "1234567", "bool": true, "none": nil,
		"whole": int64(12345678), "large": int64(math.MaxInt64), "negative": int64(-1),
		"float": 3.0, "fraction": 0.5, "huge": 1e300, "minus": -2.0,
		"list": []any{int64(1), 1.0, "x", []any{int64(2)}}, "object": map[string]any{"deep": map[string]any{"n": int64(7), "f": 7.0}},
	}
	text, err := EncodeClaims(claims)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeClaims(text)
	if diff := cmp.Diff(claims, got); diff != "" || err != nil {
		t.Errorf("DecodeClaims(%s), %v (-want +got):\n%s", text, err, diff)
	}
	if text, err := EncodeClaims(nil); err != nil || string(text) != "null" {
		t.Errorf("EncodeClaims(nil) = %s, %v, want null", text, err)
	}
	if _, err := EncodeClaims(map[string]any{"n": math.NaN()}); err == nil {
		t.Error("EncodeClaims of NaN = nil, want an error")
	}
}

func TestDecodeClaim(t *testing.T) {
	for _, test := range []struct {
		text string
		want any
	}{
		{"5", int64(5)}, {"5.0", 5.0}, {"5e0", 5.0}, {"9223372036854775808", 9223372036854775808.0}, {"1e999", "1e999"},
		{`"5"`, "5"}, {"null", nil}, {"[1, 2.5]", []any{int64(1), 2.5}},
	} {
		if got, err := DecodeClaim([]byte(test.text)); err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("DecodeClaim(%s) = %v (%T), %v, want %v (%T)", test.text, got, got, err, test.want, test.want)
		}
	}
	for _, text := range []string{"", "x", "5 5", "{", "2026-01-01"} {
		if got, err := DecodeClaim([]byte(text)); err == nil {
			t.Errorf("DecodeClaim(%q) = %v, want an error", text, got)
		}
	}
	for _, text := range []string{"5", "[]", `"x"`} {
		if got, err := DecodeClaims([]byte(text)); err == nil {
			t.Errorf("DecodeClaims(%q) = %v, want an error", text, got)
		}
	}
}

// FuzzDecodeClaim: a claim of any JSON decodes to the same value after EncodeClaims.
func FuzzDecodeClaim(f *testing.F) {
	for _, text := range []string{"5", "5.0", "-0", "1e999", `{"a":[1,2.0,"x",null,true]}`, `"é"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := DecodeClaim([]byte(text))
		if err != nil {
			return
		}
		claims := map[string]any{"claim": value}
		encoded, err := EncodeClaims(claims)
		if err != nil {
			t.Fatalf("EncodeClaims(%v) of %q: %v", claims, text, err)
		}
		if got, err := DecodeClaims(encoded); err != nil || !cmp.Equal(got, claims) {
			t.Errorf("DecodeClaims(%s) = %v, %v, want %v", encoded, got, err, claims)
		}
	})
}
