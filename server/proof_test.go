package server_test

import (
	"net/http"
	"testing"

	"shorepass/server"
)

// TestRedemptionIsAProof: a redeemed refresh token leaves a proof at the client's
// address, so that after a stranger's guesses the owner may still try one password
// there and none elsewhere.
func TestRedemptionIsAProof(t *testing.T) {
	h := newHarness(t, server.AuditConfig{})
	h.generation.Config.TrustedProxies = []string{"127.0.0.1"}
	h.reload(t)
	from := func(address string, secret string, query string) answer {
		req, err := http.NewRequest(http.MethodGet, h.URL+"/jwt/auth?service=blue"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", address)
		req.SetBasicAuth("Alice", secret)
		return h.do(t, req)
	}
	const login, ci, stranger, elsewhere = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
	token, _ := from(login, password, "&offline_token=true").json["refresh_token"].(string)
	if a := from(ci, token, ""); token == "" || a.status != http.StatusOK {
		t.Fatalf("the redemption answers %d %s", a.status, a.body)
	}
	for _, guess := range []string{"one", "two", "three"} {
		if a := from(stranger, guess, ""); a.status != http.StatusUnauthorized {
			t.Errorf("the stranger's guess %s answers %d, want 401", guess, a.status)
		}
	}
	for address, want := range map[string]int{login: http.StatusOK, ci: http.StatusOK, elsewhere: http.StatusTooManyRequests, stranger: http.StatusTooManyRequests} {
		if a := from(address, password, ""); a.status != want {
			t.Errorf("the right password from %s answers %d, want %d", address, a.status, want)
		}
	}
}
