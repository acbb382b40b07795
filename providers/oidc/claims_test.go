package oidc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestMissingClaimIsExplained: the rejection of a person without a configured
// claim names the keys to change, and the claims that came without their values
// (D18).
func TestMissingClaimIsExplained(t *testing.T) {
	op := start(t, nil)
	for _, tt := range []struct {
		change func(*oidc.Config)
		want   string
	}{
		{func(c *oidc.Config) { c.Groups.Claim = "teams" },
			`the claim "teams" is missing: check scopes (now openid profile email), groups.claim and groups.optional; these came: email, email_verified, groups, name, preferred_username, realm_access, sub`},
		{func(c *oidc.Config) { c.Scopes = []string{"openid"} },
			`the claim "preferred_username" is missing: check scopes (now openid), users.claim; these came: groups, realm_access, sub`},
		{func(c *oidc.Config) { c.Subject = []string{"oid"} }, `the claim "oid" is missing: check scopes (now openid profile email), subject; these came: email, `},
	} {
		_, err := authenticate(t.Context(), newProvider(t, op.Issuer, tt.change), password("alice", "alice's pass"))
		if providers.ReasonOf(err) != providers.RefusedByConfig || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Authenticate = %v, want %s", err, tt.want)
		}
	}

	i := oidctest.NewIssuer(t)
	claims := map[string]any{"x": "secret value", "not a name": 1, "\x1b[31m": 1, strings.Repeat("l", 65): 1}
	for n := range 30 {
		claims[fmt.Sprintf("claim-%02d", n)] = "secret value"
	}
	_, err := present(newCIProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim = "user" }), t, i.IDToken(claims))
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "claim-23, and 11 others") {
		t.Errorf("VerifyIDToken = %v, want 24 names and a count", err)
	}
}

