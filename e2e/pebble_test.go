package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The external account that pebble knows.
const (
	acmeKeyID = "kid-1"
	acmeKey   = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
)

// pebble is an ACME server for tests, with a DNS server that answers 127.0.0.1 for every
// name.
type pebble struct {
	url        string // of its directory
	port       int
	management string
	dns        string // address of the DNS server
	validation int    // port at which it validates HTTP-01 and TLS-ALPN-01
	validity   int    // of certificates, in seconds
	account    bool   // it requires an external account
	nonces     int    // percentage of good nonces that it rejects
	process    *process
}

// newPebble starts the DNS server of a pebble, which start starts.
func newPebble(t *testing.T) *pebble {
	t.Helper()
	need(t, "pebble", "pebble-challtestsrv")
	p := &pebble{port: freePort(t), validity: 90 * 24 * 3600, nonces: 5}
	p.url = fmt.Sprintf("https://127.0.0.1:%d/dir", p.port)
	p.management = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p.dns = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, "challtestsrv", exec.Command("pebble-challtestsrv", "-dnsserver", p.dns, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", fmt.Sprintf("127.0.0.1:%d", freePort(t))))
	return p
}

// start starts pebble. It begins with an empty database and another root each time.
func (p *pebble) start(t *testing.T) {
	t.Helper()
	config := map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", p.port), "managementListenAddress": p.management,
		"certificate": filepath.Join(runDir, "localhost.crt"), "privateKey": filepath.Join(runDir, "localhost.key"),
		"httpPort": p.validation, "tlsPort": p.validation,
		"profiles": map[string]any{"default": map[string]any{"description": "the only one", "validityPeriod": p.validity}},
	}
	if p.account {
		config["externalAccountBindingRequired"] = true
		config["externalAccountMACKeys"] = map[string]string{acmeKeyID: acmeKey}
	}
	text, err := json.Marshal(map[string]any{"pebble": config})
	must(t, err)
	file := filepath.Join(t.TempDir(), "pebble.json")
	must(t, os.WriteFile(file, text, 0o600))
	cmd := exec.Command("pebble", "-config", file, "-dnsserver", p.dns)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", fmt.Sprintf("PEBBLE_WFE_NONCEREJECT=%d", p.nonces))
	p.process = start(t, "pebble", cmd)
	p.process.await(t, 20*time.Second, func() error { return checkOK(p.url) })
}

// roots returns the root of this start of pebble.
func (p *pebble) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	text, err := get("https://" + p.management + "/roots/0")
	must(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("pebble's root is %q", text)
	}
	return pool
}

// acmeHost is the host of public_urls of servers with ACME.
const acmeHost = "registry-auth.corp.example"

// newACMEServer returns a server that obtains its certificate from p, which validates at its
// port. Unless http, the challenge is TLS-ALPN-01. run starts it.
func newACMEServer(t *testing.T, p *pebble, http bool, more string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), port: freePort(t), root: rootCA}
	s.url = fmt.Sprintf("https://%s:%d", acmeHost, s.port)
	s.config = filepath.Join(s.dir, "shorepass.toml")
	p.validation = s.port
	acme := fmt.Sprintf("[server.acme]\ndirectory = %q\nterms_agreed = true\nemail = \"registry@corp.example\"\ntls = { ca = %q }\n", p.url, filepath.Join(runDir, "localhost.crt"))
	if http {
		p.validation = freePort(t)
		acme += fmt.Sprintf("listen_http = \"127.0.0.1:%d\"\n", p.validation)
	}
	s.writeConfig(t, options{providers: testUsers().toml(), rules: testRules, server: acme + more})
	return s
}

// run starts the server, and does not wait until it answers.
func (s *server) run(t *testing.T) {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--config", s.config)
	cmd.Dir = s.dir
	s.process = start(t, "shorepass", cmd)
	t.Cleanup(func() { s.stop(t) })
}

// handshake connects to the server and returns its leaf certificate. Without roots it
// verifies nothing.
func (s *server) handshake(name string, roots *x509.CertPool) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// awaitCertificate waits until the server has a certificate that roots vouch for, other
// than old.
func (s *server) awaitCertificate(t *testing.T, roots *x509.CertPool, old *x509.Certificate) *x509.Certificate {
	t.Helper()
	var leaf *x509.Certificate
	s.process.await(t, time.Minute, func() (err error) {
		if leaf, err = s.handshake(acmeHost, roots); err == nil && old != nil && leaf.Equal(old) {
			err = fmt.Errorf("still the old certificate")
		}
		return err
	})
	return leaf
}

// unverified returns the status and the body of a GET, whatever the certificate.
func (s *server) unverified(path string) (int, string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	res, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d%s", s.port, path))
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}
