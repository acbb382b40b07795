package server

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// syslogPriority is the PRI of each message (RFC 5424, section 6.2.1): facility authpriv
// (10), severity informational (6).
const syslogPriority = 10*8 + 6

// syslogFrames writes each line as a syslog message to a Sink in front of a collector. It
// is safe for concurrent use.
type syslogFrames struct {
	sink ownSink
	head string // of each message, after the time
}

func openCollector(cfg AuditConfig) (io.WriteCloser, error) {
	c, err := newCollector(cfg)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // the header has "-"
	}
	return &syslogFrames{sink: ownSink{newSink(c, limitFile), c}, head: syslogHead(host, os.Getpid())}, nil
}

// syslogHead returns the header of a message after its time: HOSTNAME, APP-NAME, PROCID,
// MSGID and no structured data (RFC 5424, section 6).
func syslogHead(host string, pid int) string {
	host = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, host)
	if host == "" {
		host = "-"
	}
	return fmt.Sprintf(" %s shorepass %d audit - ", host[:min(len(host), 255)], pid)
}

var frameBuffers = sync.Pool{New: func() any { return new([2][]byte) }}

// Write sends one line, without the line break at its end.
func (f *syslogFrames) Write(line []byte) (int, error) {
	buffers := frameBuffers.Get().(*[2][]byte)
	defer frameBuffers.Put(buffers)
	message := appendMessage(buffers[0][:0], time.Now(), f.head, line)
	frame := strconv.AppendInt(buffers[1][:0], int64(len(message)), 10)
	frame = append(append(frame, ' '), message...) // octet counting: RFC 6587, section 3.4.1, and RFC 5425, section 4.3
	buffers[0], buffers[1] = message, frame
	if _, err := f.sink.Write(frame); err != nil {
		return 0, err
	}
	return len(line), nil
}

func (f *syslogFrames) waiting() int { return f.sink.waiting() }

// Close closes the connection after the lines that wait.
func (f *syslogFrames) Close() error { return f.sink.Close() }

// appendMessage appends a message of RFC 5424. Its text is ASCII, in which JSON escapes
// every other character. So it needs no byte order mark, which RFC 5424 wants before UTF-8
// and JSON forbids (RFC 8259, section 8.1).
func appendMessage(to []byte, now time.Time, head string, line []byte) []byte {
	to = append(to, '<')
	to = strconv.AppendInt(to, syslogPriority, 10)
	to = append(to, ">1 "...)
	to = now.UTC().AppendFormat(to, "2006-01-02T15:04:05.000000Z")
	to = append(to, head...)
	for text := line[:len(line)-1]; len(text) > 0; {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < utf8.RuneSelf:
			to = append(to, byte(r))
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			to = fmt.Appendf(to, `\u%04x\u%04x`, high, low)
		default:
			to = fmt.Appendf(to, `\u%04x`, r)
		}
		text = text[size:]
	}
	return to
}
