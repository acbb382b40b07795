package server_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"shorepass/internal/certwatch"
	"shorepass/server"
	"shorepass/session"
)

// TestDrain: before it ends, a server answers 503 to one more probe, and requests until
// then; without a recent probe it ends immediately.
func TestDrain(t *testing.T) {
	status := func(t *testing.T, h *harness, path string) int {
		t.Helper()
		resp, err := http.Get(h.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	start := func(t *testing.T) (h *harness, stop func(), ended <-chan error) {
		t.Parallel()
		h = newHarness(t, server.AuditConfig{}).reload(t)
		address, stop, ended := h.serve(t, nil)
		h.URL = "http://" + address
		return h, stop, ended
	}
	end := func(t *testing.T, ended <-chan error, limit time.Duration) {
		t.Helper()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(limit):
			t.Errorf("the server has not ended after %v", limit)
		}
	}
	t.Run("a probe", func(t *testing.T) {
		h, stop, ended := start(t)
		if got := status(t, h, "/readyz"); got != http.StatusOK {
			t.Fatalf("/readyz = %d, want 200", got)
		}
		stop()
		time.Sleep(200 * time.Millisecond)
		if a := h.get(t, "service=blue&scope=repository:public/app:pull"); a.status != http.StatusOK {
			t.Errorf("a request before the next probe = %d %s, want 200", a.status, a.body)
		}
		if got := status(t, h, "/readyz"); got != http.StatusServiceUnavailable {
			t.Errorf("/readyz at the end = %d, want 503", got)
		}
		end(t, ended, 3*time.Second)
	})
	t.Run("no probe", func(t *testing.T) {
		h, stop, ended := start(t)
		status(t, h, "/healthz")
		status(t, h, "/readyz?all") // for alerts, and no probe
		stop()
		end(t, ended, 3*time.Second)
	})
}

// TestOpenCircuitBreaker: /readyz names a provider that is doubted and stays 200;
// /readyz?all is 503.
func TestOpenCircuitBreaker(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	ready := func(path string) (int, string) { return h.getText(t, path) }
	if status, body := ready("/readyz?all"); status != http.StatusOK || strings.Contains(body, "circuit") {
		t.Errorf("/readyz?all = %d %s, want 200", status, body)
	}
	now := time.Now()
	row := session.Breaker{Provider: "local", FirstTripped: now, LastTripped: now, DoubtedUntil: now.Add(time.Minute)}
	if swapped, err := h.store.SwapBreaker(t.Context(), session.Breaker{Provider: "local"}, row); !swapped || err != nil {
		t.Fatalf("SwapBreaker = %v, %v", swapped, err)
	}
	deadline := time.Now().Add(10 * time.Second) // the replica reads it once a second
	for {
		status, body := ready("/readyz?all")
		if status == http.StatusServiceUnavailable && strings.Contains(body, `"circuit breaker of local":"open"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz?all = %d %s, want 503 and the circuit breaker", status, body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if status, body := ready("/readyz"); status != http.StatusOK || !strings.Contains(body, "circuit breaker of local") {
		t.Errorf("/readyz = %d %s, want 200 and the circuit breaker", status, body)
	}
}

// TestEndedCertificate: /readyz names an ended certificate by its key and stays 200,
// /readyz?all is 503 (F6).
func TestEndedCertificate(t *testing.T) {
	now := time.Now()
	file := func(key string, use certwatch.Use, left ...time.Duration) certwatch.File {
		f := certwatch.File{Key: key, Use: use}
		for _, l := range left {
			f.Certificates = append(f.Certificates, &x509.Certificate{NotBefore: now.Add(l - 8760*time.Hour), NotAfter: now.Add(l)})
		}
		return f
	}
	const hour = time.Hour
	h := newHarness(t, server.AuditConfig{})
	h.generation.Certificates = func() []certwatch.File {
		return []certwatch.File{
			file("token.root_certificate", certwatch.Root, 12*hour),
			file("server.tls.certificate", certwatch.Chain, -hour),
			file("provider[0].tls.ca", certwatch.Authorities, -hour, 100*hour),
		}
	}
	h.reload(t)
	get := func(path string) (int, string) { return h.getText(t, path) }
	const want = `{"ready":true,"down":{"certificate server.tls.certificate":"has ended"}}`
	if status, body := get("/readyz"); status != http.StatusOK || strings.TrimSpace(body) != want {
		t.Errorf("/readyz = %d %s, want 200 %s", status, body, want)
	}
	if status, body := get("/readyz?all"); status != http.StatusServiceUnavailable || strings.TrimSpace(body) != want {
		t.Errorf("/readyz?all = %d %s, want 503 %s", status, body, want)
	}
}

// getText returns the status and the body of a GET.
func (h *harness) getText(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(h.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
