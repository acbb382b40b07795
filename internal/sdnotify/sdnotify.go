// Package sdnotify is the client of the sd_notify protocol: a service tells systemd its
// state in datagrams of KEY=VALUE lines, sent to the socket that $NOTIFY_SOCKET names,
// and resets systemd's watchdog. Where nothing set that variable everything is a no-op.
package sdnotify

import (
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The states of a service. See sd_notify(3).
const (
	Ready    = "READY=1"    // the start, or the reload, is over
	Stopping = "STOPPING=1" // the shutdown has begun
	Watchdog = "WATCHDOG=1" // resets the watchdog
)

const (
	// maxStatus bounds the text of Status in bytes. systemd ignores a message beyond
	// 4 KiB.
	maxStatus = 1 << 10

	// sendTimeout is the timeout of one message. A receiver whose queue is full would
	// block the sender.
	sendTimeout = time.Second
)

// Notifier sends messages to systemd. The zero value sends none. It is safe for
// concurrent use.
type Notifier struct {
	socket   string // a path, or "@" and the name of an abstract socket
	watchdog time.Duration
}

// FromEnvironment returns the notifier that systemd configured for this process. It
// unsets the variables, so that no process that this one starts speaks for it.
func FromEnvironment() *Notifier {
	n := &Notifier{socket: take("NOTIFY_SOCKET")}
	timeout, err := strconv.ParseInt(take("WATCHDOG_USEC"), 10, 64)
	pid := take("WATCHDOG_PID")
	if err == nil && timeout > 0 && timeout <= math.MaxInt64/int64(time.Microsecond) && n.socket != "" && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.watchdog = time.Duration(timeout) * time.Microsecond
	}
	return n
}

func take(name string) string {
	value := os.Getenv(name)
	os.Unsetenv(name)
	return value
}

// WatchdogTimeout returns the time after which systemd kills the process unless it
// receives [Watchdog], 0 for none.
func (n *Notifier) WatchdogTimeout() time.Duration { return n.watchdog }

// Notify sends the states as one message.
func (n *Notifier) Notify(states ...string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// Status returns the state with a text for people, which "systemctl status" prints to
// every user of the machine. It becomes one line, without control characters.
func Status(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, text)
	if len(text) > maxStatus {
		const cut = "…"
		end := maxStatus - len(cut)
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + cut
	}
	return "STATUS=" + text
}

// ExtendTimeout returns the state that has systemd wait for a start, a reload or a stop
// for d from now.
func ExtendTimeout(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds())
}

// Reloading returns the state that a reload has begun, which [Ready] ends. Units of type
// notify-reload need its time.
func Reloading() string {
	const reloading = "RELOADING=1"
	now, err := monotonic()
	if err != nil {
		return reloading
	}
	return fmt.Sprintf("%s\nMONOTONIC_USEC=%d", reloading, now.Microseconds())
}