// TestClaimMapping: a configured claim that is missing is a rejection; there is
// no fallback.
func TestClaimMapping(t *testing.T) {
	op := start(t, func(o *oidctest.Options) {
		o.Users = append(o.Users, oidctest.User{Name: "carol", Password: "pw", Subject: "u-carol", Email: "a@evil@corp.example"})
		o.Users = append(o.Users, oidctest.User{Name: "dave", Password: "pw", Subject: "u-dave", Email: "Dave@Corp.example", Groups: []string{"Ops"}})
	})
	email := func(c *oidc.Config) { c.Users.Claim = "email" }
	tests := []struct {
		name   string
		change func(*oidc.Config)
		cred   providers.Credential
		user   string // "": rejected
		groups []string
	}{
		{"nested groups", func(c *oidc.Config) { c.Groups.Claim = "realm_access.roles" }, password("alice", "alice's pass"), "alice", []string{"reg-pull", "reg-push"}},
		{"groups by pointer", func(c *oidc.Config) { c.Groups.Claim = "/realm_access/roles" }, password("alice", "alice's pass"), "alice", []string{"reg-pull", "reg-push"}},
		{"groups not configured", func(c *oidc.Config) { c.Groups.Claim = "" }, password("alice", "alice's pass"), "alice", nil},
		{"groups missing", func(c *oidc.Config) { c.Groups.Claim = "teams" }, password("alice", "alice's pass"), "", nil},
		{"groups missing and optional", func(c *oidc.Config) { c.Groups.Claim, c.Groups.Optional = "teams", true }, password("alice", "alice's pass"), "alice", nil},
		{"an object is its keys", func(c *oidc.Config) { c.Groups.Claim = "realm_access" }, password("alice", "alice's pass"), "alice", []string{"roles"}},
		{"one text is one group", func(c *oidc.Config) { c.Groups.Claim = "preferred_username" }, password("alice", "alice's pass"), "alice", []string{"alice"}},
		{"user claim missing", func(c *oidc.Config) { c.Users.Claim = "upn" }, password("alice", "alice's pass"), "", nil},
		{"user claim of the wrong type", func(c *oidc.Config) { c.Users.Claim = "groups" }, password("alice", "alice's pass"), "", nil},
		{"verified email", email, password("alice", "alice's pass"), "alice@corp.example", []string{"devs", "ops"}},
		{"email by pointer is email", func(c *oidc.Config) { c.Users.Claim = "/email" }, password("bob", "bobpw"), "", nil},
		{"unverified email", email, password("bob", "bobpw"), "", nil},
		{"email with two @", email, password("carol", "pw"), "", nil},
		{"case is significant", email, password("dave", "pw"), "Dave@Corp.example", []string{"Ops"}},
		{"case ignored", func(c *oidc.Config) { email(c); c.IgnoreCase = true }, password("dave", "pw"), "dave@corp.example", []string{"Ops"}},
		{"subject claim missing", func(c *oidc.Config) { c.Subject = []string{"tid", "oid"} }, password("alice", "alice's pass"), "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, op.Issuer, tt.change)
			id, err := authenticate(t.Context(), p, tt.cred)
			if tt.user == "" {
				if !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != providers.RefusedByConfig {
					t.Errorf("Authenticate = %v, %v, want ErrRejected with RefusedByConfig", id, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if id.FoldsCase != (tt.name == "case ignored") {
				t.Errorf("FoldsCase = %v", id.FoldsCase)
			}
			if id.User != tt.user || !cmp.Equal(id.Groups, tt.groups) {
				t.Errorf("Authenticate = %q %q, want %q %q", id.User, id.Groups, tt.user, tt.groups)
			}
		})
	}
}

// TestClaimsByExactName: a claim counts as it is spelled, whatever stands beside
// it (D12), in the ID token and in userinfo.
func TestClaimsByExactName(t *testing.T) {
	i := oidctest.NewIssuer(t)
	odd := map[string]any{
		"preferred_username": "alice", "groups": []string{"devs"}, "email": "alice@corp.example", "email_verified": true,
		"Groups": []string{"admins"}, "GROUPS": 7, "Email": "boss@corp.example", "EMAIL_VERIFIED": false, "Preferred_Username": "boss",
		"SUB": "boss", "Iss": 7, "Nonce": 7, "nonce": 7, "at_hash": []any{}, "AT_HASH": nil, "Exp": "never",
		"_claim_names": map[string]any{"picture": "nowhere"}, "_claim_sources": "none", "picture": nil, "address": 7, "name": map[string]any{},
	}
	userinfo := maps.Clone(odd)
	userinfo["sub"], userinfo["Sub"] = "subject-1", "boss"
	i.Replace(oidctest.UserinfoPath, serveJSON(userinfo))
	for name, idToken := range map[string]string{"ID token": i.IDToken(odd), "userinfo": i.IDToken(nil)} {
		i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": idToken}))
		p := newProvider(t, i.URL, func(c *oidc.Config) { c.Claims = []string{"email"} })
		id, err := authenticate(t.Context(), p, password("alice", "pw"))
		if err != nil {
			t.Errorf("%s: Authenticate = %v", name, err)
			continue
		}
		if id.User != "alice" || !cmp.Equal(id.Groups, []string{"devs"}) || id.Claims["email"] != "alice@corp.example" || id.Subject != "subject-1" {
			t.Errorf("%s: identity = %+v", name, id)
		}
	}
}

// TestBooleansAsText: rules see a boolean that the provider sends as text, and
// no other text becomes one (D4).
func TestBooleansAsText(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, func(c *oidc.Config) { c.Claims = []string{"email_verified", "phone_number_verified", "beta"} })
	for sent, want := range map[any]any{true: true, "true": true, "false": false, "True": "True", "1": "1", "": ""} {
		id, err := present(p, t, i.IDToken(map[string]any{"email_verified": sent, "phone_number_verified": sent, "beta": sent}))
		if err != nil || id.Claims["email_verified"] != want || id.Claims["phone_number_verified"] != want || id.Claims["beta"] != sent {
			t.Errorf("sent %#v: claims %v, %v, want %#v", sent, id, err, want)
		}
	}
}

// TestEmailVerifiedAsText: some providers write email_verified as text (D4).
func TestEmailVerifiedAsText(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "email", "" })
	for verified, want := range map[any]bool{true: true, "true": true, "false": false, "TRUE ": false, false: false, 1: false} {
		id, err := present(p, t, i.IDToken(map[string]any{"email": "me@corp.example", "email_verified": verified}))
		if (err == nil) != want || err != nil && !errors.Is(err, providers.ErrRejected) {
			t.Errorf("email_verified = %#v: %v, %v, want accepted %v", verified, id, err, want)
		}
	}
}

