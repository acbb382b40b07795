package main

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestUnsolicitedAnswerIsNotQuoted: net/http logs data that a peer sends after a complete
// answer, but the log does not quote that data.
func TestUnsolicitedAnswerIsNotQuoted(t *testing.T) {
	lines, out := io.Pipe()
	defer log.SetOutput(log.Writer())
	log.SetOutput(libraryLog{out})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	answered := make(chan struct{})
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		_, _ = http.ReadRequest(bufio.NewReader(connection))
		_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		<-answered
		_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nX-Password: canary-7f3a\r\n\r\n")
	}()
	resp, err := new(http.Transport).RoundTrip(must(http.NewRequest(http.MethodGet, "http://"+listener.Addr().String(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	close(answered)
	line, err := bufio.NewReader(lines).ReadString('\n')
	if err != nil || !strings.Contains(line, "Unsolicited response") || strings.Contains(line, "canary") {
		t.Errorf("the standard logger wrote %q, %v, want net/http's message without the peer's data", line, err)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
