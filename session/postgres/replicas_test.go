package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
)

// TestOneRevalidationPerSignIn: however many clients redeem at the same time on however
// many replicas, a provider is asked once per sign-in: a rotating one once per session,
// a directory once per person. Two connections per replica are enough, since none is in
// use while the provider is asked.
func TestOneRevalidationPerSignIn(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	for _, tc := range []struct {
		provider string
		sessions int
		want     int
	}{
		{"sso", 1, 1},
		{"sso", 10, 10},
		{"corp", 50, 1},
	} {
		t.Run(fmt.Sprint(tc.provider, tc.sessions), func(t *testing.T) {
			p := newSSO()
			p.latency = 300 * time.Millisecond
			cfg := sealed(server.Database(t))
			cfg.Revalidate, cfg.Connections = 2*time.Second, 2
			cfg.QueryTimeout = 10 * time.Second // 200 redemptions wait for six connections
			var replicas [3]*session.Sessions
			for i := range replicas {
				replicas[i] = replica(t, cfg, p)
			}
			var tokens []secret.Text
			for i := range tc.sessions {
				subject := "alice"
				if tc.provider == "sso" {
					subject = fmt.Sprint("alice ", i)
				}
				tokens = append(tokens, issue(t, replicas[i%3], p.login(tc.provider, subject)))
			}
			time.Sleep(cfg.Revalidate)
			var group sync.WaitGroup
			var failed atomic.Int32
			for i := range 200 {
				group.Go(func() {
					if err := redeem(t.Context(), replicas[i%3], tokens[i%len(tokens)]); err != nil && failed.Add(1) <= 3 {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if asked, reused := p.counts(); asked != tc.want || reused != 0 {
				t.Errorf("the provider was asked %d times and saw %d refresh tokens twice, want %d and 0", asked, reused, tc.want)
			}
		})
	}
}

// blocking is a provider that answers about alice when the test lets it.
type blocking struct {
	*sso
	asked  atomic.Int32  // about alice
	asking chan struct{} // closed by the first request about alice
	answer chan struct{} // closed by the test, to let it answer
	once   sync.Once
}

func (p *blocking) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	if id.Subject == "alice" {
		p.asked.Add(1)
		p.once.Do(func() { close(p.asking) })
		<-p.answer
	}
	return p.sso.Revalidate(ctx, id)
}

// TestAskingHoldsNoConnection: no connection is in use while a provider is asked. Each
// replica has one connection, and other persons' redemptions succeed while the provider
// is asked; it answers when there were enough. The test is not parallel, since a query
// that waits for a busy machine looks like one that waits for a connection.
func TestAskingHoldsNoConnection(t *testing.T) {
	server := postgrestest.Start(t)
	for _, provider := range []string{"sso", "corp"} {
		t.Run(provider, func(t *testing.T) {
			p := &blocking{sso: newSSO(), asking: make(chan struct{}), answer: make(chan struct{})}
			cfg := sealed(server.Database(t))
			cfg.Revalidate, cfg.Connections, cfg.QueryTimeout = 2*time.Second, 1, 2*time.Second
			replicas := [2]*session.Sessions{replica(t, cfg, p), replica(t, cfg, p)}
			asked := issue(t, replicas[0], p.login(provider, "alice"))
			time.Sleep(cfg.Revalidate)
			const enough = 10 // other persons' redemptions on each replica, while the provider is asked
			var others, waiting sync.WaitGroup
			for i, s := range replicas {
				token := issue(t, s, p.login(provider, fmt.Sprint("bob ", i)))
				others.Go(func() {
					for n := 0; n < enough; {
						if err := redeem(t.Context(), s, token); err != nil {
							t.Errorf("a redemption of another person on replica %d while the provider is asked: %v", i, err)
						}
						select {
						case <-p.answer:
							t.Errorf("while the provider was asked, other persons redeemed %d times on replica %d, want %d", n, i, enough)
							return
						case <-p.asking:
							n++
						default: // not yet
						}
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
			for i := range 20 {
				waiting.Go(func() {
					if err := redeem(t.Context(), replicas[i%2], asked); err != nil {
						t.Errorf("a redemption that waits for the provider: %v", err)
					}
				})
			}
			finished := make(chan struct{})
			go func() { others.Wait(); close(finished) }()
			select {
			case <-finished:
			case <-time.After(8 * time.Second): // the redemptions that wait give up two seconds later
			}
			close(p.answer)
			waiting.Wait()
			others.Wait()
			if _, reused := p.counts(); p.asked.Load() != 1 || reused != 0 {
				t.Errorf("the provider was asked %d times about alice and saw %d refresh tokens twice, want 1 and 0", p.asked.Load(), reused)
			}
		})
	}
}

// TestOneFirstUse: the first use of a provider's refresh token creates one session,
// however many clients bring the token at the same time.
func TestOneFirstUse(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	p := newSSO()
	cfg := sealed(server.Database(t))
	replicas := [3]*session.Sessions{replica(t, cfg, p), replica(t, cfg, p), replica(t, cfg, p)}
	for round := range 5 {
		token := secret.New(fmt.Sprint("provider token ", round))
		var asked, made atomic.Int32
		var group sync.WaitGroup
		for i := range 60 {
			group.Go(func() {
				_, isNew, err := replicas[i%3].RedeemProviderToken(t.Context(), token, service, session.Client{}, func(context.Context) (*providers.Identity, error) {
					asked.Add(1)
					return p.login("sso", fmt.Sprint("bob ", round)), nil
				})
				if err != nil {
					t.Error(err)
				}
				if isNew {
					made.Add(1)
				}
			})
		}
		group.Wait()
		if asked.Load() != 1 || made.Load() != 1 {
			t.Errorf("the provider was asked %d times and %d sessions were made, want 1 and 1", asked.Load(), made.Load())
		}
	}
}

// TestRevokedEverywhere: a session that one replica revoked, or whose account a
// provider reported to it as disabled, is refused immediately by all replicas.
func TestRevokedEverywhere(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	p := newSSO()
	cfg := sealed(server.Database(t))
	cfg.Revalidate = time.Second
	one, two := replica(t, cfg, p), replica(t, cfg, p)
	refused := func(when string, token secret.Text) {
		t.Helper()
		for _, s := range []*session.Sessions{one, two} {
			if err := redeem(t.Context(), s, token); !errors.Is(err, session.ErrRefused) {
				t.Errorf("%s: Redeem = %v, want ErrRefused", when, err)
			}
		}
	}
	token, other := issue(t, one, p.login("corp", "alice")), issue(t, one, p.login("corp", "alice"))
	must(t, redeem(t.Context(), two, token))
	n, err := one.Admin().Revoke(t.Context(), session.Selector{User: "alice", Before: time.Now().Add(time.Hour)}, "an operator")
	if n != 2 || err != nil {
		t.Errorf("Revoke = %d, %v, want 2", n, err)
	}
	refused("revoked", token)
	refused("revoked with it", other)

	token = issue(t, two, p.login("corp", "alice"))
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	time.Sleep(cfg.Revalidate)
	refused("disabled", token)
}

// TestTwoSealingKeys: a replica with another sealing key than the store's does not
// start, and the error says why.
func TestTwoSealingKeys(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	cfg := sealed(server.Database(t))
	replica(t, cfg, newSSO())
	for _, tc := range []struct {
		name string
		key  secret.Text
		want string
	}{
		{"another", session.NewSealKey(), "session.seal_key is not the sealing key that the sessions in the store were sealed with"},
		{"none", secret.Text{}, "shorepass keys init --seal-key seal.key"},
	} {
		store, err := postgres.Open(t.Context(), cfg)
		must(t, err)
		other := cfg
		other.SealKey = tc.key
		if _, err := session.New(t.Context(), other, store, newSSO(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: New = %v, want %q in it", tc.name, err, tc.want)
		}
	}
}

// rekey re-encrypts all refresh tokens under the first key of cfg, as the command line
// does while replicas run.
func rekey(t *testing.T, cfg session.Config) (int, error) {
	t.Helper()
	store, err := postgres.OpenExisting(t.Context(), cfg)
	must(t, err)
	defer store.Close()
	keys, err := session.ReadKeys(t.Context(), cfg, store)
	must(t, err)
	return session.Rekey(t.Context(), store, keys)
}

// TestRekey: a sealing key is replaced while replicas run and tokens are rotated.
func TestRekey(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	p := newSSO()
	cfg := sealed(server.Database(t))
	cfg.Revalidate = time.Second
	var tokens []secret.Text
	first := replica(t, cfg, p)
	const sessions = 1100 // more than one batch
	for i := range sessions {
		tokens = append(tokens, issue(t, first, p.login("sso", fmt.Sprint("alice ", i))))
	}
	old, fresh := sealingKey.Reveal(), session.NewSealKey().Reveal()
	ring := cfg
	ring.SealKey = secret.New(fresh + "\n" + old)
	replica(t, ring, p)
	if n, err := rekey(t, ring); n != sessions || err != nil {
		t.Fatalf("Rekey = %d, %v, want %d", n, err, sessions)
	}
	if n, err := rekey(t, ring); n != 0 || err != nil {
		t.Errorf("Rekey again = %d, %v, want 0", n, err)
	}
	only := cfg
	only.SealKey = secret.New(fresh)
	third := replica(t, only, p)
	time.Sleep(cfg.Revalidate)
	for _, token := range tokens[:20] {
		must(t, redeem(t.Context(), third, token))
	}
	if asked, reused := p.counts(); asked != 20 || reused != 0 {
		t.Errorf("the provider was asked %d times and saw %d refresh tokens twice, want 20 and 0", asked, reused)
	}

	// A token that no key decrypts is reported, and all others are re-encrypted.
	server.SQL(t, cfg.Store.Reveal(), `UPDATE provider_token SET body = '\x0100000000ff' WHERE sign_in = (SELECT min(sign_in) FROM provider_token)`)
	last := cfg
	last.SealKey = secret.New(session.NewSealKey().Reveal() + " " + fresh)
	if n, err := rekey(t, last); n != sessions-1 || err == nil || !strings.Contains(err.Error(), "1 refresh tokens are sealed with a key that is not in seal_key") {
		t.Errorf("Rekey with a damaged token = %d, %v, want %d and an error", n, err, sessions-1)
	}
}
