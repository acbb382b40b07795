package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/postgres/postgrestest"
)

// While PostgreSQL is away, sessions are unavailable, and nobody waits longer
// than the limit; when it is back they are good again, and nobody did anything
// about it.
func TestLostAndBack(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	cfg := sealed(server.Database(t))
	cfg.QueryTimeout, cfg.ConnectTimeout = 2*time.Second, 2*time.Second
	p := newSSO()
	s := replica(t, cfg, p)
	token := issue(t, s, p.login("corp", "alice"))
	for _, away := range []struct {
		name        string
		leave, back func()
	}{
		{"restarted", func() { server.Stop(t); server.StartAgain(t) }, nil},
		{"stopped", func() { server.Stop(t) }, func() { server.StartAgain(t) }},
		{"killed", server.Kill, func() { server.StartAgain(t) }},
		{"standing still", server.Pause, server.Resume},
	} {
		t.Run(away.name, func(t *testing.T) {
			all(t, 20, func(ctx context.Context) error { return redeem(ctx, s, token) }) // so that connections are in use
			away.leave()
			if away.back != nil {
				began := time.Now()
				all(t, 20, func(ctx context.Context) error {
					if err := redeem(ctx, s, token); !errors.Is(err, providers.ErrUnavailable) || strings.Contains(err.Error(), "postgres://") {
						t.Errorf("Redeem = %v, want ErrUnavailable", err)
					}
					if _, _, err := s.Issue(ctx, p.login("corp", "bob"), service, session.Client{}); !errors.Is(err, providers.ErrUnavailable) {
						t.Errorf("Issue = %v, want ErrUnavailable", err)
					}
					return nil
				})
				if err := s.Ping(t.Context()); !errors.Is(err, providers.ErrUnavailable) {
					t.Errorf("Ping = %v, want ErrUnavailable", err)
				}
				// Each of three questions has two seconds, and a transaction two
				// more to be undone; one that only writeLimit ends takes ten.
				if took := time.Since(began); took > 12*time.Second {
					t.Errorf("to be told that it is away took %v", took)
				}
				away.back()
			}
			all(t, 20, func(ctx context.Context) error { return redeem(ctx, s, token) })
			must(t, s.Ping(t.Context()))
			issue(t, s, p.login("corp", "carol"))
		})
	}
}

// all does the same many times at once.
func all(t *testing.T, times int, do func(context.Context) error) {
	t.Helper()
	var group sync.WaitGroup
	for range times {
		group.Go(func() {
			if err := do(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// A crash loses no token that a client was given, and brings back none that
// was revoked. (The server was killed, and not the machine: fsync is off.)
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	cfg := sealed(server.Database(t))
	cfg.QueryTimeout, cfg.PerPerson = 2*time.Second, 1_000_000
	p := newSSO()
	s := replica(t, cfg, p)
	var mu sync.Mutex
	var given, revoked []secret.Text
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				token, made, err := s.Issue(t.Context(), p.login("corp", "alice"), service, session.Client{})
				if err != nil {
					continue // which the client heard
				}
				ended := false
				if i%3 == 0 {
					n, err := s.Admin().Revoke(t.Context(), session.Selector{ID: made.ID}, "an operator")
					if err != nil {
						continue // it may have ended or not, and the operator heard that
					}
					ended = n == 1
				}
				mu.Lock()
				if ended {
					revoked = append(revoked, token)
				} else {
					given = append(given, token)
				}
				mu.Unlock()
			}
		})
	}
	counts := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return len(given), len(revoked)
	}
	// write returns when enough was written since it was called.
	write := func() {
		t.Helper()
		givenBefore, revokedBefore := counts()
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			given, revoked := counts()
			switch given, revoked = given-givenBefore, revoked-revokedBefore; {
			case given >= 10 && revoked >= 5:
				return
			case time.Since(began) > time.Minute:
				t.Errorf("in a minute only %d tokens were given and %d revoked", given, revoked)
				return
			}
		}
	}
	for range 3 {
		write()
		server.Kill()
		time.Sleep(100 * time.Millisecond)
		server.StartAgain(t)
	}
	write()
	close(stop)
	group.Wait()
	t.Logf("%d tokens given, %d revoked", len(given), len(revoked))
	for _, token := range given {
		if err := redeem(t.Context(), s, token); err != nil {
			t.Errorf("a token that was given: %v", err)
		}
	}
	for _, token := range revoked {
		if err := redeem(t.Context(), s, token); !errors.Is(err, session.ErrRefused) {
			t.Errorf("a token that was revoked: %v, want ErrRefused", err)
		}
	}
}
