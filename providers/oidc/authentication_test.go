package oidc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestACRAndAMR: ACR and AMR come from the ID token of the login, and from no
// other response.
func TestACRAndAMR(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, func(c *oidc.Config) {
		c.Users.Claim, c.Groups.Claim, c.Userinfo = "sub", "", "always"
		c.Grants, c.Audience = append(c.Grants, "id_token"), []string{"registry"}
	})
	i.Replace(oidctest.UserinfoPath, serveJSON(map[string]any{"sub": "subject-1", "acr": "userinfo", "amr": []string{"userinfo"}}))
	tests := []struct {
		claims map[string]any
		acr    string
		amr    []string
	}{
		{map[string]any{"acr": "urn:mfa", "amr": []string{"pwd", "otp"}}, "urn:mfa", []string{"pwd", "otp"}},
		{nil, "", nil},
		{map[string]any{"acr": 1, "amr": "pwd"}, "", nil},
		{map[string]any{"acr": "a\u0000", "amr": []any{"pwd", 7}}, "", nil},
	}
	for _, tt := range tests {
		token := i.IDToken(tt.claims)
		i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "refresh_token": "r", "token_type": "Bearer", "id_token": token}))
		presented, err := present(p, t, token)
		if err != nil {
			t.Fatal(err)
		}
		loggedIn := login(t, p, offline("alice", "pw"))
		for how, id := range map[string]*providers.Identity{"an ID token": presented, "a password": loggedIn} {
			if id.ACR != tt.acr || !cmp.Equal(id.AMR, tt.amr) {
				t.Errorf("%v by %s: acr %q amr %q, want %q %q", tt.claims, how, id.ACR, id.AMR, tt.acr, tt.amr)
			}
		}
		again, err := p.Revalidate(t.Context(), loggedIn)
		if err != nil {
			t.Fatal(err)
		}
		redeemed, err := p.RedeemRefreshToken(t.Context(), secret.New("r"))
		if err != nil {
			t.Fatal(err)
		}
		if again.ACR != "" || again.AMR != nil || redeemed.ACR != "" || redeemed.AMR != nil {
			t.Errorf("%v: a refresh grant returned acr or amr: %+v, %+v", tt.claims, again, redeemed)
		}
	}
	i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer"}))
	if id := login(t, p, password("alice", "pw")); id.ACR != "" || id.AMR != nil {
		t.Errorf("without an ID token: acr %q amr %q, want none", id.ACR, id.AMR)
	}
}
