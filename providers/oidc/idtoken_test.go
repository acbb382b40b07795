package oidc_test

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestIDTokenAsPassword logs in with ID tokens of the real provider, also
// across a key rotation.
func TestIDTokenAsPassword(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, func(c *oidc.Config) { c.Grants, c.Audience = []string{"id_token"}, []string{"registry"} })
	tokens := op.Tokens(registry, "alice", "alice's pass")
	mustPresent := func(token string) *providers.Identity {
		t.Helper()
		id, err := present(p, t, token)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := mustPresent(tokens.ID)
	if id.User != "alice" || !id.RefreshToken.IsZero() {
		t.Errorf("identity = %+v", id)
	}
	if _, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrCannotRevalidate) {
		t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
	}

	op.RotateKeys()
	mustPresent(op.Tokens(registry, "alice", "alice's pass").ID) // of the new key
	mustPresent(tokens.ID)                                       // of the old key, which is still published

	op.WithdrawOldKeys()
	other := newProvider(t, op.Issuer, func(c *oidc.Config) { c.Grants, c.Audience = []string{"id_token"}, []string{"registry"} })
	if _, err := present(other, t, tokens.ID); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate with a token of a withdrawn key = %v, want ErrRejected", err)
	}
}

func TestValidTokens(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, nil)
	now := time.Now().Unix()
	tests := []struct {
		name  string
		token string
	}{
		{"plain", i.IDToken(nil)},
		{"typ in lower case", i.Sign(`{"alg":"ES256","typ":"jwt","kid":"`+oidctest.EC+`"}`, claimsText(i.URL, ""), oidctest.EC)},
		{"no typ", i.Sign(`{"alg":"ES256","kid":"`+oidctest.EC+`"}`, claimsText(i.URL, ""), oidctest.EC)},
		{"no kid", i.Sign(`{"alg":"ES256"}`, claimsText(i.URL, ""), oidctest.EC)},
		{"RSA", i.Sign(`{"alg":"RS256","kid":"`+oidctest.RSA+`"}`, claimsText(i.URL, ""), oidctest.RSA)},
		{"EdDSA", i.Sign(`{"alg":"EdDSA","kid":"`+oidctest.Ed+`"}`, claimsText(i.URL, ""), oidctest.Ed)},
		{"x5t in the header", i.Sign(`{"alg":"RS256","kid":"`+oidctest.RSA+`","x5t":"abc"}`, claimsText(i.URL, ""), oidctest.RSA)},
		{"kid in the header that is null", i.Sign(`{"alg":"ES256","kid":null}`, claimsText(i.URL, ""), oidctest.EC)},
		{"aud a list", i.IDToken(map[string]any{"aud": []string{"registry"}})},
		{"several aud and a trusted azp", i.IDToken(map[string]any{"aud": []string{"vault", "registry"}, "azp": "trusted-runner"})},
		{"several aud and ours as azp", i.IDToken(map[string]any{"aud": []string{"vault", "registry"}, "azp": "registry"})},
		{"exp within the clock skew", i.IDToken(map[string]any{"exp": now - 30})},
		{"nbf within the clock skew", i.IDToken(map[string]any{"nbf": now + 30})},
		{"times with fractions", i.IDToken(map[string]any{"exp": float64(now) + 60.5, "iat": float64(now) - 0.25})},
		{"no iat", i.IDToken(map[string]any{"iat": nil})},
		{"Keycloak ID token", i.IDToken(map[string]any{"typ": "ID", "azp": "registry", "acr": "1"})},
		{"Cognito ID token", i.IDToken(map[string]any{"token_use": "id"})},
		{"similar names of claims", i.IDToken(map[string]any{"Sub-Team": "x", "audience": "y"})},
		{"distributed claims that are not configured", i.IDToken(map[string]any{
			"_claim_names":   map[string]any{"groups": "src1"},
			"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": i.URL + "/groups"}},
		})},
	}
	for _, tt := range tests {
		if id, err := present(p, t, tt.token); err != nil || id == nil {
			t.Errorf("%s: Authenticate = %v, want an identity", tt.name, err)
		}
	}
	if n := i.Requests("/groups"); n != 0 {
		t.Errorf("a distributed claim was fetched %d times", n)
	}
}