// TestEmailVerifiedInAnotherResponse: email_verified of userinfo does not
// verify the email of the ID token.
func TestEmailVerifiedInAnotherResponse(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(map[string]any{"email": "boss@corp.example"})}))
	i.Replace(oidctest.UserinfoPath, serveJSON(map[string]any{"sub": "subject-1", "email": "me@home.example", "email_verified": true}))
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim, c.Userinfo = "email", "", "always" })
	if id, err := authenticate(t.Context(), p, password("alice", "pw")); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate = %v, %v, want ErrRejected", id, err)
	}
}

// TestUnprintableNames: a name that looks like another, or is invisible, is
// rejected.
func TestUnprintableNames(t *testing.T) {
	i := oidctest.NewIssuer(t)
	for _, name := range []any{"", " bob", "bob ", "bob\n", "b\x00b", "b\ufffdb", "bob\u200b", "\u202ebob", "\u212aevin", strings.Repeat("b", 513), 7, nil, []string{"bob"}} {
		for _, ignoreCase := range []bool{false, true} {
			p := newCIProvider(t, i.URL, func(c *oidc.Config) {
				c.Users.Claim, c.Groups.Claim, c.IgnoreCase = "name", "groups", ignoreCase
			})
			token := i.IDToken(map[string]any{"name": name, "groups": []string{}})
			if id, err := present(p, t, token); !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != providers.RefusedByConfig {
				t.Errorf("the name %q: Authenticate = %v, %v, want ErrRejected with RefusedByConfig", name, id, err)
			}
		}
	}
}

// TestLoginNameIsSentAsTyped: a provider with significant case has two
// accounts "alice" and "Alice".
func TestLoginNameIsSentAsTyped(t *testing.T) {
	op := start(t, func(o *oidctest.Options) {
		o.Users = append(o.Users, oidctest.User{Name: "Alice", Password: "another", Subject: "u-another"}, oidctest.User{Name: "weiß", Password: "pw", Subject: "u-weiß"})
	})
	p := newProvider(t, op.Issuer, nil)
	for _, test := range []struct{ login, password, user string }{
		{"alice", "alice's pass", "alice"}, {"Alice", "another", "Alice"}, {"weiß", "pw", "weiß"}, {"alice", "another", ""}, {"weiss", "pw", ""}, {"ALICE", "another", ""},
	} {
		id, err := authenticate(t.Context(), p, password(test.login, test.password))
		switch {
		case test.user == "" && !errors.Is(err, providers.ErrRejected):
			t.Errorf("Authenticate(%q) = %v, %v, want ErrRejected", test.login, id, err)
		case test.user != "" && (err != nil || id.User != test.user):
			t.Errorf("Authenticate(%q) = %v, %v, want %q", test.login, id, err, test.user)
		}
	}
}

