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

// RevocableStore is the part of a store that the revoker needs.
type RevocableStore interface {
	// TakeRevocable removes and returns up to limit providers' refresh tokens
	// whose sign-ins have no live session and, at now, no grant that can be
	// spent. A sign-in without any session is deleted with its token.
	TakeRevocable(ctx context.Context, now time.Time, limit int) ([]SealedToken, error)
}

// revokeTimeout is how long a provider has to revoke a refresh token.
const revokeTimeout = 5 * time.Second

// revoker is the background loop that has providers revoke refresh tokens whose
// sign-ins have no live session (RFC 7009).
type revoker struct {
	store      RevocableStore
	keys       *Keys
	clock      *clock
	generation *atomic.Pointer[generation]
	log        *slog.Logger
	wakes      chan struct{} // signals that there may be a token to revoke
}

// run revokes tokens whenever it is woken, until ctx ends. Best effort: each
// token is tried once.
func (v *revoker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.wakes:
		}
		// One at a time, since a token removed from the store is lost in a
		// crash.
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

// revoke has the provider revoke the token of a sign-in, unless it is
// configured otherwise.
func (v *revoker) revoke(ctx context.Context, sealed SealedToken) {
	switch v.generation.Load().providers.RevokeWhen(sealed.Provider) {
	case providers.RevokeNever:
		return
	case providers.RevokeLast:
		if sealed.Others {
			return // it would revoke the tokens of the other sign-ins too; revoking the last one revokes this one
		}
	}
	log := v.log.With("provider", sealed.Provider, "sign_in", sealed.SignIn)
	providerToken, err := v.keys.open(sealed.name(), sealed.Body)
	if err == nil {
		// Close does not cancel it: the token is no longer in the store.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
		defer cancel()
		err = catchPanic(log, func() error { return v.atProvider(limited, sealed.Provider, sealed.ProviderID, providerToken) })
	}
	if err != nil {
		log.Warn("could not revoke a refresh token", "error", err)
	}
}

// atProvider has the provider that issued a refresh token revoke it. The token
// is not sent to another provider that now has the name.
func (v *revoker) atProvider(ctx context.Context, provider string, id int64, providerToken secret.Text) error {
	all := v.generation.Load().providers
	if providerID(provider, all.Fingerprint(provider)) != id {
		return errors.New("the provider was removed, or is another now")
	}
	return all.RevokeRefreshToken(ctx, provider, providerToken)
}
