package oidc_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

// outcome describes the outcome of a grant: "refused" and the reason, or
// "unavailable" and whether the secret may have arrived.
func outcome(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, providers.ErrRejected):
		return "refused: " + string(providers.ReasonOf(err))
	case errors.Is(err, providers.ErrGone):
		return "gone"
	case providers.MayBeCounted(err):
		return "unavailable, may be counted"
	}
	return "unavailable, not counted"
}

// TestTokenErrorResponses: which error responses of the token endpoint
// reject a password, or a refresh token (D13).
func TestTokenErrorResponses(t *testing.T) {
	const (
		wrong        = "refused: wrong password"
		locked       = "refused: locked"
		disabled     = "refused: disabled"
		expired      = "refused: expired"
		gone         = "gone"
		mayBeCounted = "unavailable, may be counted"
		notCounted   = "unavailable, not counted"
	)
	odd := `,"Error":7,"ERROR":"invalid_client","error_description":7,"error_uri":[],"Error_Codes":[50053]}`
	object := func(code string) string {
		return fmt.Sprintf(`{"error":%q,"error_description":"Bad credentials"}`, code)
	}
	entra := func(codes string) string { return `{"error":"invalid_grant","error_codes":` + codes + `}` }
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	oidc.WaitForProbes(p)
	for _, tt := range []struct {
		status    int
		challenge string // WWW-Authenticate
		body      string
		password  string
		refresh   string
	}{
		{400, "", object("invalid_grant"), wrong, gone},
		{400, "", `{"error":"invalid_grant"` + odd, wrong, gone}, // (D12)
		{401, "", object("invalid_grant"), wrong, gone},
		{401, `Basic realm="x"`, object("invalid_grant"), wrong, gone},
		{403, "", object("invalid_grant"), wrong, gone}, // Auth0
		{422, "", object("invalid_grant"), wrong, gone},
		{200, "", object("invalid_grant"), wrong, gone},
		{401, "", object("access_denied"), wrong, gone}, // Dex
		{400, "", object("mfa_required"), disabled, gone},
		{403, "", object("too_many_attempts"), locked, gone},

		{401, "", object("unauthorized"), wrong, gone}, // the UAA: wrong password
		{401, `Bearer error="unauthorized"`, object("unauthorized"), wrong, gone},
		{401, `Basic realm="UAA/client"`, object("unauthorized"), mayBeCounted, mayBeCounted}, // the UAA: wrong client secret
		{401, "", object("invalid_token"), wrong, gone},                                       // the UAA: bad refresh token
		{401, "", object("invalid_credentials"), wrong, gone},
		{400, "", object("invalid_credentials"), wrong, gone},
		{400, "", object("no such user: client_7"), wrong, gone},
		{403, "", object("user_is_blocked"), wrong, gone},
		{401, "", object("Unauthorized"), wrong, gone},
		{400, "", object("Bad Request"), mayBeCounted, gone},       // a framework
		{403, "", object("Forbidden"), mayBeCounted, mayBeCounted}, // a gateway
		{404, "", object("user_not_found"), mayBeCounted, mayBeCounted},
		{200, "", object("invalid_credentials"), mayBeCounted, mayBeCounted},

		{400, "", object("invalid_client"), notCounted, notCounted},
		{401, `Basic realm="x"`, object("invalid_client"), notCounted, notCounted},
		{400, "", object("unauthorized_client"), notCounted, notCounted},
		{400, "", object("unsupported_grant_type"), notCounted, notCounted},
		{401, "", object("client_disabled"), mayBeCounted, mayBeCounted},
		{400, "", object("invalid_request"), mayBeCounted, gone}, // Dex: a failed bind; a reused or unknown refresh token
		{401, "", object("invalid_request"), mayBeCounted, gone},
		{401, `Basic realm="x"`, object("invalid_request"), mayBeCounted, gone},
		{403, "", object("invalid_request"), mayBeCounted, mayBeCounted},
		{400, "", object("invalid_scope"), notCounted, gone},
		{400, "", object("temporarily_unavailable"), mayBeCounted, mayBeCounted},
		{400, "", object("server_error"), mayBeCounted, mayBeCounted},
		{400, "", object("slow_down"), mayBeCounted, mayBeCounted},
		{403, "", object("server_error"), mayBeCounted, mayBeCounted},

		{400, "", ``, mayBeCounted, gone},
		{400, "", `<html>`, mayBeCounted, gone},
		{400, "", `{}`, mayBeCounted, gone},
		{400, "", `{"error":{"code":400}}`, mayBeCounted, gone},
		{400, "", `{"error":null}`, mayBeCounted, gone},
		{400, "", object(""), mayBeCounted, gone},
		{401, "", ``, mayBeCounted, mayBeCounted},
		{401, "", `{}`, mayBeCounted, mayBeCounted},
		{401, `Basic realm="proxy"`, ``, mayBeCounted, mayBeCounted},
		{403, "", `<html>`, mayBeCounted, mayBeCounted},
		{404, "", ``, mayBeCounted, mayBeCounted},
		{408, "", object("invalid_grant"), mayBeCounted, mayBeCounted},
		{429, "", object("invalid_grant"), mayBeCounted, mayBeCounted},
		{302, "", object("invalid_grant"), mayBeCounted, mayBeCounted},
		{500, "", object("invalid_grant"), mayBeCounted, mayBeCounted},
		{503, "", object("invalid_grant"), mayBeCounted, mayBeCounted},

		{400, "", entra(`[50126]`), wrong, gone},
		{400, "", entra(`[50034]`), "refused: no such account", gone},
		{400, "", entra(`[50053]`), locked, gone},
		{400, "", entra(`[50057]`), disabled, gone},
		{400, "", entra(`[50055]`), expired, gone},
		{400, "", entra(`[7,50055]`), expired, gone},
		{400, "", entra(`[80002]`), mayBeCounted, mayBeCounted}, // the authentication agent does not answer
		{503, "", entra(`[50053]`), mayBeCounted, mayBeCounted},
		{400, "", entra(`[7]`), wrong, gone},
		{400, "", entra(`[]`), wrong, gone},
		{400, "", entra(`"50053"`), wrong, gone},
		{400, "", entra(`{"50053":50053}`), wrong, gone},
	} {
		i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if tt.challenge != "" {
				w.Header().Set("WWW-Authenticate", tt.challenge)
			}
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		})
		_, err := authenticate(t.Context(), p, password("alice", "pw"))
		if got := outcome(err); got != tt.password {
			t.Errorf("password: %d %s %s = %s (%v), want %s", tt.status, tt.challenge, tt.body, got, err, tt.password)
		}
		_, err = p.Revalidate(t.Context(), &providers.Identity{Subject: "s", RefreshToken: secret.New("r")})
		if got := outcome(err); got != tt.refresh {
			t.Errorf("refresh: %d %s %s = %s (%v), want %s", tt.status, tt.challenge, tt.body, got, err, tt.refresh)
		}
	}
}

