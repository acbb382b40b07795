package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestCollectorAddress(t *testing.T) {
	for to, want := range map[string]string{
		"syslog+tcp://logs.corp.example":         "logs.corp.example:601 false",
		"syslog+tcp://logs.corp.example:1514":    "logs.corp.example:1514 false",
		"syslog+tls://logs.corp.example":         "logs.corp.example:6514 true",
		"syslog+tls://[2001:db8::1]:6514":        "[2001:db8::1]:6514 true",
		"syslog":                                 "",
		"syslog+udp://logs.corp.example":         "",
		"syslog+tls:logs.corp.example":           "",
		"syslog+tls://":                          "",
		"syslog+tls://logs.corp.example/x":       "",
		"syslog+tls://a:b@logs.corp.example":     "",
		"syslog+tls://logs.corp.example?x=y":     "",
		"syslog+tcp://logs.corp.example:0":       "",
		"syslog+tcp://logs.corp.example:syslog":  "",
		"syslog+tcp://logs.corp.example:6514:14": "",
	} {
		address, secure, ok := collectorAddress(to)
		got := ""
		if ok {
			got = fmt.Sprint(address, " ", secure)
		}
		if got != want {
			t.Errorf("collectorAddress(%q) = %q, want %q", to, got, want)
		}
	}
}

// TestSyslogMessage: the message of RFC 5424, in ASCII, which decodes to the same JSON.
func TestSyslogMessage(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 123456789, time.FixedZone("", 3600))
	line := []byte(`{"user":"josé","reason":"a 😀 \"b\" ` + "\u2028" + `"}` + "\n")
	got := string(appendMessage(nil, at, syslogHead("registry auth-1.corp.exämple", 42), line))
	want := `<86>1 2026-11-27T09:00:00.123456Z registryauth-1.corp.exmple shorepass 42 audit - {"user":"jos\u00e9","reason":"a \ud83d\ude00 \"b\" \u2028"}`
	if got != want {
		t.Errorf("the message is\n%s\nwant\n%s", got, want)
	}
	var sent, received map[string]string
	_, text, _ := strings.Cut(got, " - ")
	if err := errors.Join(json.Unmarshal(line, &sent), json.Unmarshal([]byte(text), &received)); err != nil || fmt.Sprint(sent) != fmt.Sprint(received) {
		t.Errorf("the text decodes to %v, %v; want %v", received, err, sent)
	}
	for host, want := range map[string]string{"": " - ", "ä": " - ", strings.Repeat("a", 300): " " + strings.Repeat("a", 255) + " "} {
		if got := syslogHead(host, 1); got != want+"shorepass 1 audit - " {
			t.Errorf("the header with the host %q is %q", host, got)
		}
	}
	if n := len(appendMessage(nil, at, syslogHead(strings.Repeat("a", 300), 1<<30), append(bytes.Repeat([]byte("a"), maxAuditLine), '\n'))); n > 64<<10 {
		t.Errorf("the longest message has %d bytes, more than 64 KiB", n)
	}
}

// collectorServer is a syslog collector that reads octet-counted messages.
type collectorServer struct {
	net.Listener
	mu       sync.Mutex
	messages []string
	faults   []string
	conns    []net.Conn
}

func newCollectorServer(t *testing.T, address string) *collectorServer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &collectorServer{Listener: l}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
			serving.Go(func() { c.read(conn) })
		}
	})
	t.Cleanup(func() { c.shutDown(); serving.Wait() })
	return c
}

// read reads frames until the connection ends.
func (c *collectorServer) read(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		digits, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(digits, " "))
		message := make([]byte, max(n, 0))
		if err == nil {
			_, err = io.ReadFull(r, message)
		}
		c.mu.Lock()
		if err != nil {
			c.faults = append(c.faults, fmt.Sprintf("a frame begins with %q: %v", digits, err))
		}
		c.messages = append(c.messages, string(message))
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// shutDown closes the port and all connections.
func (c *collectorServer) shutDown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Close()
	for _, conn := range c.conns {
		conn.Close()
	}
}

func (c *collectorServer) received() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.messages...)
}

