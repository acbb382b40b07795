package providers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/throttle"
)

// locking is a directory that locks an account at a threshold of wrong passwords. It counts as
// Active Directory does (all expire together after a quiet period) or as OpenLDAP does
// (each expires by itself).
type locking struct {
	directory
	threshold int
	forgets   time.Duration
	each      bool

	count  sync.Mutex
	wrong  []time.Time // since the last right password
	locked time.Time
}

func (l *locking) Lookup(ctx context.Context, login Login) (*Account, error) {
	account, err := l.directory.Lookup(ctx, login)
	if err != nil {
		return nil, err
	}
	prove := account.Prove
	account.Prove = func(ctx context.Context, p LoginPassword) (*Identity, error) {
		id, err := prove(ctx, p)
		l.record(err == nil)
		return id, err
	}
	return account, nil
}

func (l *locking) record(right bool) {
	l.count.Lock()
	defer l.count.Unlock()
	now := time.Now()
	quiet := len(l.wrong) > 0 && now.Sub(l.wrong[len(l.wrong)-1]) > l.forgets
	if right || !l.each && quiet {
		l.wrong = nil
	}
	for l.each && len(l.wrong) > 0 && now.Sub(l.wrong[0]) > l.forgets {
		l.wrong = l.wrong[1:]
	}
	if right {
		return
	}
	if l.wrong = append(l.wrong, now); len(l.wrong) >= l.threshold && l.locked.IsZero() {
		l.locked = now
	}
}

// TestLocksNoAccount: a directory with the threshold T locks no account in two days, where
// the limit is T-1 and the window is the directory's. Two replicas have logins of machines
// with stale passwords, of a stranger who guesses from many addresses, and of the person,
// who mistypes at a known address.
func TestLocksNoAccount(t *testing.T) {
	const threshold = 5
	for _, test := range []struct {
		name    string
		each    bool
		forgets time.Duration
	}{
		{"as Active Directory counts, for half an hour", false, 30 * time.Minute},
		{"as Active Directory counts, for two hours", false, 2 * time.Hour},
		{"as OpenLDAP counts, for half an hour", true, 30 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &locking{directory: directory{accounts: bob(), slow: 20 * time.Millisecond}, threshold: threshold, forgets: test.forgets, each: test.each}
				store := throttle.NewMemoryStore()
				var replicas []*Chain
				for range 2 {
					replicas = append(replicas, chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap", WrongPasswords: threshold - 1, WrongPasswordWindow: test.forgets}}))
				}
				random := rand.New(rand.NewPCG(1, 2))
				names := []Login{"bob", `corp\bob`, "bob@corp.example"}
				guess := func() Credential {
					name := names[random.IntN(len(names))]
					switch n := random.IntN(10); {
					case n < 4: // a machine
						return typed(name, fmt.Sprint("stale", n%2), home)
					case n < 8: // a stranger
						return typed(name, fmt.Sprint("guess", random.IntN(1e6)), netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(256)), 1}))
					case n < 9: // the person, mistyping
						return typed("bob", fmt.Sprint("slip", random.IntN(1e6)), home)
					}
					return typed("bob", "right", home)
				}
				accepted := 0
				for ends := time.Now().Add(48 * time.Hour); time.Now().Before(ends); {
					var burst sync.WaitGroup
					var mu sync.Mutex
					for range 1 + random.IntN(6) {
						c, cred := replicas[random.IntN(2)], guess()
						burst.Go(func() {
							if c.try(t, cred) == nil {
								mu.Lock()
								accepted++
								mu.Unlock()
							}
						})
					}
					burst.Wait()
					time.Sleep(time.Duration(random.Int64N(int64(test.forgets / 3))))
				}
				if !d.locked.IsZero() {
					t.Errorf("the account is locked after %d wrong passwords", threshold)
				}
				if d.reached() < 50 || accepted == 0 {
					t.Errorf("only %d passwords reached the directory, and %d logins were accepted", d.reached(), accepted)
				}
			})
		})
	}
}
