package providers

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPasswordCache(t *testing.T) {
	for _, test := range []struct {
		name  string
		edit  func(*Config)
		play  func(t *testing.T, c *Chain)
		sends int
	}{
		{"within a minute", nil, func(t *testing.T, c *Chain) {
			for range 59 {
				time.Sleep(time.Second)
				c.try(t, typed("bob", "right", home))
			}
		}, 1},
		{"after a minute, however often it was used", nil, func(t *testing.T, c *Chain) {
			time.Sleep(59 * time.Second)
			c.try(t, typed("bob", "right", home))
			time.Sleep(time.Second)
			c.try(t, typed("bob", "right", home))
		}, 2},
		{"from another address and for another service", nil, func(t *testing.T, c *Chain) {
			cred := typed("bob", "right", stranger)
			cred.Service = "other"
			c.try(t, cred)
		}, 1},
		{"another spelling", nil, func(t *testing.T, c *Chain) { c.try(t, typed(`corp\bob`, "right", home)) }, 2},
		{"remember nothing", func(c *Config) { c.Remember = pointer(time.Duration(0)) }, func(t *testing.T, c *Chain) {
			c.try(t, typed("bob", "right", home))
		}, 2},
		{"remember less", func(c *Config) { c.Remember = pointer(10 * time.Second) }, func(t *testing.T, c *Chain) {
			time.Sleep(9 * time.Second)
			c.try(t, typed("bob", "right", home))
			time.Sleep(time.Second)
			c.try(t, typed("bob", "right", home))
		}, 2},
		{"for an offline token", nil, func(t *testing.T, c *Chain) {
			cred := typed("bob", "right", home)
			cred.Offline = true
			id, err := c.Authenticate(t.Context(), cred)
			if err != nil || id.RefreshToken.IsZero() {
				t.Errorf("Authenticate = %v, %v, want an identity with a refresh token of its own", id, err)
			}
		}, 2},
		{"forgotten", nil, func(t *testing.T, c *Chain) {
			c.Forget(subject("uuid-2"))
			c.try(t, typed("bob", "right", home))
			c.Forget(subject("uuid-1"))
			c.try(t, typed("bob", "right", home))
		}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &directory{accounts: bob()}
				c := one(t, d, test.edit)
				if err := c.try(t, typed("bob", "right", home)); err != nil {
					t.Fatal(err)
				}
				test.play(t, c)
				if d.reached() != test.sends {
					t.Errorf("%d passwords reached the directory, want %d", d.reached(), test.sends)
				}
			})
		})
	}
}

// subject matches the identity with a Subject.
func subject(of string) func(*Identity) bool {
	return func(id *Identity) bool { return id.Subject == of }
}

// TestForgetDuringLogin: a login that is in progress during Forget is not cached.
func TestForgetDuringLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		c := one(t, d, nil)
		var login sync.WaitGroup
		login.Go(func() { c.try(t, typed("bob", "right", home)) })
		synctest.Wait()
		c.Forget(subject("uuid-1"))
		login.Wait()
		c.try(t, typed("bob", "right", home))
		if d.reached() != 2 {
			t.Errorf("%d passwords reached the directory, want 2", d.reached())
		}
	})
}

func TestConcurrentEqualLoginsAreSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		c := one(t, d, nil)
		began := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := c.try(t, typed("bob", "right", home)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if d.reached() != 1 || time.Since(began) != time.Second {
			t.Errorf("%d passwords reached the directory in %v, want 1 in a second", d.reached(), time.Since(began))
		}
	})
}