// TestIncompleteGroupsAreUnsure: a person with incomplete groups
// logs in, is unsure of every group, and causes one warning.
func TestIncompleteGroupsAreUnsure(t *testing.T) {
	i := oidctest.NewIssuer(t)
	elsewhere := map[string]any{"groups": "src1"}
	sources := map[string]any{"src1": map[string]any{"endpoint": i.URL + "/groups"}}
	for _, test := range []struct {
		name     string
		claims   map[string]any
		optional bool
		groups   []string
		unsure   string
		warning  string
	}{
		{"a list", map[string]any{"groups": []any{"devs", 7}}, false, []string{"7", "devs"}, "", ""},
		{"none, which is optional", map[string]any{}, true, nil, "", ""},
		{"an odd value", map[string]any{"groups": []any{"devs", "گروه\u200cها", map[string]any{}}}, false, []string{"devs"}, "*", "groups.only"},
		{"one text that may be several", map[string]any{"groups": "team-blue,contractors"}, false, nil, "*", "groups.separator"},
		{"hasgroups", map[string]any{"hasgroups": true}, true, nil, "*", "too many groups"},
		{"hasgroups, not optional", map[string]any{"hasgroups": true}, false, nil, "*", "too many groups"},
		{"hasgroups as text", map[string]any{"hasgroups": "true"}, true, nil, "*", "too many groups"},
		{"hasgroups is the text false (D4)", map[string]any{"hasgroups": "false"}, true, nil, "", ""},
		{"hasgroups is false", map[string]any{"hasgroups": false}, true, nil, "", ""},
		{"groups:src1", map[string]any{"groups:src1": map[string]any{"endpoint": i.URL + "/groups"}}, true, nil, "*", "too many groups"},
		{"distributed", map[string]any{"_claim_names": elsewhere, "_claim_sources": sources}, true, nil, "*", "too many groups"},
		{"distributed, not optional", map[string]any{"_claim_names": elsewhere, "_claim_sources": sources}, false, nil, "*", "too many groups"},
		{"distributed in part", map[string]any{"groups": []any{"devs"}, "_claim_names": elsewhere, "_claim_sources": sources}, false, []string{"devs"}, "*", "too many groups"},
		{"another claim is distributed", map[string]any{"groups": []any{"devs"}, "_claim_names": map[string]any{"address": "src1"}, "_claim_sources": sources}, false, []string{"devs"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newCIProvider(t, i.URL, func(c *oidc.Config) { c.Groups.Claim, c.Groups.Optional = "groups", test.optional })
			var log strings.Builder
			p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
			for range 2 {
				id, err := present(p, t, i.IDToken(maps.Clone(test.claims)))
				if err != nil {
					t.Fatal(err)
				}
				if !cmp.Equal(id.Groups, test.groups) || strings.Join(id.Unsure, " ") != test.unsure {
					t.Errorf("groups %q, unsure %q, want %q and %q", id.Groups, id.Unsure, test.groups, test.unsure)
				}
			}
			if lines := strings.Count(log.String(), "\n"); test.warning == "" && lines > 0 || test.warning != "" && (lines != 1 || !strings.Contains(log.String(), test.warning)) {
				t.Errorf("the log is %q, want one line with %q", log.String(), test.warning)
			}
		})
	}
	p := newCIProvider(t, i.URL, func(c *oidc.Config) { c.Groups.Claim, c.Groups.Optional = "realm_access.roles", true })
	if id, err := present(p, t, i.IDToken(map[string]any{"realm_access": "admin"})); err != nil || !cmp.Equal(id.Unsure, []string{"*"}) {
		t.Errorf("a path through a text: %v, %v, want unsure *", id, err)
	}
	if n := i.Requests("/groups"); n != 0 {
		t.Errorf("a distributed claim was fetched %d times", n)
	}
}

// TestGroupClaimFormats: the formats of real providers, and their configuration.
func TestGroupClaimFormats(t *testing.T) {
	i := oidctest.NewIssuer(t)
	for _, test := range []struct {
		name   string
		groups oidc.Groups
		claims map[string]any
		want   []string
	}{
		{"one text with a separator", oidc.Groups{GroupClaim: providers.GroupClaim{Separator: ","}}, map[string]any{"groups": "team-blue, contractors"}, []string{"contractors", "team-blue"}},
		{"objects", oidc.Groups{GroupClaim: providers.GroupClaim{Key: "name"}}, map[string]any{"groups": []any{map[string]any{"id": 1, "name": "devs"}}}, []string{"devs"}},
		{"Zitadel's roles", oidc.Groups{Claim: "urn:zitadel:iam:org:project:roles"}, map[string]any{"urn:zitadel:iam:org:project:roles": map[string]any{"admin": map[string]any{"2081": "corp.example"}}}, []string{"admin"}},
		{"Keycloak's paths", oidc.Groups{GroupNames: providers.GroupNames{Rename: map[string]string{"/*": "*"}}}, map[string]any{"groups": []any{"/team-blue"}}, []string{"team-blue"}},
	} {
		if test.groups.Claim == "" {
			test.groups.Claim = "groups"
		}
		p := newCIProvider(t, i.URL, func(c *oidc.Config) { c.Groups = test.groups })
		if id, err := present(p, t, i.IDToken(test.claims)); err != nil || !cmp.Equal(id.Groups, test.want) || id.Unsure != nil {
			t.Errorf("%s: %v, %v, want %q", test.name, id, err, test.want)
		}
	}
}