// TestTokenResponseWithOddMembers: a defect of a member that is not needed, or
// one that is spelled in another case, loses no token (D12): a refresh token that
// rotated would be gone.
func TestTokenResponseWithOddMembers(t *testing.T) {
	i := oidctest.NewIssuer(t)
	odd := map[string]any{
		"access_token": "x", "refresh_token": "next", "id_token": i.IDToken(nil),
		"Access_Token": "y", "REFRESH_TOKEN": 7, "Id_Token": "z", "Error": "invalid_grant",
		"error": nil, "error_uri": 7, "error_description": []any{}, "token_type": nil, "scope": []string{"openid"},
	}
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	for _, expires := range []any{3600, "3600", "", "never", 3599.9, -1, nil, map[string]any{}} {
		odd["expires_in"] = expires
		i.Replace(oidctest.TokenPath, serveJSON(odd))
		again, err := p.Revalidate(t.Context(), &providers.Identity{Subject: "subject-1", RefreshToken: secret.New("first")})
		if err != nil || again.User != "subject-1" || again.RefreshToken.Reveal() != "next" {
			t.Errorf("expires_in %#v: Revalidate = %v, %v, want an identity with the next token", expires, again, err)
		}
	}
}

// TestTokenResponseOfAnyContentType: a token response is read as JSON whatever its
// Content-Type, and what is wrong with one is told without a quotation.
func TestTokenResponseOfAnyContentType(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	good := fmt.Sprintf(`{"access_token":"x","refresh_token":"next","id_token":%q}`, i.IDToken(nil))
	for _, tt := range []struct{ body, want string }{
		{good, ""},
		{`{"id_token":"x"}`, "the answer has no access token"},
		{`{"access_token":7}`, "the answer has no access token"},
		{`access_token=x&refresh_token=next`, "malformed answer"},
		{`null`, "malformed answer"},
		{``, "malformed answer"},
	} {
		for _, contentType := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"} {
			i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", contentType)
				_, _ = w.Write([]byte(tt.body))
			})
			_, err := authenticate(t.Context(), p, password("alice", "pw"))
			want := "password grant at " + i.URL + ": " + tt.want
			if tt.want == "" && err != nil || tt.want != "" && (!isUnavailable(err) || err.Error() != want) {
				t.Errorf("%s %s: Authenticate = %v, want %q", contentType, tt.body, err, tt.want)
			}
		}
	}
}

