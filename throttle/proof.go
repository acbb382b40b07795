package throttle

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"shorepass/internal/lru"
)

const (
	// proofTTL is how long a proof lasts.
	proofTTL = 24 * time.Hour

	// proofRewrite is the shortest interval at which a proof is written again.
	proofRewrite = time.Hour

	maxCachedProofs = 10_000
)

// proofKey returns the key of the row that is the proof of a login name at an
// address.
func (t *Throttle) proofKey(name MAC, address string) MAC {
	return t.hasher.MAC("proof", string(name[:]), address)
}

// proofAccount returns the account that a proof belongs to. Where known is false the
// proof names none, and holds for any account of the login name.
func proofAccount(body []byte) (account MAC, known bool) {
	if len(body) != 1+len(account) || body[0] != proofBody {
		return account, false
	}
	return MAC(body[1:]), true
}

// proofIsDue reports whether the proof of an attempt has to be written: proofRewrite
// has passed, or the proof is another account's.
func (r *rows) proofIsDue(now time.Time) bool {
	proof, account := r.current[proofRow], r.keys[accountRow]
	of, known := proofAccount(proof.Body)
	return proof.Expires.Sub(now) < proofTTL-proofRewrite || known && account != (MAC{}) && of != account
}

// proofChange returns the change that writes the proof: for the attempt's account or,
// where this is not known, for the account that the proof names already.
func (r *rows) proofChange(now time.Time) Change {
	body := r.current[proofRow].Body
	if account := r.keys[accountRow]; account != (MAC{}) {
		body = append([]byte{proofBody}, account[:]...)
	}
	return r.change(proofRow, body, now.Add(proofTTL))
}

// NoteProof writes a proof for a session that was made under a login name
// ([Guess.Name]) and redeemed at an address. It writes after it has returned
// (write-behind), at most once an hour. It sets no account in the proof, since a provider
// may tell the subject of a session and not that of a login.
func (t *Throttle) NoteProof(name string, address netip.Addr) {
	from := t.cfg.Load().addressKey(address)
	if from == "" || name == "" {
		return
	}
	if !t.proofs.isDue(cachedProof{name, from}) {
		return
	}
	key := t.proofKey(t.hasher.MAC("name", name), from)
	t.writes.try([]MAC{key}, func(ctx context.Context) {
		r := rows{t: t}
		r.keys[proofRow] = key
		if r.read(ctx) != nil {
			return
		}
		_ = r.update(ctx, func(now time.Time) ([]Change, error) { // the next redemption writes it
			if !r.proofIsDue(now) {
				return nil, nil
			}
			return []Change{r.proofChange(now)}, nil
		})
	})
}

// proofCache is a cache of the proofs that NoteProof wrote, with a TTL of an hour
// and a bound of 10,000.
type proofCache struct {
	mu    sync.Mutex
	cache *lru.Cache[cachedProof, time.Time] // when the proof was written
}

// cachedProof is the key of the cache. It is not the MAC that is the row's key: two
// MACs cost more than all else that a redemption does here.
type cachedProof struct{ name, address string }

// isDue reports whether a proof was not written within the hour, and caches that it
// is being written.
func (n *proofCache) isDue(key cachedProof) bool {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.cache.GetIf(key, func(written time.Time) bool { return now.Sub(written) < proofRewrite }); ok {
		return false
	}
	n.cache.Put(key, now)
	return true
}

func (n *proofCache) stats() lru.Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cache.Stats()
}
