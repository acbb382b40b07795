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

	// proofRewrite is how often one is written anew at most.
	proofRewrite = time.Hour

	maxCachedProofs = 10_000
)

// proofKey is the key of the row that is a proof of a login name at an address.
func (t *Throttle) proofKey(name MAC, address string) MAC {
	return t.hasher.MAC("proof", string(name[:]), address)
}

// proofAccount reads which account a proof is of. Known is false where the proof
// does not say, and then it is good for any that has the name.
func proofAccount(body []byte) (account MAC, known bool) {
	if len(body) != 1+len(account) || body[0] != proofBody {
		return account, false
	}
	return MAC(body[1:]), true
}

// proofIsDue reports whether the proof of an attempt has to be written.
func (r *rows) proofIsDue(now time.Time) bool {
	proof, account := r.current[proofRow], r.keys[accountRow]
	of, known := proofAccount(proof.Body)
	return proof.Expires.Sub(now) < proofTTL-proofRewrite || known && account != (MAC{}) && of != account
}

// prove is the change that writes a proof: of the attempt's account, else of the
// account that it was of.
func (r *rows) proofChange(now time.Time) Change {
	body := r.current[proofRow].Body
	if account := r.keys[accountRow]; account != (MAC{}) {
		body = append([]byte{proofBody}, account[:]...)
	}
	return r.change(proofRow, body, now.Add(proofTTL))
}

// NoteProof writes, after it has returned and at most once an hour, that a
// session made under a login name ([Guess.Name]) was redeemed at an address.
// It does not say whose, since a provider may tell the subject of a session and
// not that of a login.
func (t *Throttle) NoteProof(name string, address netip.Addr) {
	from := t.cfg.Load().addressKey(address)
	if from == "" || name == "" {
		return
	}
	key := t.proofKey(t.hasher.MAC("name", name), from)
	if !t.proofs.isDue(key) {
		return
	}
	t.writes.try([]MAC{key}, func(ctx context.Context) {
		r := rows{t: t}
		r.keys[proofRow] = key
		if r.read(ctx) != nil {
			return
		}
		_ = r.update(ctx, func(now time.Time) ([]Change, error) { // the next redemption is as good
			if !r.proofIsDue(now) {
				return nil, nil
			}
			return []Change{r.proofChange(now)}, nil
		})
	})
}

// proofCache are a cache of the proofs that NoteProof wrote, with a TTL of an
// hour and a bound of 10,000.
type proofCache struct {
	mu    sync.Mutex
	cache *lru.Cache[MAC, time.Time] // when it was written
}

// isDue reports whether a proof was not written within the hour, and notes that
// it is.
func (n *proofCache) isDue(key MAC) bool {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if written, ok := n.cache.Get(key); ok && now.Sub(written) < proofRewrite {
		return false
	}
	n.cache.Put(key, now)
	return true
}
