package oidc

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeTransport is a provider without a socket.
type fakeTransport func(*http.Request) (int, string)

func (f fakeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f(r)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestRefreshLoop: the loop retries with exponential backoff while the provider
// is down, and then refreshes every ten minutes until Close.
func TestRefreshLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Issuer: "https://sso.corp.example", Grants: []string{grantIDToken}}.WithDefaults()
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		up := begun.Add(30 * time.Second)
		var tried []time.Duration
		p.client.http.Transport = fakeTransport(func(r *http.Request) (int, string) {
			switch {
			case r.URL.Path == "/keys":
				return 200, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}` // of RFC 8037, appendix A.2
			case r.URL.Path != "/.well-known/openid-configuration":
				t.Errorf("request for %s", r.URL)
			}
			tried = append(tried, time.Since(begun))
			if time.Now().Before(up) {
				return 503, ""
			}
			return 200, `{"issuer":"https://sso.corp.example","jwks_uri":"https://sso.corp.example:443/keys"}`
		})
		p.Start(t.Context())
		time.Sleep(25 * time.Minute)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		s := time.Second
		want := []time.Duration{0, 5 * s, 15 * s, 35 * s, 635 * s, 1235 * s}
		if !slices.Equal(tried, want) {
			t.Errorf("discovery requests after %v, want %v", tried, want)
		}
	})
}

func TestCloseWithoutStart(t *testing.T) {
	p, err := New(Config{Issuer: "https://sso.corp.example"}.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
