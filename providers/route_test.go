package providers

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"shorepass/internal/secret"
)

// refreshers returns a chain in which the providers of these names accept refresh
// tokens: partner and SSO trust an issuer each, twin trusts SSO's. corp is a directory,
// and ci accepts ID tokens only.
func refreshers(t *testing.T, names ...string) *Chain {
	t.Helper()
	issuers := map[string]string{"partner": "https://partner", "SSO": "https://sso", "twin": "https://sso"}
	var all []Member
	for _, name := range names {
		d := &directory{print: name, takes: []Kind{Password, RefreshToken}, issuers: []string{issuers[name]}}
		all = append(all, Member{d, Config{Name: name, Kind: "oidc", Prefix: pointer(name + "/")}})
	}
	ci := &directory{print: "ci", takes: []Kind{IDToken}, issuers: []string{"https://ci"}}
	all = append(all, Member{ci, Config{Name: "ci", Kind: "oidc", Prefix: pointer("ci/")}},
		Member{&directory{print: "corp"}, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}})
	return chainOf(t, newThrottle(t), all...)
}

// TestRefreshRoute: a provider's refresh token goes to the provider that is named, or to
// the only one that can be meant; else to none, and the error says why. As in Basic, the
// user name ends at the first colon.
func TestRefreshRoute(t *testing.T) {
	sso, partner, ci := jwt(`{"iss":"https://sso"}`), jwt(`{"iss":"https://partner"}`), jwt(`{"iss":"https://ci"}`)
	offline := jwt(`{"iss":"https://sso","typ":"Offline"}`)
	const none = ""
	for _, test := range []struct {
		providers string
		typed     string // user name and password with a colon between them
		to        string // the provider and, after a blank, the secret that it gets
	}{
		// One provider has the grant.
		{"SSO", "$refresh:TOKEN", "SSO TOKEN"},
		{"SSO", "$Refresh:TOKEN", "SSO TOKEN"},
		{"SSO", "$réfresh:TOKEN", "SSO TOKEN"},
		{"SSO", " $refresh :TOKEN", "SSO TOKEN"},
		{"SSO", "$refresh:SSO:TOKEN", "SSO TOKEN"},
		{"SSO", "$refresh:SSO:A:B", "SSO A:B"},
		{"SSO", "$refresh:ssoo:TOKEN", none},
		{"SSO", "$refresh:A:B", none}, // which of A and A:B is the token?
		{"SSO", "$refresh:" + sso, "SSO " + sso},
		{"SSO", "$refresh:" + partner, none},
		{"SSO", "$refresh:" + ci, none},

		// Several have it.
		{"partner SSO", "$refresh:TOKEN", none},
		{"SSO partner", "$refresh:TOKEN", none},
		{"partner SSO", "$refresh:SSO:TOKEN", "SSO TOKEN"},
		{"partner SSO", "$refresh:sso:TOKEN", "SSO TOKEN"},
		{"partner SSO", "$refresh: sso :TOKEN", "SSO TOKEN"},
		{"partner SSO", "$refresh:ssó:TOKEN", none},
		{"partner SSO", "$refresh:s so:TOKEN", none},
		{"partner SSO", "$refresh:ssoo:TOKEN", none},
		{"partner SSO", "$refresh:ss:TOKEN", none},
		{"partner SSO", "$refresh:s\u00adso:TOKEN", none},
		{"partner SSO", "$refresh::TOKEN", none},
		{"partner SSO", "$refresh:corp:TOKEN", none},
		{"partner SSO", "$refresh:ci:TOKEN", none},
		{"partner SSO", "$refresh:SSO", none}, // a token like any other
		{"partner SSO", "$refersh:SSO:TOKEN", none},
		{"partner SSO", "$refresh-SSO:TOKEN", none},
		{"partner SSO", "$refreshSSO:TOKEN", none},
		{"partner SSO", "$SSO:TOKEN", none},

		// A JWT names its issuer.
		{"partner SSO", "$refresh:" + sso, "SSO " + sso},
		{"partner SSO", "$refresh:SSO:" + sso, "SSO " + sso},
		{"partner SSO", "$refresh:partner:" + sso, none},
		{"partner SSO", "$refresh:partner:" + offline, none},
		{"partner SSO", "$refresh:ssoo:" + sso, none},
		{"partner SSO", "$refresh:" + jwt(`{"iss":"https://evil"}`), none},
		{"partner SSO", "$refresh:" + jwt(`{"jti":"1"}`), none},
		{"partner SSO", "$refresh:" + jwt(`{"iss":"https://sso","iss":"https://partner"}`), none},
		{"partner SSO", "bob:" + offline, "SSO " + offline},
		{"SSO twin", "bob:" + offline, none},
		{"SSO twin", "$refresh:" + offline, none},
		{"SSO twin", "$refresh:twin:" + offline, "twin " + offline},
	} {
		c := refreshers(t, strings.Fields(test.providers)...)
		name, password, _ := strings.Cut(test.typed, ":")
		login, err := ParseLogin(name)
		if err != nil {
			t.Fatal(err)
		}
		joined, token := c.JoinRefreshName(login, secret.New(password))
		cred := c.Recognize(Credential{Login: joined, Secret: token, Address: home})
		var got string
		if len(cred.route.members) == 1 {
			got = cred.route.members[0].config.Name + " " + token.Reveal()
		}
		if got != test.to {
			t.Errorf("with %q, %q goes to %q, want %q", test.providers, test.typed, got, test.to)
		}
		if err := cred.Misrouted(); errors.Is(err, ErrRefreshName) != (test.to == none) || (err != nil && !errors.Is(err, ErrRejected)) {
			t.Errorf("with %q, %q: Misrouted = %v", test.providers, test.typed, err)
		}
		if test.to != none {
			continue
		}
		if err := c.try(t, cred); !errors.Is(err, ErrRefreshName) || strings.Contains(err.Error(), "TOKEN") || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("with %q, Authenticate(%q) = %v, want ErrRefreshName without the token", test.providers, test.typed, err)
		}
		for _, m := range c.members {
			if n := m.provider.(*directory).searches(); n != 0 {
				t.Errorf("with %q, %q was sent to %s", test.providers, test.typed, m.config.Name)
			}
		}
	}
}

