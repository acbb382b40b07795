package oidc_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestGraphAppToken: the access token is requested once for concurrent logins, and
// again when Graph refuses it. No answer to that request rejects a person.
func TestGraphAppToken(t *testing.T) {
	e := startEntra(t)
	e.graph.AddGroup(guid(1), "devs", aliceOID)
	p := e.provider(t, nil)
	var logins sync.WaitGroup
	for range 10 {
		logins.Go(func() {
			if _, err := authenticate(t.Context(), p, password("alice", "pw")); err != nil {
				t.Error(err)
			}
		})
	}
	logins.Wait()
	if got := e.tokenRequests(); len(got) != 1 {
		t.Errorf("%d requests for an access token, want 1", len(got))
	}
	e.changeToken("another")
	if id := login(t, p, password("alice", "pw")); len(id.Groups) != 1 {
		t.Errorf("groups %q with another access token", id.Groups)
	}
	if got := e.tokenRequests(); len(got) != 1 {
		t.Errorf("%d more requests for an access token, want 1", len(got))
	}
	for _, answer := range []struct {
		status int
		body   string
	}{{400, `{"error":"invalid_grant"}`}, {401, `{"error":"invalid_client"}`}, {400, `{"error":"access_denied","error_codes":[50034]}`}, {200, `{}`}, {500, ``}} {
		e.issuer.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("grant_type") != "client_credentials" {
				e.serveToken(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(answer.status)
			fmt.Fprint(w, answer.body)
		})
		if _, err := authenticate(t.Context(), e.provider(t, nil), password("alice", "pw")); !isUnavailable(err) || providers.MayBeCounted(err) {
			t.Errorf("%d %s: Authenticate = %v, want unavailable, not counted", answer.status, answer.body, err)
		}
	}
}

// TestGraphTLS: the authorities of tls.ca are trusted at Graph too; its server_name and
// certificate are for the issuer alone.
func TestGraphTLS(t *testing.T) {
	e := startEntra(t)
	if id := login(t, e.provider(t, func(c *oidc.Config) { c.TLS.ServerName = "sso.corp.example" }), password("alice", "pw")); id.Unsure != nil {
		t.Errorf("unsure %q, want Graph's answer", id.Unsure)
	}
	_, err := authenticate(t.Context(), e.provider(t, func(c *oidc.Config) { c.TLS.CA = "" }), password("alice", "pw"))
	if !isUnavailable(err) || !strings.Contains(err.Error(), "tls.ca") {
		t.Errorf("Authenticate = %v, want the key tls.ca", err)
	}
}

// TestGraphTimeout: a Graph that does not answer takes no longer than timeout.
func TestGraphTimeout(t *testing.T) {
	e := startEntra(t)
	release := make(chan struct{})
	defer close(release)
	e.graph.Answer(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	p := e.provider(t, func(c *oidc.Config) { c.Timeout = 200 * time.Millisecond })
	if _, err := authenticate(t.Context(), p, password("alice", "pw")); !isUnavailable(err) || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("Authenticate = %v, want a timeout", err)
	}
}
