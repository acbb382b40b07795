package session

import (
	"context"
	"errors"
	"fmt"
)

// Resealer re-encrypts stored tokens under a new key.
type Resealer interface {
	// ListSealed returns up to limit sealed tokens in the order of their
	// sign-ins, with ids greater than after; Others is not set. Reseal replaces
	// a token unless it has changed since.
	ListSealed(ctx context.Context, after int64, limit int) ([]SealedToken, error)
	Reseal(ctx context.Context, old SealedToken, new []byte) error

	// SetSetting stores a value under a name, and replaces the one before.
	SetSetting(ctx context.Context, name string, value []byte) error
}

// Rekey re-encrypts every provider's refresh token in a store under the first
// key, in batches, and returns how many were under another one. After that the
// other keys can be removed, once all replicas have the first. A token that no
// key opens is left as it is and counted in the error; the others are
// re-encrypted.
func Rekey(ctx context.Context, store Resealer, keys *Keys) (int, error) {
	var resealed, foreign int
	var after int64
	for {
		page, err := store.ListSealed(ctx, after, batchSize)
		if err != nil {
			return resealed, unavailable(fmt.Errorf("read sealed tokens: %w", err))
		}
		for _, old := range page {
			after = old.SignIn
			if keys.sealedByFirst(old.Body) {
				continue
			}
			switch err := reseal(ctx, store, keys, old); {
			case errors.Is(err, ErrSealed):
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
		return resealed, fmt.Errorf("%d refresh tokens are %w; give the key that is missing to session.seal_key, or end their sessions", foreign, ErrSealed)
	}
	if err := store.SetSetting(ctx, checkValueSetting, keys.checkValue()); err != nil {
		return resealed, unavailable(fmt.Errorf("store the check value of the sealing key: %w", err))
	}
	return resealed, nil
}

// name returns the id that the token is sealed under.
func (s *SealedToken) name() string { return sealName(s.LoginID, s.Provider, s.ProviderID, s.Subject) }

// reseal re-encrypts one token under the first key.
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
		return unavailable(fmt.Errorf("store a resealed token: %w", err))
	}
	return nil
}