// waitFor polls until ok, for ten seconds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// TestSyslogCollector: concurrent lines arrive each once and whole, in exact frames, on one
// connection.
func TestSyslogCollector(t *testing.T) {
	t.Parallel()
	server := newCollectorServer(t, "127.0.0.1:0")
	a, err := openTestAudit(t, AuditConfig{To: "syslog+tcp://" + server.Addr().String(), Required: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 100
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if err := a.write(&auditLine{Request: fmt.Sprintf("%d-%d", w, i), UserAgent: strings.Repeat("ä\n", i*10)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	waitFor(t, "all messages", func() bool { return len(server.received()) >= writers*each })
	head := regexp.MustCompile(`^<86>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ shorepass ` + strconv.Itoa(os.Getpid()) + ` audit - (\{.*\})$`)
	seen := make(map[string]bool)
	for _, message := range server.received() {
		var line auditLine
		m := head.FindStringSubmatch(message)
		if m == nil {
			t.Fatalf("a message is %q", message)
		}
		if err := json.Unmarshal([]byte(m[1]), &line); err != nil || seen[line.Request] {
			t.Errorf("%v, or twice: %s", err, message)
		}
		seen[line.Request] = true
	}
	if len(seen) != writers*each || len(server.conns) != 1 || len(server.faults) > 0 {
		t.Errorf("%d messages over %d connections, faults %q; want %d over one", len(seen), len(server.conns), server.faults, writers*each)
	}
}

// TestSyslogCollectorAway: without a collector lines fail immediately, which the log says
// once, and arrive again soon after it is back; a line written after the collector closed
// the connection is not lost.
func TestSyslogCollectorAway(t *testing.T) {
	t.Parallel()
	first := newCollectorServer(t, "127.0.0.1:0")
	address := first.Addr().String()
	var log lockedBuffer
	a, err := OpenAudit(AuditConfig{To: "syslog+tcp://" + address, Required: true}, nil, NewMetrics(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var failed atomic.Int64
	a.failed = func(error) { failed.Add(1) }
	line := func(id string) error { return a.write(&auditLine{Request: id}) }
	has := func(c *collectorServer, id string) func() bool {
		return func() bool { return strings.Contains(strings.Join(c.received(), ""), `"request":"`+id+`"`) }
	}
	if err := line("before"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first line", has(first, "before"))

	first.shutDown()
	waitFor(t, "a failed line", func() bool { return line("lost") != nil })
	begin := time.Now()
	for range 1000 {
		if err := line("lost"); err == nil || !errors.Is(err, errNoAuditLine) {
			t.Fatalf("a line without a collector: %v", err)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("1000 lines without a collector took %v; they should not wait", took)
	}
	if !a.isDown() {
		t.Error("the audit log is not down")
	}

	second := newCollectorServer(t, address)
	waitFor(t, "a line to the new collector", func() bool { return line("after") == nil })
	waitFor(t, "the line itself", has(second, "after"))
	text := log.String()
	if strings.Count(text, "an audit line was not written") != 1 || strings.Count(text, "audit lines are written again") != 1 || !strings.Contains(text, "connection refused") {
		t.Errorf("the log has\n%s\nwant one line about the loss, with its cause, and one about its end", text)
	}
	if lost := failed.Load(); lost < 1001 || !strings.Contains(text, fmt.Sprintf("lost=%d", lost)) {
		t.Errorf("%d lines are counted as lost, and the log has\n%s", lost, text)
	}

	// The collector restarts between two lines.
	second.shutDown()
	third := newCollectorServer(t, address)
	waitFor(t, "the end of the connection", func() bool { return a.out.(*syslogFrames).sink.out.(*collector).conn.isClosed() })
	if err := line("restarted"); err != nil {
		t.Errorf("a line after a restart of the collector: %v", err)
	}
	waitFor(t, "the line after a restart", has(third, "restarted"))
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// TestSyslogCollectorHangs: a collector that reads nothing blocks no request longer than a
// line may take, and not the shutdown.
func TestSyslogCollectorHangs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := OpenAudit(AuditConfig{To: "syslog+tcp://" + l.Addr().String()}, nil, NewMetrics(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 60<<10)
	waitFor(t, "a full connection", func() bool {
		begin := time.Now()
		err := a.writeLine(&auditLine{UserAgent: long})
		if took := time.Since(begin); took > sinkLimit+time.Second {
			t.Errorf("a line took %v", took)
		}
		return err != nil
	})
	begin := time.Now()
	_ = a.Close()
	if took := time.Since(begin); took > 2*sinkLimit {
		t.Errorf("Close took %v", took)
	}
}

// TestSyslogCollectorRefuses: a collector that accepts a connection and closes it, since it
// wants a client certificate or is a load balancer with nothing behind it, takes no line:
// neither the check nor a line says otherwise.
func TestSyslogCollectorRefuses(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for scheme, want := range map[string]string{"syslog+tcp": "EOF", "syslog+tls": "certificate required"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if scheme == "syslog+tls" {
					_ = tls.Server(conn, &tls.Config{Certificates: web.TLS.Certificates, ClientAuth: tls.RequireAnyClientCert}).Handshake()
				}
				conn.Close()
			}
		}()
		cfg := AuditConfig{To: scheme + "://" + l.Addr().String(), Required: true}
		if scheme == "syslog+tls" {
			cfg.TLS.CA = ca
		}
		if err := cfg.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the check says %v, want %q", scheme, err, want)
		}
		a, err := OpenAudit(cfg, nil, NewMetrics(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := a.write(&auditLine{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: a line: %v, want %q", scheme, err, want)
			}
		}
		_ = a.Close()
	}
}