func TestCITokens(t *testing.T) {
	i := oidctest.NewIssuer(t)
	tests := []struct {
		name   string
		change func(*oidc.Config)
		claims map[string]any
		want   *providers.Identity
	}{
		{
			"GitHub",
			func(c *oidc.Config) {
				c.Users.Claim, c.Groups.Claim = "repository", "repository_owner"
				c.Subject = []string{"repository_id"}
				c.Claims = []string{"ref", "event_name", "repository_owner_id"}
			},
			oidctest.GitHubJob("octo-org/octo-repo", "main"),
			&providers.Identity{
				Subject: "74", User: "octo-org/octo-repo", Groups: []string{"octo-org"},
				Claims: map[string]any{"ref": "refs/heads/main", "event_name": "push", "repository_owner_id": "65"},
			},
		},
		{
			"GitLab",
			func(c *oidc.Config) {
				c.Users.Claim, c.Groups.Claim = "project_path", "groups_direct"
				c.Claims = []string{"ref_protected", "not there"}
			},
			oidctest.GitLabJob("mygroup/app", "feature-1"),
			&providers.Identity{
				Subject: "project_path:mygroup/app:ref_type:branch:ref:feature-1", User: "mygroup/app", Groups: []string{"mygroup", "mygroup/builders"},
				Claims: map[string]any{"ref_protected": "false"},
			},
		},
		{
			"Kubernetes",
			func(c *oidc.Config) {
				c.Users.Claim, c.Groups.Claim = "sub", "/kubernetes.io/namespace"
			},
			oidctest.KubernetesPod("team-a", "builder"),
			&providers.Identity{
				Subject: "system:serviceaccount:team-a:builder", User: "system:serviceaccount:team-a:builder", Groups: []string{"team-a"},
				Claims: map[string]any{},
			},
		},
		{
			"Entra ID",
			func(c *oidc.Config) {
				c.Users.Claim, c.Subject = "upn", []string{"tid", "oid"}
				c.Claims = []string{"level", "ratio"}
			},
			map[string]any{"tid": "t:1", "oid": "o%2", "upn": "alice@corp.example", "level": 9007199254740993, "ratio": 0.5},
			&providers.Identity{
				Subject: "t%3A1:o%252", User: "alice@corp.example",
				Claims: map[string]any{"level": int64(9007199254740993), "ratio": 0.5},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := present(newCIProvider(t, i.URL, tt.change), t, i.IDToken(tt.claims))
			if err != nil {
				t.Fatal(err)
			}
			want := *tt.want
			want.Provider, want.AuthTime = "sso", got.AuthTime
			if diff := cmp.Diff(&want, got, cmp.AllowUnexported(secret.Text{})); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOnlyGrantedKinds: a kind of credential without its grant is ErrNotMine,
// without a request.
func TestOnlyGrantedKinds(t *testing.T) {
	i := oidctest.NewIssuer(t)
	people := newProvider(t, i.URL, nil)
	jobs := newCIProvider(t, i.URL, nil)
	if !jobs.TrustsIssuer(i.URL) || jobs.TrustsIssuer(i.URL+"/") || jobs.TrustsIssuer("") {
		t.Error("TrustsIssuer is not byte for byte")
	}
	for _, tt := range []struct {
		p    *oidc.Provider
		kind providers.Kind
		want bool
	}{
		{people, providers.Password, true}, {people, providers.RefreshToken, true}, {people, providers.IDToken, false},
		{jobs, providers.Password, false}, {jobs, providers.RefreshToken, false}, {jobs, providers.IDToken, true},
		{jobs, providers.Kind(99), false},
	} {
		if got := tt.p.Accepts(tt.kind); got != tt.want {
			t.Errorf("Accepts(%v) = %v, want %v", tt.kind, got, tt.want)
		}
		if tt.want {
			continue
		}
		var err error
		switch token := secret.New(i.IDToken(nil)); tt.kind {
		case providers.Password:
			_, err = tt.p.Lookup(t.Context(), "bob")
		case providers.RefreshToken:
			_, err = tt.p.RedeemRefreshToken(t.Context(), token)
		case providers.IDToken:
			_, err = tt.p.VerifyIDToken(t.Context(), token)
		default:
			continue
		}
		if !errors.Is(err, providers.ErrNotMine) {
			t.Errorf("a credential of kind %v = %v, want ErrNotMine", tt.kind, err)
		}
	}
	if n := i.Requests(oidctest.DiscoveryPath); n != 0 {
		t.Errorf("%d discovery requests, want none", n)
	}
}

// TestMaxTokenAge: an ID token is a password for max_token_age after iat,
// whatever its exp says.
func TestMaxTokenAge(t *testing.T) {
	i := oidctest.NewIssuer(t)
	const hour, year = 3600, 365 * 24 * 3600
	for _, tt := range []struct {
		maxAge   time.Duration // 0: the default
		iat, exp int64         // seconds from now; an iat of 1 means none
		want     bool
	}{
		{0, 0, 10 * year, true},
		{0, -23 * hour, 10 * year, true},
		{0, -24*hour - 30, hour, true}, // within the clock skew
		{0, -24*hour - 120, hour, false},
		{0, -25 * hour, 10 * year, false},
		{0, -year, hour, false},
		{0, 1, hour, true},
		{0, 1, 23 * hour, true},
		{0, 1, 25 * hour, false},
		{0, 1, 10 * year, false},
		{time.Hour, -hour / 2, year, true},
		{time.Hour, -2 * hour, year, false},
		{time.Hour, 1, 2 * hour, false},
		{10 * 365 * 24 * time.Hour, -year, 9 * year, true},
		{0, -hour, -hour / 2, false}, // exp applies too
	} {
		now := time.Now().Unix()
		claims := map[string]any{"iat": now + tt.iat, "exp": now + tt.exp}
		if tt.iat == 1 {
			claims["iat"] = nil
		}
		p := newCIProvider(t, i.URL, func(c *oidc.Config) { c.MaxTokenAge = tt.maxAge })
		_, err := present(p, t, i.IDToken(claims))
		if (err == nil) != tt.want || err != nil && !errors.Is(err, providers.ErrRejected) {
			t.Errorf("max_token_age %v, iat %+d, exp %+d: %v, want accepted = %v", tt.maxAge, tt.iat, tt.exp, err, tt.want)
		}
	}
}

// TestAuthorizedPartyOfWorkload: azp may equal sub, as in Google's
// workload tokens.
func TestAuthorizedPartyOfWorkload(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, nil)
	for _, tt := range []struct {
		claims map[string]any
		want   bool
	}{
		{map[string]any{"sub": "1117", "azp": "1117"}, true},
		{map[string]any{"sub": "1117", "azp": "1117", "aud": []string{"registry"}}, true},
		{map[string]any{"sub": "1117", "azp": "1117", "aud": []string{"registry", "vault"}}, true},
		{map[string]any{"sub": "1117", "azp": "1118"}, false}, // another's sub
		{map[string]any{"sub": "abc", "azp": "ABC"}, false},
		{map[string]any{"sub": "1117", "azp": "1117 "}, false},
		{map[string]any{"sub": "1117", "azp": 1117}, false},
		{map[string]any{"sub": "1117", "azp": []string{"1117"}}, false},
		{map[string]any{"sub": "1117", "azp": ""}, false},
		{map[string]any{"sub": "1117", "azp": "1117", "aud": "vault"}, false},
	} {
		_, err := present(p, t, i.IDToken(tt.claims))
		if (err == nil) != tt.want || err != nil && !errors.Is(err, providers.ErrRejected) {
			t.Errorf("%v: %v, want accepted = %v", tt.claims, err, tt.want)
		}
	}
	// An ID token of the token endpoint must be for our client.
	people := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(map[string]any{"azp": "subject-1"})}))
	if _, err := authenticate(t.Context(), people, password("alice", "pw")); !isUnavailable(err) {
		t.Errorf("a token response with azp = sub: %v, want unavailable", err)
	}
}

