package oidc_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

func TestUserinfo(t *testing.T) {
	for name, change := range map[string]func(*oidctest.Options){
		"thin ID token": func(o *oidctest.Options) { o.ThinIDToken = true },
		"no ID token":   func(o *oidctest.Options) { o.OmitIDToken = true },
	} {
		t.Run(name, func(t *testing.T) {
			op := start(t, change)
			p := client(t, op.Issuer, nil)
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

// A claim that is configured and missing rejects; there is no other to take
// its place.
func TestClaims(t *testing.T) {
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
		{"no groups asked for", func(c *oidc.Config) { c.Groups.Claim = "" }, password("alice", "alice's pass"), "alice", nil},
		{"groups missing", func(c *oidc.Config) { c.Groups.Claim = "teams" }, password("alice", "alice's pass"), "", nil},
		{"groups missing and optional", func(c *oidc.Config) { c.Groups.Claim, c.Groups.Optional = "teams", true }, password("alice", "alice's pass"), "alice", nil},
		{"groups of another kind", func(c *oidc.Config) { c.Groups.Claim = "realm_access" }, password("alice", "alice's pass"), "", nil},
		{"one text is one group", func(c *oidc.Config) { c.Groups.Claim = "preferred_username" }, password("alice", "alice's pass"), "alice", []string{"alice"}},
		{"user claim missing", func(c *oidc.Config) { c.Users.Claim = "upn" }, password("alice", "alice's pass"), "", nil},
		{"user claim of another kind", func(c *oidc.Config) { c.Users.Claim = "groups" }, password("alice", "alice's pass"), "", nil},
		{"verified email", email, password("alice", "alice's pass"), "alice@corp.example", []string{"devs", "ops"}},
		{"email by pointer is email", func(c *oidc.Config) { c.Users.Claim = "/email" }, password("bob", "bobpw"), "", nil},
		{"unverified email", email, password("bob", "bobpw"), "", nil},
		{"email with two @", email, password("carol", "pw"), "", nil},
		{"case kept", email, password("dave", "pw"), "Dave@Corp.example", []string{"Ops"}},
		{"case ignored", func(c *oidc.Config) { email(c); c.IgnoreCase = true }, password("dave", "pw"), "dave@corp.example", []string{"ops"}},
		{"subject claim missing", func(c *oidc.Config) { c.Subject = []string{"tid", "oid"} }, password("alice", "alice's pass"), "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := client(t, op.Issuer, tt.change)
			id, err := authenticate(t.Context(), p, tt.cred)
			if tt.user == "" {
				if !errors.Is(err, providers.ErrRejected) {
					t.Errorf("Authenticate = %v, %v, want ErrRejected", id, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if id.User != tt.user || !cmp.Equal(id.Groups, tt.groups) {
				t.Errorf("Authenticate = %q %q, want %q %q", id.User, id.Groups, tt.user, tt.groups)
			}
		})
	}
}

func TestUserinfoAboutSomebodyElse(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, answer(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
	i.Replace(oidctest.UserinfoPath, answer(map[string]any{"sub": "subject-2", "groups": []string{"admins"}}))
	p := client(t, i.URL, func(c *oidc.Config) { c.Users.Claim = "sub" })
	if id, err := authenticate(t.Context(), p, password("alice", "pw")); !cannotTell(err) {
		t.Errorf("Authenticate = %v, %v, want an error that is no verdict", id, err)
	}
}

// email_verified in one answer says nothing of the email in another.
func TestEmailVerifiedElsewhere(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, answer(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(map[string]any{"email": "boss@corp.example"})}))
	i.Replace(oidctest.UserinfoPath, answer(map[string]any{"sub": "subject-1", "email": "me@home.example", "email_verified": true}))
	p := client(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim, c.Userinfo = "email", "", "always" })
	if id, err := authenticate(t.Context(), p, password("alice", "pw")); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate = %v, %v, want ErrRejected", id, err)
	}
}

// A name that is seen as another's, or not seen at all, is nobody's.
func TestUnprintableNames(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := ci(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "name", "groups" })
	for _, name := range []any{"", " bob", "bob ", "bob\n", "b\x00b", "b\ufffdb", "bob\u200b", "\u202ebob", strings.Repeat("b", 513), 7, nil, []string{"bob"}} {
		for _, claims := range []map[string]any{
			{"name": name, "groups": []string{}},
			{"name": "bob", "groups": []any{"devs", name}},
		} {
			if id, err := present(p, t, i.IDToken(maps.Clone(claims))); !errors.Is(err, providers.ErrRejected) {
				t.Errorf("claims %v: Authenticate = %v, %v, want ErrRejected", claims, id, err)
			}
		}
	}
}

// Entra ID leaves groups out when there are more than 200, and says where they
// are. That is not "no groups", even where groups are optional.
func TestDistributedGroupsReject(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := ci(t, i.URL, func(c *oidc.Config) { c.Groups.Claim, c.Groups.Optional = "groups", true })
	token := i.IDToken(map[string]any{
		"_claim_names":   map[string]any{"groups": "src1"},
		"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": i.URL + "/groups"}},
	})
	if _, err := present(p, t, token); !errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), "distributed") {
		t.Errorf("Authenticate = %v, want ErrRejected that speaks of distributed claims", err)
	}
	if n := i.Requests("/groups"); n != 0 {
		t.Errorf("a distributed claim was followed %d times", n)
	}
}

// auth_time says when the person was last seen, where it is there.
func TestAuthTime(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := ci(t, i.URL, nil)
	earlier := time.Now().Add(-time.Hour).Truncate(time.Second)
	id, err := present(p, t, i.IDToken(map[string]any{"auth_time": earlier.Unix()}))
	if err != nil || !id.AuthTime.Equal(earlier) {
		t.Errorf("AuthTime = %v, %v, want %v", id, err, earlier)
	}
	id, err = present(p, t, i.IDToken(map[string]any{"auth_time": time.Now().Add(time.Hour).Unix()}))
	if err != nil || id.AuthTime.After(time.Now()) {
		t.Errorf("AuthTime = %v, %v, want none that is to come", id, err)
	}
}

// FuzzClaims: what is signed by the provider's key is either refused or gives
// an identity whose names are those of the JSON, exactly.
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
