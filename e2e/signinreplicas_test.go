package e2e

import (
	"fmt"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"shorepass/e2e/browser"
	"shorepass/session/postgres/postgrestest"
)

// newSiteOfReplicas starts a site of three replicas, of which each request gets the next.
func newSiteOfReplicas(t *testing.T, pg *postgrestest.Server, o siteOptions) (*site, replicas) {
	t.Helper()
	o.session += sharedStore(t, database(t, pg))
	var all replicas
	for range 3 {
		all = append(all, &server{dir: t.TempDir(), port: freePort(t), root: rootCA})
	}
	w := &site{server: &server{url: roundRobin(t, all), root: rootCA}}
	w.startPeers(t, o)
	for _, s := range all {
		s.config, s.url = filepath.Join(s.dir, "shorepass.toml"), w.url
		s.writeConfig(t, w.options(o))
		s.url = fmt.Sprintf("http://localhost:%d", s.port)
		s.launch(t)
	}
	for _, s := range all {
		s.healthy(t)
	}
	return w, all
}

// roundRobin starts a proxy that sends each request to the next replica, and returns its
// URL. One that keeps a browser at a replica would hide what only that replica knows.
func roundRobin(t *testing.T, all replicas) string {
	t.Helper()
	var next atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		s := all[int(next.Add(1))%len(all)]
		r.SetURL(&url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", s.port)})
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	_, port, err := net.SplitHostPort(proxy.Listener.Addr().String())
	must(t, err)
	return "http://localhost:" + port
}

// TestSignInAtReplicas: any replica answers any step of a sign-in, spends a one-time
// password, and refuses what ended at another.
func TestSignInAtReplicas(t *testing.T) {
	t.Parallel()
	w, all := newSiteOfReplicas(t, postgrestest.Start(t), siteOptions{session: `revalidate = "1s"`})
	alice := w.addPerson(t, "alice", "team-alpha")
	b := startBrowser(t, browser.Options{})
	p := b.Open(t)
	w.signIn(t, p, alice)

	var tokens []string
	for range 3 {
		_, password := w.oneTimePassword(t, p)
		tokens = append(tokens, w.login(t, "alice", password))
		for i, s := range all {
			if a := s.get(t, dockerLogin, basic("alice", password)); a.Status != 401 || !strings.Contains(a.Raw, "was used") {
				t.Errorf("a one-time password that was used, at replica %d: %v, want 401 that says so", i, a)
			}
		}
	}
	for _, token := range tokens {
		all.checkAll(t, token, "200 pull,push")
	}
	p.Visit(w.url + "/me")
	p.Click(words("me.end.others"))
	p.Click(words("revoke.do.others"))
	p.See(words("me.logins", 1))
	for _, token := range tokens {
		all.checkAll(t, token, "401")
	}

	// A back-channel logout reaches one replica, and ends the session at each.
	w.logOutAtProvider(t, p)
	for range all {
		w.mustSignIn(t, p)
	}
}

// dockerLogin is the query of docker login.
const dockerLogin = "account=alice&client_id=docker&offline_token=true&service=" + service