// TestAuthTime: AuthTime is the auth_time claim if it is there, and never in the
// future.
func TestAuthTime(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, nil)
	earlier := time.Now().Add(-time.Hour).Truncate(time.Second)
	id, err := present(p, t, i.IDToken(map[string]any{"auth_time": earlier.Unix()}))
	if err != nil || !id.AuthTime.Equal(earlier) {
		t.Errorf("AuthTime = %v, %v, want %v", id, err, earlier)
	}
	id, err = present(p, t, i.IDToken(map[string]any{"auth_time": time.Now().Add(time.Hour).Unix()}))
	if err != nil || id.AuthTime.After(time.Now()) {
		t.Errorf("AuthTime = %v, %v, want no time in the future", id, err)
	}
}

// TestReauthenticate: a person who signed in at the provider longer ago than
// reauthenticate is rejected with a token as the password, and a password counts as a
// sign-in now, whatever auth_time says (D15). A refresh answers for a session, which has
// the limit itself.
func TestReauthenticate(t *testing.T) {
	i := oidctest.NewIssuer(t)
	for _, test := range []struct {
		name  string
		limit time.Duration
		age   any // of auth_time; nil for none, a text for that
		want  bool
	}{
		{"no limit", 0, 48 * time.Hour, true},
		{"within", 24 * time.Hour, 23 * time.Hour, true},
		{"too long ago", 24 * time.Hour, 24 * time.Hour, false},
		{"no auth_time", 24 * time.Hour, nil, true},
		{"too long ago, as text", 24 * time.Hour, fmt.Sprint(time.Now().Add(-48 * time.Hour).Unix()), false},
		{"a text that is no time", 24 * time.Hour, "yesterday", true},
	} {
		claims := map[string]any{}
		switch age := test.age.(type) {
		case time.Duration:
			claims["auth_time"] = time.Now().Add(-age).Unix()
		case string:
			claims["auth_time"] = age
		}
		i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
			serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "refresh_token": "r", "id_token": i.IDToken(maps.Clone(claims))})(w, r)
		})
		p := newProvider(t, i.URL, func(c *oidc.Config) {
			c.Grants, c.Audience = []string{"password", "refresh_token", "id_token"}, []string{"registry"}
			c.Users.Claim, c.Groups.Claim, c.Reauthenticate = "sub", "", test.limit
		})
		check := func(how string, err error, want bool) {
			t.Helper()
			if (err == nil) != want || err != nil && providers.ReasonOf(err) != providers.RefusedByConfig {
				t.Errorf("%s, %s: %v, want accepted %v", test.name, how, err, want)
			}
		}
		_, err := present(p, t, i.IDToken(maps.Clone(claims)))
		check("ID token", err, test.want)
		_, err = p.RedeemRefreshToken(t.Context(), secret.New("r"))
		check("refresh token", err, test.want)
		id, err := authenticate(t.Context(), p, offline("alice", "pw"))
		check("password", err, true)
		if id == nil || time.Since(id.AuthTime) > time.Minute {
			t.Errorf("%s: AuthTime of a password login = %v, want now", test.name, id)
		}
		_, err = p.Revalidate(t.Context(), &providers.Identity{RefreshToken: secret.New("r")})
		check("refresh", err, true)
		if got := p.Reauthenticate(); got != test.limit {
			t.Errorf("Reauthenticate() = %v, want %v", got, test.limit)
		}
	}
}

// FuzzClaims: signed claims with any further members are either rejected, or
// give the identity of the exact JSON names.
func FuzzClaims(f *testing.F) {
	i := oidctest.NewIssuer(f)
	cfg := oidc.Config{Issuer: i.URL, Grants: []string{"id_token"}, Audience: []string{"registry"}, Users: oidc.Users{Claim: "sub"}}
	p, err := oidc.New(cfg.WithDefaults())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`,"x":1`)
	f.Add(`,"SUB":"admin"`)
	f.Add(`,"sub":"admin"`)
	f.Fuzz(func(t *testing.T, extra string) {
		text := claimsText(i.URL, extra)
		id, err := present(p, t, i.Sign(goodHeader, text, oidctest.EC))
		if err != nil {
			if !errors.Is(err, providers.ErrRejected) {
				t.Errorf("Authenticate(%s) = %v, want ErrRejected", text, err)
			}
			return
		}
		var claims map[string]any
		if err := json.Unmarshal([]byte(text), &claims); err != nil || id.User != "s" || id.Subject != "s" || claims["sub"] != "s" {
			t.Errorf("Authenticate(%s) = %q %q, %v", text, id.Subject, id.User, err)
		}
	})
}
