package session

import (
	"context"
	"fmt"
	"log/slog"

	"shorepass/providers"
)

// Sessions issues, redeems, revalidates and ends sessions. It is safe for
// concurrent use.
type Sessions struct {
	store Store
	log   *slog.Logger
}

// New begins to work on the sessions in store with cfg, whose defaults must be
// applied. It owns store from then on. Close ends what it began.
func New(ctx context.Context, cfg Config, store Store, p Providers, log *slog.Logger) (*Sessions, error) {
	return &Sessions{store: store, log: log}, nil
}

// Use puts another configuration and other providers in force, both at once.
// Requests under way keep what they began with. Store and SealKey stay.
func (s *Sessions) Use(cfg Config, p Providers) {}

// Issue makes a session for id on service. The first result is its token, a
// new refresh token of ours, which nobody will ever be able to read again.
// When Issue returns, the session survives a crash.
func (s *Sessions) Issue(ctx context.Context, id *providers.Identity, service string, client Client) (providers.Secret, *Session, error) {
	return providers.Secret{}, nil, ErrUnavailable
}

// Redeem returns the session behind token, if token is of one of the kinds and
// good for service, and asks the provider again where that is due. The error
// wraps ErrRefused, ErrUnavailable or an error of ctx.
func (s *Sessions) Redeem(ctx context.Context, token providers.Secret, service string, client Client, kinds ...Kind) (*Session, error) {
	return nil, ErrUnavailable
}

// RedeemUpstream returns the session that answers to a provider's own refresh
// token, whatever the service. If there is none yet, first asks the provider,
// once however many come at once on however many replicas, a session is made
// of its answer for service, the session's Token is set, and made is true; an
// error of first is returned as it is. The context of first does not end with
// the request, since a rotated token would be lost.
func (s *Sessions) RedeemUpstream(ctx context.Context, upstream providers.Secret, service string, client Client,
	first func(context.Context) (*providers.Identity, error)) (found *Session, made bool, err error) {
	return nil, false, ErrUnavailable
}

// List returns the sessions that sel selects, the newest first.
func (s *Sessions) List(ctx context.Context, sel Selector) ([]Session, error) {
	return nil, ErrUnavailable
}

// Revoke ends the live sessions that sel selects and returns how many they
// were. When it returns, every replica refuses them, a crash notwithstanding.
// by is who asked for it, for the list.
func (s *Sessions) Revoke(ctx context.Context, sel Selector, by string) (int, error) {
	return 0, ErrUnavailable
}

// Ping reports whether the store answers.
func (s *Sessions) Ping(ctx context.Context) error { return s.store.Ping(ctx) }

// Close writes what waits to be written, waits for everything that Sessions
// began, and closes the store.
func (s *Sessions) Close() error {
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}
