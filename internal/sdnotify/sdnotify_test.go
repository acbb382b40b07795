package sdnotify_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"shorepass/internal/sdnotify"
)

// listen makes a socket of systemd's kind.
func listen(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// receive returns the next message.
func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 8<<10)
	n, err := conn.Read(message)
	if err != nil {
		t.Fatal(err)
	}
	return string(message[:n])
}

func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@shorepass-sdnotify-" + strconv.Itoa(os.Getpid())} {
		conn := listen(t, name)
		t.Setenv("NOTIFY_SOCKET", name)
		n := sdnotify.FromEnvironment()
		if _, set := os.LookupEnv("NOTIFY_SOCKET"); set {
			t.Error("NOTIFY_SOCKET is still set: a process that this one starts could speak for it")
		}
		if err := n.Notify(sdnotify.Ready, sdnotify.Status("serving")); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, conn); got != "READY=1\nSTATUS=serving" {
			t.Errorf("%s received %q", name, got)
		}
		if err := n.Notify(sdnotify.ExtendTimeout(90 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, conn); got != "EXTEND_TIMEOUT_USEC=90000000" {
			t.Errorf("%s received %q", name, got)
		}
	}
}

func TestNotifyWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "1000000")
	n := sdnotify.FromEnvironment()
	if err := n.Notify(sdnotify.Ready); err != nil || n.WatchdogTimeout() != 0 {
		t.Errorf("without a socket: %v, watchdog %v; want neither", err, n.WatchdogTimeout())
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if err := sdnotify.FromEnvironment().Notify(sdnotify.Ready); err == nil {
		t.Error("no error although nothing listens")
	}
}

// TestNotifyFullQueue: a systemd that receives nothing stops no process.
func TestNotifyFullQueue(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	listen(t, name)
	t.Setenv("NOTIFY_SOCKET", name)
	n := sdnotify.FromEnvironment()
	for range 10_000 {
		if err := n.Notify(sdnotify.Watchdog); err != nil {
			return
		}
	}
	t.Error("10,000 messages that nothing received were sent")
}

func TestWatchdogTimeout(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		timeout, pid string
		want         time.Duration
	}{
		{"30000000", own, 30 * time.Second},
		{"30000000", "", 30 * time.Second},
		{"30000000", "1", 0}, // of another process
		{"", "", 0},
		{"0", own, 0},
		{"-1", own, 0},
		{"9223372036854775807", own, 0}, // longer than a time.Duration
		{"soon", own, 0},
	} {
		t.Setenv("NOTIFY_SOCKET", "@x")
		t.Setenv("WATCHDOG_USEC", test.timeout)
		t.Setenv("WATCHDOG_PID", test.pid)
		if got := sdnotify.FromEnvironment().WatchdogTimeout(); got != test.want {
			t.Errorf("WATCHDOG_USEC=%q WATCHDOG_PID=%q: %v, want %v", test.timeout, test.pid, got, test.want)
		}
		if os.Getenv("WATCHDOG_USEC")+os.Getenv("WATCHDOG_PID") != "" {
			t.Error("the variables are still set")
		}
	}
}

func TestStatus(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"serving", "STATUS=serving"},
		{"a\nREADY=1\x1b[31m\u202e\xff", "STATUS=a READY=1 [31m  "}, // one line, nothing that a terminal interprets
	} {
		if got := sdnotify.Status(test.text); got != test.want {
			t.Errorf("Status(%q) = %q, want %q", test.text, got, test.want)
		}
	}
	long := sdnotify.Status("a" + strings.Repeat("é", 3000))
	if len(long) > 1100 || !utf8.ValidString(long) || !strings.HasSuffix(long, "…") {
		t.Errorf("a long text has %d bytes and ends with %q", len(long), long[len(long)-4:])
	}
}

func TestReloading(t *testing.T) {
	if got := sdnotify.Reloading(); !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=\d+$`).MatchString(got) {
		t.Errorf("Reloading() = %q", got)
	}
}
