package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

func TestRevalidate(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	first := login(t, p, offline("alice", "alice's pass"))
	op.SetGroups("alice", "new")
	second, err := p.Revalidate(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if second.RefreshToken.Equal(first.RefreshToken) || second.RefreshToken.IsZero() {
		t.Error("RefreshToken did not rotate")
	}
	if second.Subject != first.Subject || !cmp.Equal(second.Groups, []string{"new"}) {
		t.Errorf("Revalidate = %+v", second)
	}

	op.Disable("alice")
	if _, err := p.Revalidate(t.Context(), second); !errors.Is(err, providers.ErrGone) || errors.Is(err, providers.ErrRejected) {
		t.Errorf("Revalidate of a disabled account = %v, want ErrGone alone", err)
	}
	op.Enable("alice")
	third, err := p.Revalidate(t.Context(), second)
	if err != nil {
		t.Fatalf("Revalidate after the account was enabled again: %v", err)
	}

	// The provider's refresh tokens survive its restart.
	if n := op.LiveRefreshTokens("alice"); n != 1 {
		t.Errorf("%d valid refresh tokens of alice, want 1", n)
	}
	op.Kill()
	if _, err := p.Revalidate(t.Context(), third); err == nil || errors.Is(err, providers.ErrGone) || errors.Is(err, providers.ErrRejected) {
		t.Errorf("Revalidate while the provider is down = %v, want unavailable", err)
	}
	op.StartAgain()
	if third, err = p.Revalidate(t.Context(), third); err != nil {
		t.Fatalf("Revalidate after the provider was started again: %v", err)
	}
	if n := op.Requests("token:reused"); n != 0 {
		t.Errorf("%d refresh tokens were reused, want none", n)
	}

	// The provider takes a reused token for a theft and ends the grant.
	if _, err := p.Revalidate(t.Context(), first); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate with a used token = %v, want ErrGone", err)
	}
	if _, err := p.Revalidate(t.Context(), third); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate after the reuse = %v, want ErrGone", err)
	}
	if reused, alive := op.Requests("token:reused"), op.LiveRefreshTokens("alice"); reused != 1 || alive != 0 {
		t.Errorf("%d refresh tokens were reused and %d of alice are valid, want 1 and 0", reused, alive)
	}
}

// TestConcurrentRevalidations: each sign-in has its own refresh token, so
// revalidations can run concurrently.
func TestConcurrentRevalidations(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	var wg sync.WaitGroup
	for range 20 {
		id := login(t, p, offline("alice", "alice's pass"))
		wg.Go(func() {
			for range 3 {
				next, err := p.Revalidate(t.Context(), id)
				if err != nil {
					t.Errorf("Revalidate = %v", err)
					return
				}
				id = next
			}
		})
	}
	wg.Wait()
	if n := op.Requests("discovery"); n != 1 {
		t.Errorf("%d discovery requests, want one", n)
	}
	if n := op.Requests("jwks"); n != 1 {
		t.Errorf("%d requests for keys, want one", n)
	}
}

// TestRefreshTokenAsPassword logs in with a refresh token that another program
// got.
func TestRefreshTokenAsPassword(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	theirs := op.Tokens(registry, "bob", "bobpw")
	id, err := p.RedeemRefreshToken(t.Context(), secret.New(theirs.Refresh))
	if err != nil {
		t.Fatal(err)
	}
	if id.User != "bob" || id.Subject != "u-bob" {
		t.Errorf("identity = %+v", id)
	}
	if id.RefreshToken.IsZero() || id.RefreshToken.Reveal() == theirs.Refresh {
		t.Error("RefreshToken is not the rotated token")
	}
	if _, err := p.Revalidate(t.Context(), id); err != nil {
		t.Errorf("Revalidate = %v", err)
	}
	op.Reset()
	if _, err := p.RedeemRefreshToken(t.Context(), secret.New("no-such-token")); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate with an unknown refresh token = %v, want ErrRejected", err)
	}
	if n := op.Requests("token"); n != 1 {
		t.Errorf("%d requests to the token endpoint, want 1", n)
	}
}

