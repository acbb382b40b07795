package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/registry"
)

// lockedBuffer is a bytes.Buffer that is safe for concurrent use.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestFailedHandshakes (F6): a failed TLS handshake is counted by its reason and logged
// once a minute for each address and reason; a connection that is only opened and closed
// is no line at info.
func TestFailedHandshakes(t *testing.T) {
	certificate, key := filepath.Join(t.TempDir(), "server.crt"), filepath.Join(t.TempDir(), "server.key")
	if err := registry.CreateRoot(certificate, key); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	metrics := NewMetrics()
	s := New(nil, metrics, slog.New(slog.NewJSONHandler(&log, nil)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- s.Serve(ctx, l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}()
	t.Cleanup(func() { stop(); <-served })

	address := l.Addr().String()
	handshake := func(cfg *tls.Config) {
		t.Helper()
		if conn, err := tls.Dial("tcp", address, cfg); err == nil {
			conn.Close()
			t.Error("a handshake succeeded that should fail")
		}
	}
	for range 20 {
		handshake(&tls.Config{ServerName: "localhost"}) // its root is unknown to the client
	}
	handshake(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if _, err := http.Get("http://" + address); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	for reason, want := range map[string]int{handshakeUntrusted: 20, handshakePlainHTTP: 1, handshakeClosed: 5, handshakeOther: 1, handshakeTimeout: 0} {
		line := fmt.Sprintf("\nshorepass_tls_handshake_failures_total{reason=%q} %d\n", reason, want)
		counted := func() string {
			w := httptest.NewRecorder()
			metrics.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return w.Body.String()
		}
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(counted(), line); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the metrics lack %s", line)
			}
		}
	}
	logged := map[string]int{}
	for line := range strings.Lines(log.String()) {
		var fields struct{ Level, Msg, Address, Reason, Error string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields.Level != "WARN" || fields.Msg != "a TLS handshake failed" || fields.Address != "127.0.0.1" || fields.Error == "" {
			t.Errorf("the log has %s", line)
		}
		logged[fields.Reason]++
	}
	if len(logged) != 3 || logged[handshakeUntrusted] != 1 || logged[handshakePlainHTTP] != 1 || logged[handshakeOther] != 1 {
		t.Errorf("logged %v, want one line for each reason but closed", logged)
	}
}

// TestHandshakeReason: the errors that net/http reported when these clients broke off.
func TestHandshakeReason(t *testing.T) {
	for problem, want := range map[string]string{
		"remote error: tls: bad certificate":               handshakeUntrusted, // crane, docker
		"remote error: tls: unknown certificate authority": handshakeUntrusted, // curl with TLS 1.2
		"local error: tls: bad record MAC":                 handshakeUntrusted, // curl, openssl and Python with TLS 1.3 (OpenSSL 3.0)
		"client sent an HTTP request to an HTTPS server":   handshakePlainHTTP,
		"EOF": handshakeClosed,
		"read tcp 10.0.0.1:5001->10.0.0.2:40000: i/o timeout":      handshakeTimeout,
		"tls: client offered only unsupported versions: [302 301]": handshakeOther,
		"tls: no cipher suite supported by both client and server": handshakeOther,
		"tls: first record does not look like a TLS handshake":     handshakeOther,
	} {
		if got := handshakeReason(problem); got != want {
			t.Errorf("handshakeReason(%q) = %s, want %s", problem, got, want)
		}
	}
}

// TestNoSecondWarning (F7): a 503 whose cause is logged already is not logged again.
func TestNoSecondWarning(t *testing.T) {
	var log bytes.Buffer
	logger := Config{LogLevel: "info"}.NewLogger(&log)
	audit, err := OpenAudit(AuditConfig{Required: true}.WithDefaults(), brokenOutput{}, NewMetrics(), logger)
	if err != nil {
		t.Fatal(err)
	}
	s := New(audit, NewMetrics(), logger)
	req := newRequest("", time.Now(), origin{})
	gen := new(Generation)
	s.observe(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/jwt/auth", nil), gen, req, func(w http.ResponseWriter, _ *http.Request, _ *Generation, req *request) error {
		return s.answer(w, req, struct{}{})
	})
	if lines := strings.Count(log.String(), "\n"); lines != 1 || req.line.Status != http.StatusOK && !strings.Contains(log.String(), "audit line was not written") {
		t.Errorf("the log of one 503 has %d lines:\n%s\nwant one", lines, &log)
	}
}

type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

var _ io.Writer = brokenOutput{}

// TestDurationsHaveUnits (F7): the log writes "1.5s", not nanoseconds.
func TestDurationsHaveUnits(t *testing.T) {
	var log bytes.Buffer
	Config{LogLevel: "info"}.NewLogger(&log).With("a", time.Minute).Info("m", "store_is_ahead_by", 1500*time.Millisecond, slog.Group("g", "d", time.Millisecond))
	for _, want := range []string{`"a":"1m0s"`, `"store_is_ahead_by":"1.5s"`, `"g":{"d":"1ms"}`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log is %s, want %s in it", &log, want)
		}
	}
}
