package oidc_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

// TestChainRoutesEachSecret: each kind of secret reaches its provider and no
// other.
func TestChainRoutesEachSecret(t *testing.T) {
	op := start(t, nil)
	i := oidctest.NewIssuer(t)
	sso := newProvider(t, op.Issuer, func(c *oidc.Config) {
		c.Groups.Only, c.Groups.Rename = []string{"dev*"}, map[string]string{"devs": "builders"}
	})
	jobs := newCIProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim = "repository" })
	named := func(name string) providers.Config {
		prefix := name + ":"
		return providers.Config{Name: name, Kind: "oidc", Prefix: &prefix}.WithDefaults()
	}
	chain, err := providers.NewChain([]providers.Member{{Provider: sso, Config: named("sso")}, {Provider: jobs, Config: named("ci")}}, providertest.NewThrottle(), providers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	for _, tt := range []struct {
		login  providers.Login
		secret string
		user   string // "": rejected
		groups []string
		method providers.Method
	}{
		{"alice", "alice's pass", "sso:alice", []string{"authenticated", "sso:builders"}, providers.MethodPassword},
		{"alice", "wrong", "", nil, ""},
		{"$refresh", op.Tokens(registry, "bob", "bobpw").Refresh, "sso:bob", []string{"authenticated"}, providers.MethodRefresh},
		{"$refresh:sso", op.Tokens(registry, "bob", "bobpw").Refresh, "sso:bob", []string{"authenticated"}, providers.MethodRefresh},
		{"job", i.IDToken(oidctest.GitHubJob("org/app", "main")), "ci:org/app", nil, providers.MethodIDToken},
		{"job", op.Tokens(registry, "bob", "bobpw").ID, "", nil, ""}, // sso has no grant id_token
		{"job", i.IDToken(map[string]any{"iss": i.URL + "/"}), "", nil, ""},
	} {
		op.Reset()
		cred := chain.Recognize(providers.Credential{Login: tt.login, Secret: secret.New(tt.secret)})
		id, err := chain.Authenticate(t.Context(), cred)
		if tt.user == "" {
			if !errors.Is(err, providers.ErrRejected) {
				t.Errorf("Authenticate(%q, %s) = %v, %v, want ErrRejected", tt.login, cred.Kind(), id, err)
			}
		} else if err != nil {
			t.Errorf("Authenticate(%q, %s) = %v, want %s", tt.login, cred.Kind(), err, tt.user)
		} else if id.User != tt.user || id.Method != tt.method || strings.Join(id.Groups, " ") != strings.Join(tt.groups, " ") {
			t.Errorf("Authenticate(%q, %s) = %q %q %q, want %q %q %q", tt.login, cred.Kind(), id.User, id.Groups, id.Method, tt.user, tt.groups, tt.method)
		}
		want := 0
		if cred.Kind() != providers.IDToken {
			want = 1
		}
		if got := op.Requests("token"); got != want {
			t.Errorf("Authenticate(%q, %s): %d requests to the token endpoint, want %d", tt.login, cred.Kind(), got, want)
		}
	}
}

// TestChainReturnsRotatedToken: an error after the rotation of a refresh token
// holds the new token, through the chain too.
func TestChainReturnsRotatedToken(t *testing.T) {
	op := start(t, func(o *oidctest.Options) { o.ThinIDToken = true })
	cfg := providers.Config{Name: "sso", Kind: "oidc", RequireGroups: []string{"ops"}}.WithDefaults()
	chain, err := providers.NewChain([]providers.Member{{Provider: newProvider(t, op.Issuer, nil), Config: cfg}}, providertest.NewThrottle(), providers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	id, err := chain.Authenticate(t.Context(), offline("bob", "bobpw"))
	if err != nil {
		t.Fatal(err)
	}
	for name, fail := range map[string]func(){
		"userinfo is down":               func() { op.Fail("userinfo", 502, "", 0) },
		"no longer in a required group":  func() { op.SetGroups("bob", "others") },
		"the claim for groups is broken": func() { op.SetUser(oidctest.User{Name: "bob", Subject: "u-bob", Claims: map[string]any{"groups": 7}}) },
	} {
		fail()
		_, err := chain.Revalidate(t.Context(), id)
		rotated, ok := errors.AsType[*providers.RotatedError](err)
		if !ok {
			t.Fatalf("%s: Revalidate = %v, want a RotatedError", name, err)
		}
		op.Release()
		op.SetUser(oidctest.User{Name: "bob", Subject: "u-bob", Groups: []string{"ops"}, Claims: map[string]any{}})
		next := *id
		next.RefreshToken = rotated.RefreshToken
		if id, err = chain.Revalidate(t.Context(), &next); err != nil {
			t.Fatalf("%s: Revalidate with the rotated token = %v", name, err)
		}
		if !cmp.Equal(id.Groups, []string{"authenticated", "ops"}) || time.Since(id.AuthTime) > time.Hour {
			t.Errorf("%s: identity = %+v", name, id)
		}
	}
}
