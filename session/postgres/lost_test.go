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

// TestLostAndBack: while PostgreSQL is down, sessions are unavailable, and no request
// waits longer than its timeout. When the server is back, they are redeemed again
// without an intervention.
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
		{"paused", server.Pause, server.Resume},
	} {
		t.Run(away.name, func(t *testing.T) {
			concurrently(t, 20, func(ctx context.Context) error { return redeem(ctx, s, token) }) // opens connections
			away.leave()
			if away.back != nil {
				began := time.Now()
				concurrently(t, 20, func(ctx context.Context) error {
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
				// Each of three queries has two seconds, and a transaction two more
				// for its rollback; a write that only writeLimit ends takes ten.
				if took := time.Since(began); took > 12*time.Second {
					t.Errorf("it took %v until the calls had failed", took)
				}
				away.back()
			}
			concurrently(t, 20, func(ctx context.Context) error { return redeem(ctx, s, token) })
			must(t, s.Ping(t.Context()))
			issue(t, s, p.login("corp", "carol"))
		})
	}
}

// concurrently calls do a number of times at the same time.
func concurrently(t *testing.T, times int, do func(context.Context) error) {
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

// TestKilledWhileWriting: a crash of the server loses no token that a client received,
// and no revocation. The server is killed and not the machine, since fsync is off.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	cfg := sealed(server.Database(t))
	cfg.QueryTimeout, cfg.PerPerson = 2*time.Second, 1_000_000
	p := newSSO()
	s := replica(t, cfg, p)
	var mu sync.Mutex
	var issued, revoked []secret.Text
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
					continue // the client got an error
				}
				ended := false
				if i%3 == 0 {
					n, err := s.Admin().Revoke(t.Context(), session.Selector{ID: made.ID}, "an operator")
					if err != nil {
						continue // the session may have ended or not; the operator got an error
					}
					ended = n == 1
				}
				mu.Lock()
				if ended {
					revoked = append(revoked, token)
				} else {
					issued = append(issued, token)
				}
				mu.Unlock()
			}
		})
	}
	counts := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return len(issued), len(revoked)
	}
	// write waits until enough was written since the call.
	write := func() {
		t.Helper()
		issuedBefore, revokedBefore := counts()
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			issued, revoked := counts()
			switch issued, revoked = issued-issuedBefore, revoked-revokedBefore; {
			case issued >= 10 && revoked >= 5:
				return
			case time.Since(began) > time.Minute:
				t.Errorf("in a minute only %d tokens were issued and %d revoked", issued, revoked)
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
	t.Logf("%d tokens issued, %d revoked", len(issued), len(revoked))
	for _, token := range issued {
		if err := redeem(t.Context(), s, token); err != nil {
			t.Errorf("a token that was issued: %v", err)
		}
	}
	for _, token := range revoked {
		if err := redeem(t.Context(), s, token); !errors.Is(err, session.ErrRefused) {
			t.Errorf("a token that was revoked: %v, want ErrRefused", err)
		}
	}
}
