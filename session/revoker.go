package session

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// RevocableStore gives out what is to be revoked at providers.
type RevocableStore interface {
	// TakeRevocable takes up to limit providers' refresh tokens out of the store
	// whose sign-ins have no live session, and no grant that can still be spent at
	// now. A sign-in that has no session at all is forgotten with it.
	TakeRevocable(ctx context.Context, now time.Time, limit int) ([]SealedToken, error)
}

const (
	// revokeTimeout is how long a provider has to revoke one.
	revokeTimeout = 5 * time.Second
)

// revoker has providers revoke their refresh tokens once no session of the sign-in
// lives.
type revoker struct {
	store      RevocableStore
	keys       *Keys
	clock      *clock
	generation *atomic.Pointer[generation]
	log        *slog.Logger
	wakes      chan struct{} // has one when there may be something to revoke
}

// run has providers revoke refresh tokens that will not be used again (RFC 7009),
// until ctx ends. Best effort: each is tried once.
func (v *revoker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.wakes:
		}
		// One at a time: what was taken out of the store is lost in a crash.
		for ctx.Err() == nil {
			taken, err := v.store.TakeRevocable(ctx, v.clock.now(), 1)
			if err != nil && ctx.Err() == nil {
				v.log.Warn("could not read which refresh tokens to revoke", "error", err)
			}
			if err != nil || len(taken) == 0 {
				break
			}
			v.revoke(ctx, taken[0])
		}
	}
}

// revoke has the provider of a sign-in that has no live session revoke its token,
// unless the provider is configured otherwise.
func (v *revoker) revoke(ctx context.Context, sealed SealedToken) {
	switch v.generation.Load().providers.RevokeWhen(sealed.Provider) {
	case providers.RevokeNever:
		return
	case providers.RevokeLast:
		if sealed.Others {
			return // the provider would revoke theirs too; with the last of them it revokes this one
		}
	}
	providerToken, err := v.keys.open(sealed.name(), sealed.Body)
	if err == nil {
		// Not cut off by Close: it is in the store no more.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
		defer cancel()
		err = catchPanic(v.log, func() error { return v.atProvider(limited, sealed.Provider, sealed.ProviderID, providerToken) })
	}
	if err != nil {
		v.log.Warn("could not revoke a refresh token", "provider", sealed.Provider, "sign_in", sealed.name(), "error", err)
	}
}

// atProvider has the provider that issued a refresh token revoke it. Another provider
// that took its name must not see it.
func (v *revoker) atProvider(ctx context.Context, provider string, id int64, providerToken secret.Text) error {
	all := v.generation.Load().providers
	if providerID(provider, all.Fingerprint(provider)) != id {
		return errors.New("the provider is another by now, or gone")
	}
	return all.RevokeRefreshToken(ctx, provider, providerToken)
}
