package session

import (
	"context"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// ExportID returns the ID of a token's session.
func ExportID(token secret.Text) string {
	_, hash, ok := parseToken(token)
	if !ok {
		return ""
	}
	return hash.ID()
}

// ExportIssue makes a session of any kind.
func ExportIssue(ctx context.Context, s *Sessions, kind Kind, id *providers.Identity, service string) (*Session, error) {
	return s.make(ctx, s.rules.Load(), kind, id, service, Client{}, nil)
}

// ExportFlush keeps what waits to be kept.
func ExportFlush(ctx context.Context, s *Sessions) error { return s.chores.flush(ctx) }

// ExportSweepTimes returns what a sweep goes by.
func ExportSweepTimes(cfg Config, now time.Time) SweepTimes { return cfg.sweepTimes(now) }
