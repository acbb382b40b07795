package session

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"shorepass/internal/secret"
)

func newKeys(t *testing.T, texts ...secret.Text) *Keys {
	t.Helper()
	var all []string
	for _, text := range texts {
		all = append(all, text.Reveal())
	}
	k, err := ParseKeys(secret.New(strings.Join(all, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSeal(t *testing.T) {
	one, two := NewSealKey(), NewSealKey()
	old, both, fresh, other := newKeys(t, one), newKeys(t, two, one), newKeys(t, two), newKeys(t, NewSealKey())
	providerToken := secret.New("eyJ refresh token")
	sealed, err := old.seal("a", providerToken)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("refresh")) {
		t.Error("what is sealed can be read")
	}
	again, err := old.seal("a", providerToken)
	if err != nil || bytes.Equal(again, sealed) {
		t.Error("what is sealed twice is equal")
	}
	for _, tc := range []struct {
		name    string
		keys    *Keys
		session string
		sealed  []byte
		opens   bool
	}{
		{"the key", old, "a", sealed, true},
		{"a ring with the key", both, "a", sealed, true},
		{"another session", old, "b", sealed, false},
		{"a ring without the key", fresh, "a", sealed, false},
		{"another key", other, "a", sealed, false},
		{"nothing", old, "a", nil, false},
		{"a head alone", old, "a", sealed[:5], false},
		{"half of it", old, "a", sealed[:len(sealed)/2], false},
		{"another version", old, "a", append([]byte{9}, sealed[1:]...), false},
	} {
		got, err := tc.keys.open(tc.session, tc.sealed)
		if (err == nil) != tc.opens || (tc.opens && !got.Equal(providerToken)) || (!tc.opens && !errors.Is(err, ErrSealed)) {
			t.Errorf("%s: open = %v, want it opens: %v", tc.name, err, tc.opens)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := old.open("a", bad); err == nil {
			t.Errorf("what is sealed opens with byte %d changed", i)
		}
	}
	if both.sealedByFirst(sealed) || !old.sealedByFirst(sealed) {
		t.Error("sealedByFirst does not tell the keys apart")
	}
	if !both.matches(old.checkValue()) || fresh.matches(old.checkValue()) {
		t.Error("proves does not tell the keys apart")
	}
	if bytes.Equal(old.Derive("a"), old.Derive("b")) || bytes.Equal(old.Derive("a"), other.Derive("a")) || !bytes.Equal(old.Derive("a"), newKeys(t, one, two).Derive("a")) {
		t.Error("Derive does not go by first key and purpose")
	}
	if printed := fmt.Sprintf("%v", NewSealKey()); printed != "[redacted]" {
		t.Errorf("a key prints as %s", printed)
	}
}

// TestSealForPurpose: what is sealed for a purpose opens for that purpose alone, with any
// key of the ring.
func TestSealForPurpose(t *testing.T) {
	one, two := NewSealKey(), NewSealKey()
	plain := []byte("nonce and verifier")
	sealed, err := newKeys(t, one).Seal("sign-in", plain)
	if err != nil {
		t.Fatal(err)
	}
	asToken, err := newKeys(t, one).seal("sign-in", secret.New(string(plain)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		keys    *Keys
		purpose string
		sealed  []byte
		opens   bool
	}{
		{"the key", newKeys(t, one), "sign-in", sealed, true},
		{"another purpose", newKeys(t, one), "problem", sealed, false},
		{"no purpose", newKeys(t, one), "", sealed, false},
		{"a provider's refresh token", newKeys(t, one), "sign-in", asToken, false},
		{"nothing", newKeys(t, one), "sign-in", nil, false},
		{"a head alone", newKeys(t, one), "sign-in", sealed[:1+keyIDLen], false},
		{"without its last byte", newKeys(t, one), "sign-in", sealed[:len(sealed)-1], false},
		{"with another byte", newKeys(t, one), "sign-in", append(bytes.Clone(sealed), 0), false},
	} {
		got, err := tc.keys.Open(tc.purpose, tc.sealed)
		if (err == nil) != tc.opens || tc.opens && !bytes.Equal(got, plain) || !tc.opens && (!errors.Is(err, ErrSealed) || got != nil) {
			t.Errorf("%s: Open = %q, %v, want it opens: %v", tc.name, got, err, tc.opens)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			if _, err := newKeys(t, one).Open("sign-in", bad); !errors.Is(err, ErrSealed) {
				t.Errorf("bit %d of byte %d changed: Open = %v, want ErrSealed", bit, i, err)
			}
		}
	}
	if token, err := newKeys(t, one).open("sign-in", sealed); !errors.Is(err, ErrSealed) || !token.IsZero() {
		t.Errorf("what is sealed for a purpose opens as a provider's refresh token: %v", err)
	}

	// The key is replaced in two steps, replica by replica: at each moment every replica
	// opens what any other has sealed.
	for _, step := range []struct {
		name        string
		before, now *Keys
	}{
		{"the new key second", newKeys(t, one), newKeys(t, one, two)},
		{"the new key first", newKeys(t, one, two), newKeys(t, two, one)},
		{"the old key removed", newKeys(t, two, one), newKeys(t, two)},
	} {
		for _, pair := range [][2]*Keys{{step.before, step.now}, {step.now, step.before}} {
			sealed, err := pair[0].Seal("sign-in", plain)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := pair[1].Open("sign-in", sealed); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: a replica does not open what another sealed: %v", step.name, err)
			}
		}
	}
	if _, err := newKeys(t, two).Open("sign-in", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("without the old key Open = %v, want ErrSealed", err)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	good := NewSealKey().Reveal()
	for _, text := range []string{"", " \n", good[1:], good + "=", "secret", strings.Repeat(good+" ", 17), good + "\nsecret"} {
		_, err := ParseKeys(secret.New(text))
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), good) {
			t.Errorf("ParseKeys(%q) = %v, want an error that shows no key", text, err)
		}
	}
}
