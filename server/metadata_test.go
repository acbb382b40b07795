package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/server"
)

// TestMetadata: each statement of the metadata (RFC 8414) is true.
func TestMetadata(t *testing.T) {
	h := newHarness(t, server.AuditConfig{})
	other := strings.Replace(h.URL, "127.0.0.1", "localhost", 1)
	h.generation.Config.PublicURLs = []string{h.URL, other + "/"}
	h.reload(t)
	for _, public := range []string{h.URL, other} {
		for _, path := range []string{"/.well-known/oauth-authorization-server", "/jwt/auth/.well-known/oauth-authorization-server", "/token/.well-known/oauth-authorization-server"} {
			got := fetchJSON(t, h, public+path)
			if got.header.Get("Cache-Control") != "public, max-age=300" || len(got.header.Values("Set-Cookie")) > 0 {
				t.Errorf("%s has the header %v", public+path, got.header)
			}
			h.checkMetadata(t, public, got.json)
		}
	}
	request, _ := http.NewRequest("GET", h.URL+"/.well-known/oauth-authorization-server", nil)
	request.Host = "evil.example"
	if got := h.do(t, request); got.json["issuer"] != h.URL {
		t.Errorf("by an unknown host the issuer is %v, want %s", got.json["issuer"], h.URL)
	}
}

// checkMetadata compares metadata with what the server does.
func (h *harness) checkMetadata(t *testing.T, issuer string, m map[string]any) {
	t.Helper()
	if m["issuer"] != issuer || len(m) != 9 {
		t.Errorf("the metadata of %s: %v", issuer, m)
	}
	if types, ok := m["response_types_supported"].([]any); !ok || len(types) != 0 {
		t.Errorf("response_types_supported = %v, want an empty list", m["response_types_supported"])
	}
	endpoint := func(name string, form url.Values) answer {
		t.Helper()
		req, err := http.NewRequest("POST", m[name].(string), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if name == "introspection_endpoint" {
			req.SetBasicAuth("carol", password)
		}
		return h.do(t, req)
	}
	login := passwordForm("alice", password, "blue")
	login.Set("access_type", "offline")
	forms := map[string]url.Values{"password": login}
	for _, grant := range m["grant_types_supported"].([]any) {
		answer := endpoint("token_endpoint", forms[grant.(string)])
		if answer.status != http.StatusOK {
			t.Fatalf("the grant %v: %d %s", grant, answer.status, answer.body)
		}
		if token, ok := answer.json["refresh_token"].(string); ok {
			forms["refresh_token"] = refreshForm(token, "blue")
		}
	}
	for _, grant := range []string{"authorization_code", "client_credentials"} {
		if answer := endpoint("token_endpoint", url.Values{"grant_type": {grant}}); answer.json["error"] != "unsupported_grant_type" {
			t.Errorf("the grant %s: %s", grant, answer.body)
		}
	}
	refresh := url.Values{"token": {forms["refresh_token"].Get("refresh_token")}}
	if answer := endpoint("introspection_endpoint", refresh); answer.json["active"] != true {
		t.Errorf("introspection: %s", answer.body)
	}
	if answer := endpoint("revocation_endpoint", refresh); answer.status != http.StatusOK {
		t.Errorf("revocation: %d %s", answer.status, answer.body)
	}
	if answer := endpoint("introspection_endpoint", refresh); answer.json["active"] != false {
		t.Errorf("introspection after the revocation: %s", answer.body)
	}
	keys := fetchJSON(t, h, m["jwks_uri"].(string)).json["keys"].([]any)
	if len(keys) != 1 || keys[0].(map[string]any)["x5c"] == nil {
		t.Errorf("the keys: %v, want one with its certificates", keys)
	}
}

func fetchJSON(t *testing.T, h *harness, url string) answer {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := h.do(t, req)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %d %s", url, got.status, got.header.Get("Content-Type"))
	}
	return got
}