// TestRefreshRouteWithoutGrant: where no provider accepts refresh tokens, the error
// recommends no login name.
func TestRefreshRouteWithoutGrant(t *testing.T) {
	c := refreshers(t)
	for _, login := range []Login{"$refresh", "$refresh:sso", "$oidc"} {
		cred := c.Recognize(Credential{Login: login, Secret: secret.New("TOKEN"), Address: home})
		if err := c.try(t, cred); !errors.Is(err, ErrRejected) || errors.Is(err, ErrRefreshName) {
			t.Errorf("Authenticate(%q) = %v, want ErrRejected alone", login, err)
		}
	}
}

// TestRefreshRouteOfPost: in the form of a POST the user name has its colon.
func TestRefreshRouteOfPost(t *testing.T) {
	c := refreshers(t, "partner", "SSO")
	for _, test := range []struct{ login, password, to string }{
		{"$refresh:SSO", "TOKEN", "SSO TOKEN"},
		{"$refresh:SSO", "A:B", "SSO A:B"},
		{"$refresh:SSO", "partner:TOKEN", "SSO partner:TOKEN"},
		{"$Refresh:sso", "TOKEN", "SSO TOKEN"},
		{"$refresh: SSO", "TOKEN", "SSO TOKEN"},
		{"$refresh\uff1aSSO", "TOKEN", ""}, // a full-width colon
		{"$refresh:", "TOKEN", ""},
		{"$refresh:ssoo", "TOKEN", ""},
		{"$refresh:SSO:", "TOKEN", ""},
		{"$refresh", "ssoo:TOKEN", ""},
	} {
		login, err := ParseLogin(test.login)
		if err != nil {
			t.Fatal(err)
		}
		joined, token := c.JoinRefreshName(login, secret.New(test.password))
		r := c.route(joined, token.Reveal())
		var got string
		if len(r.members) == 1 {
			got = r.members[0].config.Name + " " + token.Reveal()
		}
		if r.kind != RefreshToken || got != test.to || errors.Is(r.err, ErrRefreshName) != (test.to == "") {
			t.Errorf("%q with %q goes to %q, %v, want %q", test.login, test.password, got, r.err, test.to)
		}
	}
}

