package server

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// The values of the label reason of failed TLS handshakes.
const (
	handshakeUntrusted = "untrusted" // the client refuses the certificate
	handshakePlainHTTP = "plain_http"
	handshakeClosed    = "closed" // mostly a health check or a scanner
	handshakeTimeout   = "timeout"
	handshakeOther     = "other"
)

var handshakeReasons = []string{handshakeUntrusted, handshakePlainHTTP, handshakeClosed, handshakeTimeout, handshakeOther}

// httpErrors is the ErrorLog of the http.Server. A failed TLS handshake leaves no other
// trace: the client never gets to send a request. It is counted and logged, once a
// minute for each address and reason, so that a scanner does not flood the log. Other
// messages of net/http are logged at debug: they are about clients that break off.
type httpErrors struct {
	log     *slog.Logger
	metrics *Metrics
	limit   logLimit
}

// Write takes one message of net/http.
func (h *httpErrors) Write(message []byte) (int, error) {
	text := strings.TrimSpace(string(message))
	rest, ok := strings.CutPrefix(text, "http: TLS handshake error from ")
	if !ok {
		h.log.Debug("net/http reports", "message", text)
		return len(message), nil
	}
	peer, problem, _ := strings.Cut(rest, ": ")
	if from, err := netip.ParseAddrPort(peer); err == nil {
		peer = from.Addr().Unmap().String()
	}
	reason := handshakeReason(problem)
	h.metrics.handshakes.WithLabelValues(reason).Inc()
	if reason == handshakeClosed {
		h.log.Debug("a TLS handshake failed", "address", peer, "reason", reason, "error", problem)
	} else if dropped, ok := h.limit.admit(peer+" "+reason, time.Now()); ok {
		h.log.Warn("a TLS handshake failed", "address", peer, "reason", reason, "error", problem, "not_logged", dropped)
	}
	return len(message), nil
}

// handshakeReason returns the label of a handshake's error, which crypto/tls and net do
// not tell apart by value in a message.
func handshakeReason(problem string) string {
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(problem, part) {
				return true
			}
		}
		return false
	}
	switch {
	case has("bad certificate", "unknown certificate", "certificate unknown", "expired certificate", "revoked certificate", "bad record MAC"):
		return handshakeUntrusted
	case has("HTTP request to an HTTPS server"):
		return handshakePlainHTTP
	case has("EOF", "connection reset", "broken pipe"):
		return handshakeClosed
	case has("timeout"):
		return handshakeTimeout
	}
	return handshakeOther
}
