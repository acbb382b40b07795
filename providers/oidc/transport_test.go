package oidc_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestResponseSizeIsBounded: a response costs bounded memory, also a
// compressed one.
func TestResponseSizeIsBounded(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 16<<20))
	_ = z.Close()
	bomb := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}
	elements := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"a":[` + strings.Repeat(`[],`, 100_000) + `[]]}`))
	}
	keys := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(`{},`, 70_000) + `{}]}`))
	}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"gzip bomb":     {bomb, "the provider's answer has more than 524288 bytes"},
		"many elements": {elements, "the provider's answer has more than 65536 elements"},
		"many keys":     {keys, "the provider's answer has more than 65536 elements"},
	} {
		for _, path := range []string{oidctest.DiscoveryPath, oidctest.KeysPath, oidctest.TokenPath, oidctest.UserinfoPath} {
			i := oidctest.NewIssuer(t)
			i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
			i.Replace(path, tt.handler)
			p := newProvider(t, i.URL, func(c *oidc.Config) { c.Userinfo, c.Timeout = "always", 10*time.Second })
			if _, err := authenticate(t.Context(), p, password("alice", "pw")); !isUnavailable(err) || !strings.HasSuffix(err.Error(), tt.says) {
				t.Errorf("%s at %s: Authenticate = %v, want %q", name, path, err, tt.says)
			}
		}
	}
}

// TestProxyErrorIsNotQuoted: a proxy's response to CONNECT may quote the
// credentials that it got.
func TestProxyErrorIsNotQuoted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			r := make([]byte, 4<<10)
			n, _ := connection.Read(r)
			_, authorization, _ := strings.Cut(string(r[:n]), "Proxy-Authorization: Basic ")
			authorization, _, _ = strings.Cut(authorization, "\r\n")
			fmt.Fprintf(connection, "HTTP/1.1 407 %s\r\nContent-Length: 0\r\n\r\n", authorization)
			connection.Close()
		}
	}()
	p := newProvider(t, "https://sso.corp.example", nil)
	oidc.UseProxy(p, &url.URL{Scheme: "http", Host: listener.Addr().String(), User: url.UserPassword("user", "proxy-canary")})
	_, err = authenticate(t.Context(), p, password("alice", "pw"))
	if _, leaks := leaked(err.Error(), "user:proxy-canary"); leaks || !strings.HasSuffix(err.Error(), "the proxy answered 407 Proxy Authentication Required") {
		t.Errorf("Authenticate = %v, want the proxy's status only", err)
	}
}
