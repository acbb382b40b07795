package server

import (
	"encoding/json"
	"testing"
)

// TestTokenAnswerJSON: an answer has the bytes that encoding/json gives it.
func TestTokenAnswerJSON(t *testing.T) {
	for _, text := range []string{"", "repository:team-a/app:pull,push", "é", `"\`, "a<b>&c", "\x00\n\x1f\x7f", "\u2028", "\xff"} {
		answer := tokenAnswer{Token: "ey.J_-", AccessToken: "ey.J_-", ExpiresIn: 300, Scope: text, RefreshToken: text}
		want, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.appendJSON([]byte("before"))[len("before"):]; string(got) != string(want) {
			t.Errorf("appendJSON = %s\nwant         %s", got, want)
		}
	}
}