// TestPublishedKeys: a key is used whatever else the provider publishes with it
// or beside it (D2, D8). A set without a usable key means unavailable, and the
// cached one stays in use.
func TestPublishedKeys(t *testing.T) {
	i := oidctest.NewIssuer(t)
	jwk := func(changes map[string]any) map[string]any {
		key := map[string]any{"kid": oidctest.EC, "use": "sig"}
		for name, value := range i.JWK(oidctest.EC) {
			key[name] = value
		}
		maps.Copy(key, changes)
		return key
	}
	encryption := map[string]any{"kid": "enc-1", "use": "enc"}
	for _, tt := range []struct {
		name string
		keys []any
		want string // in the error; "" for none
		log  string
	}{
		{"x5c that is no certificate", []any{jwk(map[string]any{"x5c": []string{""}})}, "", ""},
		{"no kid", []any{jwk(map[string]any{"kid": nil})}, "", ""},
		{"a key for encryption beside it", []any{jwk(encryption), jwk(nil)}, "", `msg="a published key is not for ID tokens" key="the key enc-1"`},
		{"a malformed key beside it", []any{"x", jwk(map[string]any{"kid": "torn", "y": 7}), jwk(nil)}, "", `msg="a published key cannot be used" key="the key torn" reason="is malformed`},
		{"none", nil, "the set is empty", ""},
		{"none usable", []any{jwk(encryption), 7}, "none of its 2 keys can verify an ID token: the key enc-1 is not for signatures: its use is enc; the key at index 1, without a kid, is not a JSON object", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i.Replace(oidctest.KeysPath, serveJSON(map[string]any{"keys": tt.keys}))
			p := newCIProvider(t, i.URL, nil)
			var log strings.Builder
			p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
			for range 2 {
				_, err := present(p, t, i.IDToken(nil))
				if tt.want == "" && err != nil || tt.want != "" && (!isUnavailable(err) || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("VerifyIDToken = %v, want %q", err, tt.want)
				}
			}
			if strings.Count(log.String(), tt.log) != 1 && tt.log != "" || tt.log == "" && log.Len() > 0 {
				t.Errorf("the log is\n%swant once: %s", &log, tt.log)
			}
		})
	}

	i.Replace(oidctest.KeysPath, serveJSON(map[string]any{"keys": []any{jwk(map[string]any{"kid": nil})}}))
	p := newCIProvider(t, i.URL, nil)
	if _, err := present(p, t, i.IDToken(nil)); err != nil {
		t.Fatal(err)
	}
	before := i.Requests(oidctest.KeysPath)
	forged := i.Sign(`{"alg":"ES256","kid":"forged"}`, claimsText(i.URL, ""), oidctest.Ed)
	forged = forged[:strings.LastIndex(forged, ".")+1] + strings.Repeat("A", 86)
	for range 100 {
		if _, err := present(p, t, forged); !errors.Is(err, providers.ErrRejected) {
			t.Fatalf("VerifyIDToken of a forged token = %v, want ErrRejected", err)
		}
	}
	if n := i.Requests(oidctest.KeysPath) - before; n > 3 {
		t.Errorf("100 forged tokens caused %d requests for keys", n)
	}
	i.Replace(oidctest.KeysPath, serveJSON(map[string]any{"keys": []any{}}))
	if _, err := present(p, t, i.IDToken(nil)); err != nil {
		t.Errorf("VerifyIDToken with cached keys, while none are published = %v", err)
	}
}