// TestRefreshWithoutRotation: a provider that does not rotate returns no new
// refresh token; the old one stays valid.
func TestRefreshWithoutRotation(t *testing.T) {
	no := false
	op := start(t, func(o *oidctest.Options) { o.Rotate = &no })
	p := newProvider(t, op.Issuer, nil)
	id := login(t, p, offline("alice", "alice's pass"))
	for range 3 {
		next, err := p.Revalidate(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !next.RefreshToken.Equal(id.RefreshToken) {
			t.Error("RefreshToken changed though the provider does not rotate")
		}
	}
}

// TestRotatedTokenSurvivesFailure: an error after the rotation holds the new
// token.
func TestRotatedTokenSurvivesFailure(t *testing.T) {
	op := start(t, func(o *oidctest.Options) { o.ThinIDToken = true })
	p := newProvider(t, op.Issuer, nil)
	id := login(t, p, offline("alice", "alice's pass"))

	op.Fail("userinfo", 502, "", 1) // the request is retried once
	id, err := p.Revalidate(t.Context(), id)
	if err != nil {
		t.Fatalf("Revalidate with one failure of userinfo = %v", err)
	}

	op.Fail("userinfo", 502, "", 0)
	_, err = p.Revalidate(t.Context(), id)
	rotated, ok := errors.AsType[*providers.RotatedError](err)
	if !ok || !isUnavailable(err) {
		t.Fatalf("Revalidate = %v, want a RotatedError that means unavailable", err)
	}
	op.Release()
	id.RefreshToken = rotated.RefreshToken
	if _, err := p.Revalidate(t.Context(), id); err != nil {
		t.Errorf("Revalidate with the token of the RotatedError = %v", err)
	}
}

// TestRefreshResponseOfAnotherSubject: a response about another person is
// ErrGone.
func TestRefreshResponseOfAnotherSubject(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "refresh_token": "next", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
	chain, err := providers.NewChain([]providers.Member{{Provider: p, Config: providers.Config{Name: "sso", Kind: "oidc"}.WithDefaults()}}, providertest.NewThrottle(), providers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	id := &providers.Identity{Provider: "sso", Subject: "subject-2", RefreshToken: secret.New("first")}
	got, err := chain.Revalidate(t.Context(), id)
	if !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate = %v, %v, want ErrGone", got, err)
	}
	if rotated, ok := errors.AsType[*providers.RotatedError](err); !ok || rotated.RefreshToken.Reveal() != "next" {
		t.Errorf("Revalidate = %v, want the next token in a RotatedError", err)
	}
	id.Subject = "subject-1"
	if got, err := chain.Revalidate(t.Context(), id); err != nil || got.RefreshToken.Reveal() != "next" {
		t.Errorf("Revalidate = %v, %v, want an identity with the next token", got, err)
	}
}

// TestRefusedLoginRevokes: a login that is refused after the grant, here for a claim
// that is missing, leaves no refresh token at the provider, unless a revocation there
// would end the person's other logins, or is not wanted.
func TestRefusedLoginRevokes(t *testing.T) {
	op := start(t, nil)
	for revoke, want := range map[string]int{"sign_in": 1, "last": 0, "never": 0} {
		p := newProvider(t, op.Issuer, func(c *oidc.Config) { c.Users.Claim, c.Revoke = "upn", revoke })
		op.Reset()
		if id, err := authenticate(t.Context(), p, offline("alice", "alice's pass")); providers.ReasonOf(err) != providers.RefusedByConfig {
			t.Fatalf("Authenticate = %v, %v, want refused by the configuration", id, err)
		}
		if got := op.Requests("revocation"); got != want {
			t.Errorf("revoke = %q: %d revocations, want %d", revoke, got, want)
		}
	}
}

// TestRefreshWithoutClaim: a claim that is missing at a refresh, as after a typo in
// users.claim or a change at the provider, refuses the person and ends no session. The
// rotated token is kept, so that the cure helps.
func TestRefreshWithoutClaim(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.UserinfoPath, http.NotFound)
	i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
		serveJSON(map[string]any{"access_token": "x", "refresh_token": "next", "token_type": "Bearer", "id_token": i.IDToken(map[string]any{"groups": []string{"devs"}})})(w, r)
	})
	for _, change := range []func(*oidc.Config){
		func(c *oidc.Config) { c.Users.Claim = "upn" },
		func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "roles" },
		func(c *oidc.Config) { c.Users.Claim, c.Subject = "sub", []string{"tid"} },
	} {
		p := newProvider(t, i.URL, func(c *oidc.Config) {
			c.Userinfo, c.Groups.Claim = "never", "groups"
			change(c)
		})
		_, err := p.Revalidate(t.Context(), &providers.Identity{RefreshToken: secret.New("first")})
		if !errors.Is(err, providers.ErrRejected) || errors.Is(err, providers.ErrGone) || errors.Is(err, providers.ErrEnded) {
			t.Errorf("Revalidate = %v, want ErrRejected alone", err)
		}
		if rotated, ok := errors.AsType[*providers.RotatedError](err); !ok || rotated.RefreshToken.Reveal() != "next" {
			t.Errorf("Revalidate = %v, want the new token in a RotatedError", err)
		}
	}
}