// TestConcurrentOfflineLogins: equal ones share one verification where the provider issues no
// refresh token. Where it does, each has its own, and waits for the first alone.
func TestConcurrentOfflineLogins(t *testing.T) {
	for _, test := range []struct {
		name   string
		plain  bool // the provider issues no refresh token
		logins []Login
		sends  int
	}{
		{"a directory", true, []Login{"bob"}, 1},
		{"a provider with tokens", false, []Login{"bob"}, 50},
		{"a provider with tokens, under two names", false, []Login{"bob", `corp\bob`}, 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &directory{accounts: bob(), slow: time.Second, plain: test.plain}
				c := one(t, d, nil)
				offline := func(i int) Credential {
					cred := typed(test.logins[i%len(test.logins)], "right", home)
					cred.Offline = true
					return cred
				}
				for i := range test.logins { // so that they have a proof here
					c.try(t, offline(i))
				}
				before, began := d.reached(), time.Now()
				var all sync.WaitGroup
				for i := range 50 {
					all.Go(func() {
						id, err := c.Authenticate(t.Context(), offline(i))
						if err != nil || id.RefreshToken.IsZero() != test.plain {
							t.Errorf("Authenticate = %v, %v, want an identity, its refresh token missing: %v", id, err, test.plain)
						}
					})
				}
				all.Wait()
				if took := time.Since(began); d.reached()-before != test.sends || took > chainLimit/2 {
					t.Errorf("%d passwords reached the directory in %v, want %d within %v", d.reached()-before, took, test.sends, chainLimit/2)
				}
			})
		})
	}
}

// TestOfflineTokenIsNotShared: concurrent logins that are equal but for the offline token do not
// share an answer.
func TestOfflineTokenIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(t, &directory{accounts: bob(), slow: time.Second}, nil)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				cred := typed("bob", "right", home)
				cred.Offline = i%2 == 0
				id, err := c.Authenticate(t.Context(), cred)
				if err != nil || id.RefreshToken.IsZero() == cred.Offline {
					t.Errorf("Authenticate for an offline token: %v = %+v, %v", cred.Offline, id, err)
				}
			})
		}
		all.Wait()
	})
}

// TestCanceledLeader: equal logins get their answer though the client of the first has gone.
func TestCanceledLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		c := one(t, d, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.Authenticate(ctx, typed("bob", "right", home)); err != nil {
				t.Errorf("the canceled login = %v, want an identity", err)
			}
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() {
				if err := c.try(t, typed("bob", "right", home)); err != nil {
					t.Errorf("an equal login = %v, want an identity", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		if d.reached() != 1 {
			t.Errorf("%d passwords reached the directory, want 1", d.reached())
		}
	})
}

// BenchmarkCachedPassword is the cost of each image layer that docker pulls.
func BenchmarkCachedPassword(b *testing.B) {
	d := &directory{accounts: bob()}
	c, err := NewChain([]Member{{d, Config{Name: "corp", Kind: "ldap"}.WithDefaults()}}, newThrottle(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	cred := typed("bob", "right", home)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Authenticate(b.Context(), c.Recognize(cred)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUncachedPassword is the cost of the chain in a login that asks a provider.
func BenchmarkUncachedPassword(b *testing.B) {
	d := &directory{accounts: bob()}
	remember := time.Duration(0)
	c, err := NewChain([]Member{{d, Config{Name: "corp", Kind: "ldap", Remember: &remember}.WithDefaults()}}, newThrottle(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	cred := typed("bob", "right", home)
	b.ReportAllocs()
	for b.Loop() {
		d.asked, d.secrets = d.asked[:0], d.secrets[:0]
		if _, err := c.Authenticate(b.Context(), cred); err != nil {
			b.Fatal(err)
		}
	}
}

// TestReloadForgetsPasswords: a reload builds another chain, with an empty cache of right
// passwords.
func TestReloadForgetsPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, limits := &directory{accounts: bob()}, newThrottle(t)
		for reloads := range 2 {
			c := chainOf(t, limits, Member{d, Config{Name: "corp", Kind: "ldap"}})
			for range 2 {
				if got := outcome(c.try(t, typed("bob", "right", home))); got != "200" {
					t.Errorf("after %d reloads = %s, want 200", reloads, got)
				}
			}
			if want := 1 + reloads; d.reached() != want {
				t.Errorf("after %d reloads the password has reached the directory %d times, want %d", reloads, d.reached(), want)
			}
		}
	})
}
