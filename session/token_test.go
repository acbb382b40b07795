package session

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"shorepass/internal/secret"
	"shorepass/providers"
)

var kinds = []Kind{KindRefresh, KindPAT, KindRobot, KindBrowser, KindOneTime}

func TestToken(t *testing.T) {
	seen := make(map[string]bool)
	for _, kind := range kinds {
		for range 100 {
			token, made := newToken(kind)
			text := token.Reveal()
			if seen[text] {
				t.Fatal("a token came twice")
			}
			seen[text] = true
			if len(text) != tokenLen || !Recognize(token) {
				t.Errorf("a new token has %d letters and is recognized: %v", len(text), Recognize(token))
			}
			got, hash, ok := parseToken(token)
			if got != kind || !ok || hash != made {
				t.Errorf("parseToken of a new %s = %s, %v", kind, got, ok)
			}
			first, last, ok := ParseID(hash.ID())
			if !ok || slices.Compare(first[:], hash[:]) > 0 || slices.Compare(last[:], hash[:]) < 0 || strings.Contains(text, hash.ID()) {
				t.Errorf("ParseID(%q) does not enclose the hash", hash.ID())
			}
		}
	}
}

// TestMangledTokens: a change of any letter is refused, and a token of one kind
// is not valid as another.
func TestMangledTokens(t *testing.T) {
	for _, kind := range kinds {
		token, _ := newToken(kind)
		good := token.Reveal()
		for i := range good {
			for _, letter := range []byte("0Az_-\x00 é") {
				if letter == good[i] {
					continue
				}
				bad := good[:i] + string(rune(letter)) + good[i+1:]
				if _, _, ok := parseToken(secret.New(bad)); ok {
					t.Errorf("parseToken took a %s with letter %d changed to %q", kind, i, letter)
				}
			}
		}
		for _, bad := range []string{"", "sp_", "sp_r_", good[:len(good)-1], good + "0", " " + good, good + "\n", strings.ToLower(good), "sp_x_" + good[5:], strings.Repeat(good, 100_000)} {
			if _, _, ok := parseToken(secret.New(bad)); ok {
				t.Errorf("parseToken took %q", bad[:min(len(bad), 80)])
			}
		}
		for _, other := range kinds {
			if other != kind {
				if _, _, ok := parseToken(secret.New(prefixes[other] + good[prefixLen:])); ok {
					t.Errorf("parseToken took a %s as a %s", kind, other)
				}
			}
		}
	}
}

func TestRecognize(t *testing.T) {
	for text, want := range map[string]bool{
		"sp_r_": true, "sp_p_x": true, "sp_b_ garbage": true, "sp_w_": true, "sp_o_x": true, " sp_r_x\n": true,
		"": false, "sp_": false, "sp_q_x": false, "password": false, "xsp_r_": false, "sp_secret": false,
	} {
		if got := Recognize(secret.New(text)); got != want {
			t.Errorf("Recognize(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	token, _ := newToken(KindRefresh)
	s := Session{Token: token, Identity: &providers.Identity{RefreshToken: token}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "session", s)
	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v", s, s), string(asJSON), log.String()} {
		if strings.Contains(printed, token.Reveal()[prefixLen:]) {
			t.Errorf("a token is printed: %s", printed)
		}
	}
}

// FuzzParseToken: an accepted token has one spelling, the one that newToken
// generates.
func FuzzParseToken(f *testing.F) {
	f.Add("sp_r_")
	token, _ := newToken(KindRobot)
	f.Add(token.Reveal())
	f.Add("sp_p_" + strings.Repeat("0", randomLen+checksumLen))
	f.Fuzz(func(t *testing.T, text string) {
		kind, hash, ok := parseToken(secret.New(text))
		if !ok {
			if kind != "" || hash != (Hash{}) {
				t.Errorf("parseToken(%q) gives half a result", text)
			}
			return
		}
		if !strings.HasPrefix(text, prefixes[kind]) || len(text) != tokenLen || strings.Trim(text[prefixLen:], letters) != "" {
			t.Errorf("parseToken took %q", text)
		}
		if string(checksum([]byte(text[:tokenLen-checksumLen]))) != text[tokenLen-checksumLen:] {
			t.Errorf("parseToken took %q with another checksum", text)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("abcdefgh23456723")
	f.Add("ABCDEFGH23456723")
	f.Fuzz(func(t *testing.T, id string) {
		first, last, ok := ParseID(id)
		if !ok {
			return
		}
		if first.ID() != last.ID() {
			t.Errorf("ParseID(%q): %q and %q", id, first.ID(), last.ID())
		}
	})
}
