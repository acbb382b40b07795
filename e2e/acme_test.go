package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestACME obtains a certificate by each challenge: from a private directory that requires
// an external account, and from one that rejects most nonces. A restart serves the stored
// certificate while the directory is down.
func TestACME(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		http    bool
		account bool
		nonces  int
	}{
		{"tls-alpn-01, external account", false, true, 5},
		{"http-01, bad nonces", true, false, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPebble(t)
			p.account, p.nonces = tt.account, tt.nonces
			account := ""
			if tt.account {
				secrets.add("the MAC key of an ACME account", acmeKey)
				account = fmt.Sprintf("external_account = { id = %q, key = %q }\n", acmeKeyID, acmeKey)
			}
			s := newACMEServer(t, p, tt.http, account)
			p.start(t)
			s.run(t)
			leaf := s.awaitCertificate(t, p.roots(t), nil)
			if err := leaf.VerifyHostname(acmeHost); err != nil {
				t.Error(err)
			}
			s.process.await(t, 10*time.Second, func() error {
				status, body, err := s.unverified("/readyz?all")
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("/readyz?all: %d %s", status, body)
				}
				return err
			})
			if _, metrics, err := s.unverified("/metrics"); err != nil || !strings.Contains(metrics, `certificate.pem",use="obtained"} 1.`) {
				t.Errorf("the metrics have no certificate of ACME with 90 days left: %v\n%s", err, metrics)
			}
			if got := s.logLines("obtained a certificate by ACME", acmeHost); len(got) != 1 {
				t.Errorf("the log has %q, want one line about the certificate", got)
			}

			files, err := filepath.Glob(filepath.Join(s.dir, "data", "acme", "*", "*"))
			if err != nil || len(files) != 2 {
				t.Errorf("the folder has %q, %v; want the account's key and the certificate", files, err)
			}
			for _, file := range files {
				if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v; want mode 0600", file, info.Mode(), err)
				}
			}

			p.process.stop()
			s.stop(t)
			s.run(t)
			if again := s.awaitCertificate(t, nil, nil); !again.Equal(leaf) {
				t.Error("after a restart the server has another certificate, and the directory is down")
			}
		})
	}
}

// TestACMEStranger: names are those of public_urls alone. A client that asks for another
// name gets the certificate that is there, and orders none; the port of HTTP-01 answers
// nothing but challenges.
func TestACMEStranger(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	s := newACMEServer(t, p, true, "")
	p.start(t)
	s.run(t)
	leaf := s.awaitCertificate(t, p.roots(t), nil)
	for _, name := range []string{"evil.example", "", "127.0.0.1", "x." + acmeHost} {
		if got, err := s.handshake(name, nil); err != nil || !got.Equal(leaf) {
			t.Errorf("a client that asks for %q gets another certificate, or %v", name, err)
		}
		if _, err := s.handshake(name, p.roots(t)); err == nil {
			t.Errorf("a client takes the certificate for %q", name)
		}
	}
	for path, want := range map[string]int{"/": 404, "/jwt/auth?service=" + service: 404, "/.well-known/acme-challenge/x": 404, "/.well-known/acme-challenge/": 404} {
		req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", p.validation, path), nil)
		must(t, err)
		req.Header.Set("Authorization", basic("alice", testUsers()["alice"].password))
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("GET %s at the port of HTTP-01: %s, want %d", path, res.Status, want)
		}
	}
	if strings.Contains(p.process.output(), "evil") || strings.Count(p.process.output(), "Issued certificate") != 1 {
		t.Errorf("pebble has seen more than one order:\n%s", p.process.output())
	}

	// A reload with another host orders a certificate for both.
	text, err := os.ReadFile(s.config)
	must(t, err)
	both := strings.Replace(string(text), `public_urls = [`, fmt.Sprintf(`public_urls = ["https://Auth2.corp.example:%d", `, s.port), 1)
	must(t, os.WriteFile(s.config, []byte(both), 0o600))
	again := s.awaitCertificate(t, p.roots(t), leaf)
	for _, name := range []string{acmeHost, "auth2.corp.example"} {
		if err := again.VerifyHostname(name); err != nil {
			t.Errorf("after a reload: %v", err)
		}
	}
}

