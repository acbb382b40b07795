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

// ExportIssue creates a session of any kind.
func ExportIssue(ctx context.Context, s *Sessions, kind Kind, id *providers.Identity, service string) (*Session, error) {
	return s.logIn(ctx, id, draftOptions{kind: kind, service: service})
}

// ExportFlush writes the buffered last uses.
func ExportFlush(ctx context.Context, s *Sessions) error { return s.maintenance.flush(ctx) }

// ExportSweep runs one sweep.
func ExportSweep(ctx context.Context, s *Sessions) error { return s.maintenance.sweeper.sweep(ctx) }

// ExportSweepTimes returns the times of a sweep.
func ExportSweepTimes(cfg Config, now time.Time) SweepTimes { return cfg.sweepTimes(now) }

// ExportEvict returns the eviction for another refresh token.
func ExportEvict(cfg Config, live []LiveSession, now time.Time) Eviction {
	_, admit := cfg.bound(KindRefresh, now)
	e, err := admit(live)
	if err != nil {
		panic(err)
	}
	return e
}

// ExportHash returns the hash of a token, and the ID of its session.
func ExportHash(token secret.Text) (Hash, string) {
	_, hash, _ := parseToken(token)
	return hash, hash.ID()
}

// ExportProviderTokenHash returns the hash of a provider's refresh token.
func ExportProviderTokenHash(providerToken secret.Text) Hash { return providerTokenHash(providerToken) }

// ExportNewToken generates a refresh token.
func ExportNewToken() secret.Text {
	token, _ := newToken(KindRefresh)
	return token
}

// ExportSeal seals a provider's refresh token under a name.
func ExportSeal(keys *Keys, name string, providerToken secret.Text) ([]byte, error) {
	return keys.seal(name, providerToken)
}

// ExportIdentity encodes an identity, and returns the id of its provider.
func ExportIdentity(id *providers.Identity) (StoredIdentity, int64, error) {
	identity, err := encodeIdentity(id)
	return identity, providerID(id.Provider, id.Fingerprint), err
}
