package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"shorepass/server"
)

// serve runs Serve as the binary does, and returns its address. After stop, the
// channel has Serve's error.
func (h *harness) serve(t *testing.T, secure *tls.Config) (address string, stop func(), ended <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	finished := make(chan struct{})
	go func() {
		done <- h.server.Serve(ctx, l, secure)
		close(finished)
	}()
	t.Cleanup(func() {
		stop()
		<-finished
	})
	return l.Addr().String(), stop, done
}

// TestLongHeadsAreLimited: a head that is too long gets our own error, long heads that
// are being read take bounded memory, and short heads are not limited.
func TestLongHeadsAreLimited(t *testing.T) {
	certificate := httptest.NewTLSServer(http.NotFoundHandler())
	defer certificate.Close()
	for name, secure := range map[string]*tls.Config{"plain": nil, "TLS": {Certificates: certificate.TLS.Certificates}} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, server.AuditConfig{}).reload(t)
			address, _, _ := h.serve(t, secure)
			dial := func() net.Conn {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(20 * time.Second))
				if secure != nil {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				return c
			}
			ask := func(c net.Conn, head string) (int, error) {
				if _, err := io.WriteString(c, head); err != nil {
					return 0, err
				}
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					return 0, err
				}
				io.Copy(io.Discard, resp.Body)
				if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%.60q is answered %d with the header %v, want JSON with no-store", head, resp.StatusCode, resp.Header)
				}
				return resp.StatusCode, nil
			}
			const rest = " HTTP/1.1\r\nHost: here\r\n\r\n"
			long := "GET /jwt/auth?service=blue" + strings.Repeat("&scope=repository:public/app:pull", 10_000) + rest
			short := "GET /jwt/auth?service=blue&scope=repository:public/app:pull" + rest

			keepAlive := dial()
			for i, head := range []string{short, long, short, long} {
				if status, err := ask(keepAlive, head); err != nil || status != map[string]int{short: 200, long: 400}[head] {
					t.Fatalf("head %d on one connection: %d, %v", i, status, err)
				}
			}

			const each = 100 << 10 // half-sent
			const many = 40
			var halves []net.Conn
			for range many {
				c := dial()
				io.WriteString(c, "GET /"+strings.Repeat("a", each)) // fails where the server closes the connection
				halves = append(halves, c)
			}
			silent := func() (open int) {
				for _, c := range halves {
					c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
					if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
						open++
					}
				}
				return open
			}
			open := many
			for deadline := time.Now().Add(10 * time.Second); open > 20 && time.Now().Before(deadline); {
				open = silent() // until the server has read what was sent
			}
			if open < 8 || open > 20 {
				t.Errorf("of %d half-sent heads of %d bytes %d are open, want as many as fit into 2 MiB", many, each, open)
			}
			if status, err := ask(dial(), short); err != nil || status != http.StatusOK {
				t.Errorf("a short head meanwhile: %d, %v, want 200", status, err)
			}
			if status, err := ask(keepAlive, short); err != nil || status != http.StatusOK {
				t.Errorf("a short head on a connection that had long ones: %d, %v, want 200", status, err)
			}
			if status, err := ask(dial(), long); err == nil {
				t.Errorf("a long head meanwhile is answered %d, want the connection closed", status)
			}
			for _, c := range halves {
				c.Close()
			}
			status, err := ask(dial(), long)
			for deadline := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				status, err = ask(dial(), long)
			}
			if err != nil || status != http.StatusBadRequest {
				t.Errorf("a long head after them: %d, %v, want 400", status, err)
			}
		})
	}
}