// TestRefreshSurvivesClientDisconnect: a client that disconnects during a
// refresh grant loses no refresh token.
func TestRefreshSurvivesClientDisconnect(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	ctx, cancel := context.WithCancel(t.Context())
	i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		time.Sleep(50 * time.Millisecond)
		serveJSON(map[string]any{"access_token": "x", "refresh_token": "next", "token_type": "Bearer"})(w, r)
	})
	i.Replace(oidctest.UserinfoPath, serveJSON(map[string]any{"sub": "subject-1"}))
	got, err := p.Revalidate(ctx, &providers.Identity{Subject: "subject-1", RefreshToken: secret.New("first")})
	if err != nil || got.RefreshToken.Reveal() != "next" {
		t.Errorf("Revalidate = %v, %v, want an identity with the next token", got, err)
	}
	if _, err := p.Revalidate(ctx, got); !errors.Is(err, context.Canceled) || i.Requests(oidctest.TokenPath) != 1 {
		t.Errorf("Revalidate with a canceled context = %v after %d requests, want no second one", err, i.Requests(oidctest.TokenPath))
	}
}

// TestNoRefreshWithoutKeys: no refresh token is used up, or replaced by that of a login,
// while the response could not be verified.
func TestNoRefreshWithoutKeys(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.KeysPath, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) })
	p := newProvider(t, i.URL, nil)
	if _, err := p.Revalidate(t.Context(), &providers.Identity{Subject: "s", RefreshToken: secret.New("r")}); !isUnavailable(err) {
		t.Errorf("Revalidate = %v, want unavailable", err)
	}
	if _, err := authenticate(t.Context(), p, offline("alice", "pw")); !isUnavailable(err) || providers.MayBeCounted(err) {
		t.Errorf("Authenticate for an offline token = %v, want unavailable, not counted", err)
	}
	if n := i.Requests(oidctest.TokenPath); n != 0 {
		t.Errorf("%d token requests, want none", n)
	}
}

func TestRevoke(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	id := login(t, p, offline("alice", "alice's pass"))
	if err := p.Revoke(t.Context(), id.RefreshToken); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate with a revoked token = %v, want ErrGone", err)
	}
	if err := p.Revoke(t.Context(), id.RefreshToken); err != nil {
		t.Errorf("Revoke of a revoked token = %v, want nil", err)
	}
}

func TestRevokeRequest(t *testing.T) {
	i := oidctest.NewIssuer(t)
	var got *http.Request
	i.Replace(oidctest.RevocationPath, func(w http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); got = r })
	for style, want := range map[string]string{"client_secret_basic": "", "client_secret_post": registry.Secret} {
		p := newProvider(t, i.URL, func(c *oidc.Config) { c.AuthStyle = style })
		if err := p.Revoke(t.Context(), secret.New("r&=1")); err != nil {
			t.Fatal(err)
		}
		if got.PostForm.Get("token") != "r&=1" || got.PostForm.Get("token_type_hint") != "refresh_token" || got.PostForm.Get("client_secret") != want {
			t.Errorf("%s: revocation form = %v", style, got.PostForm)
		}
		if _, _, ok := got.BasicAuth(); ok == (want != "") {
			t.Errorf("%s: Authorization present = %v", style, ok)
		}
	}
	i.Replace(oidctest.RevocationPath, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) })
	if err := newProvider(t, i.URL, nil).Revoke(t.Context(), secret.New("r")); err == nil {
		t.Error("Revoke at a provider that fails = nil, want an error")
	}
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"revocation_endpoint": nil})))
	if err := newProvider(t, i.URL, nil).Revoke(t.Context(), secret.New("r")); err != nil {
		t.Errorf("Revoke without an endpoint = %v, want nil", err)
	}
}