// jwt is an unsigned token of that payload.
func jwt(payload string) string { return rawJWT(`{"alg":"RS256","typ":"JWT"}`, payload) }

func rawJWT(header, payload string) string {
	b := base64.RawURLEncoding
	return b.EncodeToString([]byte(header)) + "." + b.EncodeToString([]byte(payload)) + ".c2ln"
}

// TestRoute: the kind of a secret, and the providers that may see it.
func TestRoute(t *testing.T) {
	file := &fakeFile{directory{accounts: map[Login]fakeAccount{"local": account("right", "local", "local")}}}
	ldap := &directory{print: "ldap"}
	sso := &directory{print: "sso", takes: []Kind{Password, RefreshToken}, issuers: []string{"https://sso"}}
	ci := &directory{print: "ci", takes: []Kind{IDToken}, issuers: []string{"https://ci"}}
	mfa := &directory{print: "mfa", takes: []Kind{RefreshToken}, issuers: []string{"https://mfa"}}
	all := []Member{
		{file, Config{Name: "local", Kind: "file"}},
		{mfa, Config{Name: "Mfa", Kind: "oidc", Prefix: pointer("m:"), Match: []string{"*@MFA.example"}}},
		{sso, Config{Name: "sso", Kind: "oidc", Prefix: pointer("s:"), Match: []string{"*@partner.example", `PARTNER\*`}}},
		{ci, Config{Name: "ci", Kind: "oidc", Prefix: pointer("c:")}},
		{ldap, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}},
	}
	c := chainOf(t, newThrottle(t), all...)
	const jwe = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aXY.Y2lwaGVy.dGFn"
	for _, test := range []struct {
		login  Login
		secret string
		kind   Kind
		to     string
	}{
		{"bob", "secret", Password, "local corp"},
		{"bob@partner.example", "secret", Password, "local sso corp"},
		{`partner\bob`, "secret", Password, "local sso corp"},
		{"bob", "a.b.c", Password, "local corp"},
		{"bob", "eeeee.b.c", Password, "local corp"},
		{"bob", "e.g..", Password, "local corp"},
		{"bob", "[1].b.c", Password, "local corp"},
		{"bob", "Bearer of good news", Password, "local corp"},
		{"bob", " " + rawJWT(`{"alg":"RS256"}`, `{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", rawJWT(`{"alg":"RS256"}`, `{"iss":"https://ci"}`) + "\n", IDToken, "ci"},
		{"bob", "Bearer " + rawJWT(`{"alg":"RS256"}`, `{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", rawJWT(` {"alg":"RS256"}`, `{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", "\t" + rawJWT(`{"alg":"RS256"}`, `{"iss":"https://nobody"}`), IDToken, ""},
		{"", "secret", Password, ""},
		{"<token>", "secret", Password, ""},
		{"$oidc", "secret", Password, ""},
		{"$refreshing", "secret", Password, ""},
		{"oauth2accesstoken", "secret", Password, ""},

		{"$refresh:sso", "opaque", RefreshToken, "sso"},
		{"$refresh:mfa", "opaque", RefreshToken, "Mfa"},
		{"$refresh", jwt(`{"iss":"https://sso"}`), RefreshToken, "sso"},
		{"$refresh:sso", jwt(`{"iss":"https://sso"}`), RefreshToken, "sso"},
		{"$refresh:sso", jwt(`{"jti":"1"}`), RefreshToken, "sso"},
		{"$refresh:sso", jwe, RefreshToken, "sso"},

		{"bob@mfa.example", "opaque", RefreshToken, "Mfa"},
		{"BOB@mfa.example", "opaque", RefreshToken, "Mfa"},
		{"bob@mfa.example", jwe, RefreshToken, "Mfa"},
		{"local", "opaque", Password, "local corp"},

		{"bob", jwt(`{"iss":"https://sso","typ":"Refresh"}`), RefreshToken, "sso"},
		{"bob", jwt(`{"iss":"https://sso","typ":"Offline"}`), RefreshToken, "sso"},
		{"bob", jwt(`{"iss":"https://ci","typ":"Refresh"}`), RefreshToken, ""},
		{"bob", jwt(`{"iss":"https://ci","typ":"refresh"}`), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://ci","typ":"ID"}`), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://ci","TYP":"Refresh"}`), IDToken, "ci"},
		{"oauth2accesstoken", jwt(`{"iss":"https://ci"}`), IDToken, "ci"},
		{"$oidc", jwt(`{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://mfa"}`), IDToken, ""}, // its match does not have the name
		{"bob@mfa.example", jwt(`{"iss":"https://mfa"}`), RefreshToken, "Mfa"},
		{"bob@mfa.example", jwt(`{"iss":"https://sso"}`), IDToken, ""},
		{"bob@mfa.example", jwt(`{"iss":"https://sso","typ":"Refresh"}`), RefreshToken, "sso"},
		{"bob", jwt(`{"iss":"https://sso"}`), IDToken, ""}, // it accepts passwords, and no ID tokens
		{"bob", jwt(`{"iss":"https://ci/"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"HTTPS://ci"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://evil"}`), IDToken, ""},
		{"bob", jwt(`{"iss":""}`), IDToken, ""},
		{"bob", jwt(`{"iss":null}`), IDToken, ""},
		{"bob", jwt(`{"iss":["https://ci"]}`), IDToken, ""},
		{"bob", jwt(`{"ISS":"https://ci"}`), IDToken, ""},
		{"bob", jwt(`{"iſs":"https://ci"}`), IDToken, ""}, // U+017F folds to s
		{"bob", jwt(`{"iss":"https://ci","iss":"https://evil"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci","\u0069ss":"https://ci"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci"} `), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://ci"}{}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci","typ":1}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci`), IDToken, ""},
		{"bob", jwt(`["https://ci"]`), IDToken, ""},
		{"bob", jwt("{\"iss\":\"https://ci\xff\"}"), IDToken, ""},
		{"bob", jwt(""), IDToken, ""},
		{"bob", rawJWT("{\n \"alg\": \"none\"}", `{"iss":"https://ci"}`), IDToken, "ci"}, // the provider refuses it
		{"bob", rawJWT(`{"alg":"RS256","alg":"none"}`, `{"iss":"https://ci"}`), IDToken, ""},
		{"bob", jwe, IDToken, ""},
	} {
		r := c.route(test.login, test.secret)
		var names []string
		for _, m := range r.members {
			names = append(names, m.config.Name)
		}
		if got := strings.Join(names, " "); r.kind != test.kind || got != test.to {
			t.Errorf("route(%q, %q) = %v to %q, want %v to %q", test.login, test.secret, r.kind, got, test.kind, test.to)
		}
		if kind := c.Recognize(Credential{Login: test.login, Secret: secret.New(test.secret)}).Kind(); kind != test.kind {
			t.Errorf("Recognize(%q, %q) = %v, want %v", test.login, test.secret, kind, test.kind)
		}
	}
}

// fakeFile is a directory with a LoginChecker.
type fakeFile struct{ directory }

func (f *fakeFile) HasLogin(login Login) bool { _, ok := f.accounts[login]; return ok }

func FuzzReadUnverified(f *testing.F) {
	f.Add("a.b.c")
	f.Add(jwt(`{"iss":"https://ci","typ":"ID"}`))
	f.Add(jwt(`{"iss":"a","iss":"b"}`))
	f.Fuzz(func(t *testing.T, secret string) {
		got, isToken, err := readUnverified(secret)
		if err != nil && (!isToken || got != unverifiedJWT{}) {
			t.Errorf("readUnverified(%q) = %v, %v, %v: want no result with an error", secret, got, isToken, err)
		}
		if !isToken && (err != nil || got != unverifiedJWT{}) {
			t.Errorf("readUnverified(%q) = %v, %v: want no result for a secret that is no token", secret, got, err)
		}
	})
}
