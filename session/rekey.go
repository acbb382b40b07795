package session

import (
	"context"
	"errors"
	"fmt"
)

// Resealer re-encrypts stored tokens under a new key.
type Resealer interface {
	// ListSealed returns up to limit sealed tokens in the order of their sign-ins, each
	// after the given one; Others is left out. Reseal replaces one unless it has
	// changed since.
	ListSealed(ctx context.Context, after int64, limit int) ([]SealedToken, error)
	Reseal(ctx context.Context, old SealedToken, new []byte) error

	// SetSetting keeps a value under a name, in the place of another.
	SetSetting(ctx context.Context, name string, value []byte) error
}

// Rekey seals every provider's refresh token in a store with the first key, a bounded number at a
// time, and returns how many were sealed with another. The other keys can go
// after that, once all replicas have the first. A token that no key opens is
// left as it is and counted in the error; the rest is sealed all the same.
func Rekey(ctx context.Context, store Resealer, keys *Keys) (int, error) {
	var resealed, foreign int
	var after int64
	for {
		page, err := store.ListSealed(ctx, after, batchSize)
		if err != nil {
			return resealed, unavailable(fmt.Errorf("read what is sealed: %w", err))
		}
		for _, old := range page {
			after = old.SignIn
			if keys.sealedByFirst(old.Body) {
				continue
			}
			switch err := reseal(ctx, store, keys, old); {
			case errors.Is(err, errSealed):
				foreign++
			case err != nil:
				return resealed, err
			default:
				resealed++
			}
		}
		if len(page) < batchSize {
			break
		}
	}
	if foreign > 0 {
		return resealed, fmt.Errorf("%d refresh tokens are %w; give the key that is missing to session.seal_key, or end their sessions", foreign, errSealed)
	}
	if err := store.SetSetting(ctx, proofSetting, keys.proof()); err != nil {
		return resealed, unavailable(fmt.Errorf("keep in the store which sealing key it needs: %w", err))
	}
	return resealed, nil
}

// name is what the token is sealed under.
func (s *SealedToken) name() string { return sealName(s.LoginID, s.Provider, s.ProviderID, s.Subject) }

func reseal(ctx context.Context, store Resealer, keys *Keys, old SealedToken) error {
	under := old.name()
	providerToken, err := keys.open(under, old.Body)
	if err != nil {
		return fmt.Errorf("sign-in %s: %w", under, err)
	}
	body, err := keys.seal(under, providerToken)
	if err != nil {
		return err
	}
	if err := store.Reseal(ctx, old, body); err != nil {
		return unavailable(fmt.Errorf("keep what was sealed anew: %w", err))
	}
	return nil
}
