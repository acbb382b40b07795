package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"shorepass/providers"
	"shorepass/registry"
	"shorepass/session"
)

// TestFailuresAreLogged: the level tells a refusal from a failure. An unavailable
// provider is logged once by the chain and not for each request.
func TestFailuresAreLogged(t *testing.T) {
	down := &providers.Failure{Provider: "corp", Err: errors.New("connection refused")}
	for _, test := range []struct {
		name   string
		err    error
		status int
		level  slog.Level
	}{
		{"a wrong password", providers.ErrRejected, 401, slog.LevelDebug},
		{"a token that has ended", session.ErrRefused, 401, slog.LevelDebug},
		{"a provider is down", fmt.Errorf("%w: %w", providers.ErrUnavailable, down), 503, slog.LevelDebug},
		{"the store is down", fmt.Errorf("%w: %w", providers.ErrUnavailable, errors.New("disk full")), 503, slog.LevelWarn},
		{"too many concurrent logins", fmt.Errorf("%w: %w", providers.ErrUnavailable, errors.New("busy")), 503, slog.LevelWarn},
		{"no audit line", unavailable(errors.New("disk full")), 503, slog.LevelWarn},
		{"no key", registry.ErrNoValidKey, 503, slog.LevelWarn},
		{"a provider's error that the chain did not wrap", down, 500, slog.LevelError},
		{"a bug of ours", errors.New("bug"), 500, slog.LevelError},
	} {
		var log bytes.Buffer
		s := New(nil, nil, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		failure := new(Generation).wireError(test.err)
		s.logFailure(httptest.NewRequest(http.MethodGet, "/jwt/auth", nil), new(request), failure)
		if failure.status != test.status || !strings.Contains(log.String(), "level="+test.level.String()+" ") {
			t.Errorf("%s: %d and the log has %s, want %d and the level %s", test.name, failure.status, &log, test.status, test.level)
		}
	}
}

// TestDisconnectedClient: a client that hangs up is no failure of this side, and hides
// none.
func TestDisconnectedClient(t *testing.T) {
	connected := httptest.NewRequest(http.MethodGet, "/jwt/auth", nil)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	disconnected := connected.WithContext(ctx)
	for _, test := range []struct {
		name   string
		r      *http.Request
		err    error
		status int
	}{
		{"it waited for its turn", disconnected, fmt.Errorf("%w: wait: %w", providers.ErrUnavailable, ctx.Err()), statusClientClosed},
		{"it sent its request", disconnected, ctx.Err(), statusClientClosed},
		{"the provider was down", disconnected, fmt.Errorf("%w: connection refused", providers.ErrUnavailable), 503},
		{"it waits, and something else was canceled", connected, fmt.Errorf("%w: wait: %w", providers.ErrUnavailable, ctx.Err()), 503},
	} {
		if failure := new(Generation).failure(test.r, test.err); failure.status != test.status {
			t.Errorf("%s: %d, want %d", test.name, failure.status, test.status)
		}
	}
}
