package session

import "context"

// Store keeps sessions.
type Store interface {
	// Ping reports whether the store answers.
	Ping(ctx context.Context) error

	// Close ends the work on the store.
	Close() error
}
