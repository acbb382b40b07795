package oidc_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

func TestUserinfo(t *testing.T) {
	for name, change := range map[string]func(*oidctest.Options){
		"thin ID token":        func(o *oidctest.Options) { o.ThinIDToken = true },
		"signed userinfo (D3)": func(o *oidctest.Options) { o.ThinIDToken, o.SignedUserinfo = true, true },
		"no ID token":          func(o *oidctest.Options) { o.OmitIDToken = true },
	} {
		t.Run(name, func(t *testing.T) {
			op := start(t, change)
			p := newProvider(t, op.Issuer, nil)
			id := login(t, p, offline("alice", "alice's pass"))
			if id.User != "alice" || id.Subject != "u-alice" || len(id.Groups) != 2 {
				t.Errorf("identity = %+v", id)
			}
			op.SetGroups("alice", "late")
			id, err := p.Revalidate(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if !cmp.Equal(id.Groups, []string{"late"}) {
				t.Errorf("Groups = %q, want those of userinfo now", id.Groups)
			}
			if n := op.Requests("userinfo"); n != 2 {
				t.Errorf("userinfo was asked %d times, want 2", n)
			}
		})
	}
}

// TestUserinfoAsJWT: a signed response is verified with the provider's keys, and
// an encrypted one is refused by name (D3).
func TestUserinfoAsJWT(t *testing.T) {
	i, other := oidctest.NewIssuer(t), oidctest.NewIssuer(t)
	signed := func(claims string) string { return i.Sign(goodHeader, claims, oidctest.EC) }
	for _, tt := range []struct {
		name, mediaType, body string
		want                  string // in the error; "": accepted
	}{
		{"signed", "application/jwt", signed(`{"sub":"subject-1"}`), ""},
		{"another Content-Type", "application/json", signed(`{"sub":"subject-1"}`), ""},
		{"no Content-Type", "", signed(`{"sub":"subject-1"}`) + "\n", ""},
		{"JSON in spite of the type", "application/jwt; charset=utf-8", `{"sub":"subject-1"}`, ""},
		{"iss and aud", "application/jwt", signed(`{"sub":"subject-1","iss":"` + i.URL + `","aud":["x","registry"]}`), ""},
		{"iss of another", "application/jwt", signed(`{"sub":"subject-1","iss":"` + other.URL + `"}`), "its iss is not"},
		{"aud of another", "application/jwt", signed(`{"sub":"subject-1","aud":"vault"}`), "its aud is not"},
		{"expired", "application/jwt", signed(`{"sub":"subject-1","exp":1}`), "it has expired"},
		{"another sub", "application/jwt", signed(`{"sub":"subject-2"}`), "another sub than the ID token"},
		{"no sub", "application/jwt", signed(`{}`), "its sub is missing"},
		{"another key", "application/jwt", other.Sign(goodHeader, `{"sub":"subject-1"}`, oidctest.EC), "none of the provider's keys"},
		{"unsigned", "application/jwt", oidctest.SignWith(t, `{"alg":"none"}`, `{"sub":"subject-1"}`, nil), "not signed by one of"},
		{"encrypted", "application/jwt", "eyJlbmMiOiJBMTI4R0NNIn0.a.b.c.d", "it is encrypted"},
		{"encrypted, another Content-Type", "text/plain", "eyJlbmMiOiJBMTI4R0NNIn0.a.b.c.d", "it is encrypted"},
		{"not a JWT", "application/jwt", "<html>", "not a signed JWT"},
	} {
		i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
		i.Replace(oidctest.UserinfoPath, func(w http.ResponseWriter, r *http.Request) {
			if w.Header()["Content-Type"] = nil; tt.mediaType != "" {
				w.Header().Set("Content-Type", tt.mediaType)
			}
			_, _ = w.Write([]byte(tt.body))
		})
		p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim, c.Userinfo = "sub", "", "always" })
		id, err := authenticate(t.Context(), p, password("alice", "pw"))
		if tt.want == "" && (err != nil || id.Subject != "subject-1") || tt.want != "" && (!isUnavailable(err) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: Authenticate = %v, %v, want %q", tt.name, id, err, tt.want)
		}
	}
}

func TestUserinfoOfAnotherSubject(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
	i.Replace(oidctest.UserinfoPath, serveJSON(map[string]any{"sub": "subject-2", "groups": []string{"admins"}}))
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim = "sub" })
	if id, err := authenticate(t.Context(), p, password("alice", "pw")); !isUnavailable(err) {
		t.Errorf("Authenticate = %v, %v, want unavailable", id, err)
	}
}