// TestClientErrorHasAdvice: the error for our own client says what the
// operator can do.
func TestClientErrorHasAdvice(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
	})
	_, err := authenticate(t.Context(), newProvider(t, i.URL, nil), password("alice", "pw"))
	want := "password grant at " + i.URL + ": the token endpoint answered 401 invalid_client (check client_id, client_secret or client_key, and auth_style)"
	if err == nil || err.Error() != want || providers.KeyOf(err) != "client_secret" {
		t.Errorf("Authenticate = %v, want %s", err, want)
	}
}

// TestPresentedRefreshTokenMarksNothingDown: whatever the token endpoint answers
// to a refresh token that a client sent, a stranger cannot have the provider
// reported as down by it; the answer to a stored token that blames our client
// can (D13).
func TestPresentedRefreshTokenMarksNothingDown(t *testing.T) {
	i := oidctest.NewIssuer(t)
	for _, tt := range []struct {
		status     int
		body       string
		presented  string
		storedDown bool
	}{
		{400, `{"error":"invalid_request"}`, "refused", false}, // Dex
		{400, ``, "refused", false},
		{401, `{"error":"unauthorized"}`, "refused", false},     // the UAA
		{500, `{"error":"server_error"}`, "unavailable", false}, // Dex, for a user that was deleted
		{503, ``, "unavailable", false},
		{422, `{"error":"invalid_scope"}`, "unavailable", true},
		{400, `{"error":"unauthorized_client"}`, "unavailable", true},
		{401, `{"error":"invalid_client"}`, "unavailable", true},
	} {
		i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		})
		var log strings.Builder
		chain, err := providers.NewChain([]providers.Member{{Provider: newProvider(t, i.URL, nil), Config: providers.Config{Name: "sso", Kind: "oidc"}.WithDefaults()}},
			providertest.NewThrottle(), providers.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		_, err = chain.Authenticate(t.Context(), password("$refresh:sso", "garbage"))
		if got := outcome(err); !strings.HasPrefix(got, tt.presented) || chain.Down() != nil || log.Len() > 0 {
			t.Errorf("%d %s: Authenticate = %s (%v), down %v, log %q, want %s and nothing else", tt.status, tt.body, got, err, chain.Down(), &log, tt.presented)
		}
		_, err = chain.Revalidate(t.Context(), &providers.Identity{Provider: "sso", Subject: "s", RefreshToken: secret.New("stored")})
		if down := chain.Down() != nil; down != tt.storedDown {
			t.Errorf("%d %s: Revalidate = %v, down %v, want %v", tt.status, tt.body, err, down, tt.storedDown)
		}
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMayBeCounted: a password that did not reach the provider, or that it
// accepted, is no failed login there. It is not counted either if the provider
// is down right after it.
func TestMayBeCounted(t *testing.T) {
	const mayBeCounted, notCounted = "unavailable, may be counted", "unavailable, not counted"
	broken := func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
	failing := func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusBadGateway) }
	hanging := func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // the server notices a disconnect only after it has read the body
		<-r.Context().Done()
	}
	good := func(i *oidctest.Issuer) http.HandlerFunc {
		return serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(map[string]any{"preferred_username": nil})})
	}
	for _, tt := range []struct {
		name   string
		change func(i *oidctest.Issuer) // after metadata and keys are cached
		want   string
	}{
		{"the connection breaks", func(i *oidctest.Issuer) { i.Replace(oidctest.TokenPath, broken) }, mayBeCounted},
		{"502", func(i *oidctest.Issuer) { i.Replace(oidctest.TokenPath, failing) }, mayBeCounted},
		{"no answer", func(i *oidctest.Issuer) { i.Replace(oidctest.TokenPath, hanging) }, mayBeCounted},
		{"the connection breaks, and discovery fails", func(i *oidctest.Issuer) {
			i.Replace(oidctest.TokenPath, broken)
			i.Replace(oidctest.DiscoveryPath, failing)
		}, notCounted},
		{"no answer, nor from discovery", func(i *oidctest.Issuer) {
			i.Replace(oidctest.TokenPath, hanging)
			i.Replace(oidctest.DiscoveryPath, hanging)
		}, notCounted},
		{"the port is closed", func(i *oidctest.Issuer) { i.Server.CloseClientConnections(); i.Server.Listener.Close() }, notCounted},
		{"the token endpoint is on another host", func(i *oidctest.Issuer) {
			i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"token_endpoint": "https://elsewhere.example/token"})))
		}, notCounted},
		{"accepted, and userinfo fails", func(i *oidctest.Issuer) {
			i.Replace(oidctest.TokenPath, good(i))
			i.Replace(oidctest.UserinfoPath, failing)
		}, notCounted},
		{"accepted, and the ID token does not verify", func(i *oidctest.Issuer) {
			i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "id_token": i.IDToken(map[string]any{"aud": "vault"})}))
		}, notCounted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := oidctest.NewIssuer(t)
			p := newProvider(t, i.URL, func(c *oidc.Config) { c.Groups.Claim = "" })
			if tt.want == mayBeCounted {
				oidc.WaitForProbes(p)
			}
			known := tt.name != "the token endpoint is on another host"
			if known {
				if _, err := p.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			tt.change(i)
			before := i.Requests(oidctest.TokenPath) // of Ping
			if _, err := authenticate(t.Context(), p, password("alice", "pw")); outcome(err) != tt.want {
				t.Errorf("Authenticate = %v: %s, want %s", err, outcome(err), tt.want)
			}
			if n := i.Requests(oidctest.TokenPath) - before; n > 1 {
				t.Errorf("the password was sent %d times", n)
			}
		})
	}
}

