package providers

import (
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

// TestRefreshRoute: A4: a provider's refresh token goes to the provider that is named, or to
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

// TestRefreshRouteWithoutGrant: A4: where no provider accepts refresh tokens, the error
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

// TestRefreshRouteOfPost: A4: in the form of a POST the user name has its colon.
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