// TestACMEReloadDuringOrder: a reload with another host while an order is in progress is no
// failure. The certificate of the order is used, and one for both names follows it
// immediately.
func TestACMEReloadDuringOrder(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	s := newACMEServer(t, p, true, "")
	challenges := fmt.Sprintf("127.0.0.1:%d", p.validation)
	gate, err := net.Listen("tcp", "127.0.0.1:0") // where pebble validates
	must(t, err)
	t.Cleanup(func() { gate.Close() })
	p.validation = gate.Addr().(*net.TCPAddr).Port
	text, err := os.ReadFile(s.config)
	must(t, err)
	both := strings.Replace(string(text), `public_urls = [`, fmt.Sprintf(`public_urls = ["https://auth2.corp.example:%d", `, s.port), 1)
	p.start(t)
	s.run(t)
	validating, reloaded := make(chan struct{}), make(chan struct{})
	go func() {
		begin := sync.OnceFunc(func() { close(validating) })
		for {
			from, err := gate.Accept()
			if err != nil {
				return
			}
			begin()
			go func() {
				<-reloaded
				defer from.Close()
				if to, err := net.Dial("tcp", challenges); err == nil {
					defer to.Close()
					go io.Copy(to, from)
					io.Copy(from, to)
				}
			}()
		}
	}()
	select {
	case <-validating:
	case <-time.After(time.Minute):
		t.Fatal("pebble validates nothing")
	}
	must(t, os.WriteFile(s.config, []byte(both), 0o600))
	s.process.cmd.Process.Signal(syscall.SIGHUP)
	s.process.await(t, 20*time.Second, func() error {
		if len(s.logLines("the configuration was reloaded")) == 0 {
			return errors.New("the configuration was not reloaded")
		}
		return nil
	})
	close(reloaded)
	s.process.await(t, time.Minute, func() error {
		if got := s.logLines("obtained a certificate by ACME"); len(got) != 2 {
			return fmt.Errorf("the log has %q; want a line for each set of names", got)
		}
		return nil
	})
	if got := s.logLines("no certificate was obtained by ACME"); len(got) != 0 {
		t.Errorf("the log has %q", got)
	}
	if leaf := s.awaitCertificate(t, p.roots(t), nil); leaf.VerifyHostname("auth2.corp.example") != nil {
		t.Errorf("the certificate is for %q", leaf.DNSNames)
	}
}

// TestACMERenews: a certificate is replaced when a third of its validity is left, and no
// handshake fails meanwhile. While the directory is down after that, the server serves on
// with what it has, and says when that has ended.
func TestACMERenews(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	p.validity = 9
	s := newACMEServer(t, p, false, "")
	p.start(t)
	s.run(t)
	roots := p.roots(t)
	first := s.awaitCertificate(t, roots, nil)
	for {
		leaf, err := s.handshake(acmeHost, roots)
		if err != nil {
			t.Fatalf("while the certificate is replaced: %v", err)
		}
		if !leaf.Equal(first) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.process.stop()
	s.process.await(t, time.Minute, func() error {
		status, body, err := s.unverified("/readyz?all")
		if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(body, `"certificate server.acme":"has ended"`)) {
			err = fmt.Errorf("/readyz?all: %d %s", status, body)
		}
		return err
	})
	if got := s.logLines("no certificate was obtained by ACME", "retry_in", "the certificate that ends at"); len(got) == 0 {
		t.Error("the log does not say that the directory is down, and what is served meanwhile")
	}
}

// TestACMEDown: without a certificate and with a directory that is down, handshakes fail,
// the log says why and how long it waits, and a certificate is there soon after the
// directory. A directory that refuses the account is asked again after a long time.
func TestACMEDown(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	s := newACMEServer(t, p, false, "")
	s.run(t)
	s.process.await(t, 20*time.Second, func() error {
		if len(s.logLines(`"level":"ERROR"`, "no certificate was obtained by ACME", p.url, "connection refused", `"retry_in":"5s"`, "handshakes fail")) == 0 {
			return fmt.Errorf("the log does not say that the directory is down")
		}
		return nil
	})
	if leaf, err := s.handshake(acmeHost, nil); err == nil {
		t.Errorf("a handshake without a certificate gets %v", leaf.Subject)
	}
	check := s.cli(t, "", "check", "--live")
	if text := check.text; check.ok || !strings.Contains(text, "server.acme.directory") || !strings.Contains(text, "connection refused") {
		t.Errorf("check --live = %v\n%s\nwant the directory that is down", check.ok, text)
	}
	p.start(t)
	s.awaitCertificate(t, p.roots(t), nil)
	check = s.cli(t, "", "check", "--live")
	for _, want := range []string{"for " + acmeHost + " by tls-alpn-01", "terms of service", "is there; it is replaced from"} {
		if text := check.text; !check.ok || !strings.Contains(text, want) {
			t.Errorf("check --live = %v\n%s\nwant %q", check.ok, text, want)
		}
	}

	strict := newPebble(t)
	strict.account = true
	refused := newACMEServer(t, strict, false, "")
	strict.start(t)
	refused.run(t)
	refused.process.await(t, 30*time.Second, func() error {
		if len(refused.logLines("no certificate was obtained by ACME", "register the account", `"retry_in":"15m0s"`)) == 0 {
			return fmt.Errorf("the log does not say that the account was refused")
		}
		return nil
	})
	check = refused.cli(t, "", "check", "--live")
	if text := check.text; check.ok || !strings.Contains(text, "server.acme.external_account") {
		t.Errorf("check --live = %v\n%s\nwant the external account that the directory requires", check.ok, text)
	}
}