// TestUntrustedCertificateSendsNoPassword: the TLS handshake fails before the
// request.
func TestUntrustedCertificateSendsNoPassword(t *testing.T) {
	i := oidctest.NewTLSIssuer(t)
	p := newProvider(t, i.URL, nil)
	_, err := authenticate(t.Context(), p, password("alice", "pw"))
	if outcome(err) != "unavailable, not counted" || !strings.Contains(err.Error(), "unknown authority: name it in tls.ca") {
		t.Errorf("Authenticate = %v: %s, want not counted, and a hint at tls.ca", err, outcome(err))
	}
}

// TestConcurrentFailuresShareOneProbe: the probe is single-flight.
func TestConcurrentFailuresShareOneProbe(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, nil)
	oidc.WaitForProbes(p)
	if _, err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	const logins = 20
	var waiting atomic.Int32
	all := make(chan struct{})
	i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
		if waiting.Add(1) == logins {
			close(all)
		}
		<-all
		http.Error(w, "", http.StatusBadGateway)
	})
	held := make(chan struct{})
	time.AfterFunc(time.Second, func() { close(held) })
	i.Replace(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) {
		<-held // until all logins wait
		serveJSON(i.Metadata(nil))(w, r)
	})
	before := i.Requests(oidctest.DiscoveryPath)
	var wg sync.WaitGroup
	for n := range logins {
		wg.Go(func() {
			if _, err := authenticate(t.Context(), p, password(fmt.Sprint("user-", n), "pw")); outcome(err) != "unavailable, may be counted" {
				t.Errorf("Authenticate = %v: %s", err, outcome(err))
			}
		})
	}
	wg.Wait()
	if n := i.Requests(oidctest.DiscoveryPath) - before; n < 1 || n > logins/4 { // more than one if a login was late
		t.Errorf("%d probes for %d concurrent logins, want 1", n, logins)
	}
}

// TestRejectedPasswordIsSentOnce: the throttle counts a rejection of the
// UAA too, so that one wrong password, however often it comes, is one failed
// login there.
func TestRejectedPasswordIsSentOnce(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"unauthorized","error_description":"Bad credentials"}`))
	})
	config := providers.Config{Name: "uaa", Kind: "oidc"}.WithDefaults()
	chain, err := providers.NewChain([]providers.Member{{Provider: newProvider(t, i.URL, nil), Config: config}}, providertest.NewThrottle(), providers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	for range 25 {
		if _, err := chain.Authenticate(t.Context(), password("alice", "wrong")); !errors.Is(err, providers.ErrRejected) {
			t.Fatalf("Authenticate = %v, want ErrRejected", err)
		}
	}
	if n := i.Requests(oidctest.TokenPath); n != 1 {
		t.Errorf("25 logins with one wrong password sent %d requests, want 1", n)
	}
}
