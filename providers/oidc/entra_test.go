package oidc_test

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// guid returns an object ID of Entra ID.
func guid(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

// alice, in Entra ID, and the claims of her ID token where the groups are too many.
var (
	aliceOID = guid(0xa)
	overage  = map[string]any{
		"oid": aliceOID, "_claim_names": map[string]any{"groups": "src1"},
		"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.windows.net/x/users/y/getMemberObjects"}},
	}
)

// entra is an issuer that answers as Entra ID does, and the Graph beside it.
type entra struct {
	issuer *oidctest.Issuer
	graph  *oidctest.Graph
	ca     string

	mu       sync.Mutex
	claims   map[string]any // of ID tokens
	appToken string         // of the client credentials grant
	asked    []string       // scopes of these grants
}

func startEntra(t *testing.T) *entra {
	t.Helper()
	e := &entra{issuer: oidctest.NewIssuer(t), graph: oidctest.NewGraph(t, "app-token"), claims: overage, appToken: "app-token"}
	e.ca = filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.graph.Server.Certificate().Raw})
	if err := os.WriteFile(e.ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	e.issuer.Replace(oidctest.TokenPath, e.serveToken)
	e.graph.AddUser(aliceOID, guid(0xad))
	return e
}

// serveToken answers the grants of people with an ID token, and the client credentials
// grant with an access token for Graph.
func (e *entra) serveToken(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.FormValue("grant_type") != "client_credentials" {
		claims := maps.Clone(e.claims)
		serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": e.issuer.IDToken(claims), "refresh_token": "r"})(w, r)
		return
	}
	if id, password, _ := r.BasicAuth(); id != url.QueryEscape(registry.ID) || password != url.QueryEscape(registry.Secret) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	e.asked = append(e.asked, r.FormValue("scope"))
	serveJSON(map[string]any{"access_token": e.appToken, "token_type": "Bearer", "expires_in": 3599})(w, r)
}

// tokenRequests returns the scopes of the client credentials grants since the last call.
func (e *entra) tokenRequests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	asked := e.asked
	e.asked = nil
	return asked
}

// setClaims sets the claims of ID tokens.
func (e *entra) setClaims(claims map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.claims = claims
}

// changeToken has Graph accept another access token, which the issuer gives from now on.
func (e *entra) changeToken(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.appToken = token
	e.graph.SetToken(token)
}

func (e *entra) provider(t *testing.T, change func(*oidc.Config)) *oidc.Provider {
	return newProvider(t, e.issuer.URL, func(c *oidc.Config) {
		c.Grants = []string{"password", "refresh_token", "id_token"}
		c.Audience = []string{"registry"}
		c.Users.Claim, c.Groups.Graph, c.TLS.CA = "sub", e.graph.URL, e.ca
		if change != nil {
			change(c)
		}
	})
}

// logged sets the log of a provider, and returns what it has.
func logged(p *oidc.Provider) *strings.Builder {
	var log strings.Builder
	p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
	return &log
}

func by(name string, only ...string) func(*oidc.Config) {
	return func(c *oidc.Config) { c.Groups.By, c.Groups.Only = name, only }
}

func serveText(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) }
}
