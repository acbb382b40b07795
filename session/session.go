// Package session keeps shorepass's own tokens: offline refresh tokens
// (sp_r_), personal access tokens (sp_p_), robots' tokens (sp_b_), browsers'
// cookies (sp_w_) and one-time login passwords (sp_o_).
//
// A token is opaque, 256 random bits and a checksum; the store keeps only its
// SHA-256. It stays the same for its life, since docker writes a refresh token
// once and never writes a rotated one back; what changes is behind it. At each
// redemption the session is read from the store, so that a revocation holds at
// once on every replica, and after Config.Revalidate the provider is asked
// again, single-flight however many clients come at once.
//
//	sessions, err := session.New(ctx, cfg, store, chain, log)
//	token, made, err := sessions.Issue(ctx, identity, "container_registry", client)
//	found, err := sessions.Redeem(ctx, token, "container_registry", client, session.KindRefresh)
//
// The parts, each on the few methods of the store that it calls:
//
//   - [Sessions] issues and redeems tokens. A session points to a sign-in, the row
//     that holds the provider's refresh token and its last answer: several
//     sessions can share one.
//   - A sign-in is a state machine (signin.go): one pure function is its
//     transition at a provider's answer, another decides what a redemption does.
//     The rules of a session's own life are pure as well (life.go).
//   - The revalidator asks a provider again, once over all replicas, and writes
//     its answer into the row, which the redemption reads again: one truth. A
//     provider that refuses a person for good makes an end of sessions pending:
//     every replica refuses them at once, and a sweep ends them later. The
//     refusals of one that suddenly refuses too many are not believed (a circuit
//     breaker, breaker.go).
//   - What waits to be spent once, such as a one-time login password, is a grant
//     (grant.go).
//   - [Admin] lists, inspects and ends sessions. It needs a store and no provider,
//     so that the command line can use it.
//   - Four loops run beside the requests: the chores sweep and write what waits;
//     the revoker has providers revoke the refresh tokens of sign-ins without a
//     live session; daily.go asks about unused personal access tokens once a day;
//     breakers.go shares what replicas counted of providers.
//
// A [Store] reads and writes columns and knows no rule; sqlite and postgres are
// two, and storetest holds them to the contract.
//
// It refuses to guess: a provider that cannot tell ends nothing, and a token
// that is not exactly one of ours reaches neither the store nor a provider.
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// ErrRefused says that a token is mangled, unknown, revoked, expired, of
// another kind, or made for another service. The client gets 401, and one
// answer for all of these; which it was stands in the wrapping error.
var ErrRefused = errors.New("token refused")

// Client is what a request says of its sender, kept as information only.
type Client struct {
	Address   netip.Addr
	ID        string // client_id
	UserAgent string

	// LoginName is the login name as it was typed; empty where none was, as in a
	// browser. A login keeps it with the session.
	LoginName string
}

// Session is one login that lives on behind a token.
type Session struct {
	ID       string              // public: what list prints and revoke takes
	Kind     Kind                // what the token may do
	Service  string              // the one registry it is good for; empty where it is good for several
	Identity *providers.Identity // the person as last read from the provider; RefreshToken is left out. Never to be changed
	Limits   string              // what the policy grants at most, as it was made; empty without limits

	LoginName string // of the Client that logged in

	Created  time.Time
	Expires  time.Time // when it ends however much it is used
	LastUsed time.Time // the zero Time when never redeemed
	Checked  time.Time // when the provider last vouched for the person

	// Token is the session's own, where it was just made; otherwise it is
	// zero, since the store does not know it.
	Token secret.Text

	// What only List, Inspect and RevokeToken fill in.
	Client Client    // who logged in
	Last   Client    // who redeemed it last
	Ended  time.Time // the zero Time while it lives
	Reason Reason    // why it ended; while it lives, why it is refused and about to end
	By     string    // who ended it, where it was revoked
	Label  string    // what the person calls it
	MadeBy string    // who made it for the person; empty for the person

	row Row // as it was read: what it yields copies from it
}

// Providers is what sessions ask of the chain of providers.
type Providers interface {
	// Revalidate asks the provider that id.Provider names about id again, and
	// applies to its answer what the chain applies to a login. The errors are
	// those of [providers.Revalidator]; providers.ErrCannotRevalidate says that
	// this provider is never able to.
	Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error)

	// Fingerprint returns the fingerprint of the provider of that name, or ""
	// when there is none.
	Fingerprint(provider string) string

	// PerSession reports whether each login at that provider has a sign-in of its
	// own, rather than each person one.
	PerSession(provider string) bool

	// RevokeRefreshToken has the provider revoke a refresh token of its own (RFC
	// 7009), where it can.
	RevokeRefreshToken(ctx context.Context, provider string, providerToken secret.Text) error

	// RevokeWhen says when that provider is to revoke one.
	RevokeWhen(provider string) providers.RevokeWhen

	// Forget drops what this process remembers of the passwords of those whom
	// match picks, for when they may not come in any more. It asks nobody.
	Forget(match func(*providers.Identity) bool)
}

// SessionStore is what issue and redemption ask of a store.
type SessionStore interface {
	GrantStore

	// Find returns the session of that hash, or ErrNotFound; its Body is left
	// out where the person's identity is of the version that the caller knows. It
	// is on the way of each request: its cost must not grow with the number of
	// sessions.
	Find(ctx context.Context, token Hash, known Version) (*Row, error)

	// FindByProviderToken does the same for the hash of a provider's refresh token, and
	// always leaves Body out.
	FindByProviderToken(ctx context.Context, token Hash) (*Row, error)

	// Create keeps a new session. That of a login also keeps what the login
	// found out about the person: the columns of the sign-in, which is made where
	// there is none, become those that draft.Next returns for them; sessions of
	// the sign-in whose stamp [SignIn.Adopts] names get the new one; and its
	// refresh token is not due to be revoked. The lease of its first use is over,
	// and its Grant is spent: where that was spent before, or is over at
	// draft.Created, the error is ErrSpent. Where draft.Yields and there is no
	// such sign-in, it is ErrNotFound. An error of draft.Admit is returned as it
	// is. Ended sessions of the person beyond draft.KeepEnded are forgotten, as
	// Sweep does it, up to a few hundred at once.
	Create(ctx context.Context, draft *Draft) error

	// End ends those of the sessions that live, and returns how many there were.
	// The refresh token of a sign-in without a live session is due to be revoked
	// from then on.
	End(ctx context.Context, tokens []Hash, e Ending) (int, error)
}

// Sessions issues and redeems sessions, and owns what works on them: the
// revalidator, the chores, the revoker and an Admin. It is safe for concurrent
// use.
type Sessions struct {
	store      SessionStore
	keys       *Keys
	log        *slog.Logger
	generation atomic.Pointer[generation] // swapped whole by Reload
	clock      clock

	identities  *identityCache
	usage       *usage
	health      *health
	breakers    *breakers
	revalidator *revalidator
	firstUses   *firstUses
	maintenance *maintenance
	daily       *dailyRevalidator
	revoker     *revoker
	admin       *Admin

	tasks tasks
	stop  context.CancelFunc // ends the chores and the revoker
	close func() error       // of the store
}

// rules are what a reload swaps.
type generation struct {
	cfg       Config
	providers Providers // nil where none are
}

// forget drops the passwords that are remembered of those whom match picks.
func (g *generation) forget(match func(*providers.Identity) bool) {
	if g.providers != nil {
		g.providers.Forget(match)
	}
}

// forgetPerson drops the passwords that are remembered of one person.
func (g *generation) forgetPerson(provider, subject string) {
	g.forget(func(id *providers.Identity) bool { return id.Provider == provider && id.Subject == subject })
}

// New begins to work on the sessions in store with cfg, whose defaults must be
// applied. It owns store from then on, also when it fails. Close ends what it
// began.
//
// Where cfg has no SealKey and the store lies in a folder, the key is the file
// seal.key there, made if the store is new.
func New(ctx context.Context, cfg Config, store Store, p Providers, log *slog.Logger) (*Sessions, error) {
	keys, err := OpenKeys(ctx, cfg, store, log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s := assemble(store, keys, log)
	s.Reload(cfg, p)
	if err := s.clock.set(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.tasks.group.Go(func() { s.maintenance.run(running) })
	s.tasks.group.Go(func() { s.breakers.run(running) })
	s.tasks.group.Go(func() { s.daily.run(running) })
	s.tasks.group.Go(func() { s.revoker.run(running) })
	return s, nil
}

// assemble wires the parts, each to the part of the store that it calls.
func assemble(store Store, keys *Keys, log *slog.Logger) *Sessions {
	s := &Sessions{store: store, keys: keys, log: log, close: store.Close}
	clock := &s.clock
	clock.store, clock.log = store, log
	s.identities, s.usage = newIdentityCache(store, maxIdentityBytes, maxTokens), newUsage(store)
	answers := newAnswerWriter(store, clock, log)
	s.breakers = newBreakers(store, clock, &s.generation, log)
	s.health = &health{store: store, replica: s.breakers.replica}
	s.revoker = &revoker{store: store, keys: keys, clock: clock, generation: &s.generation, log: log, wakes: make(chan struct{}, 1)}
	s.admin = &Admin{store: store, clock: clock, generation: &s.generation, revocations: s.revoker.wakes}
	s.revalidator = &revalidator{
		store: store, answers: answers, breakers: s.breakers, keys: keys, clock: clock, log: log, generation: &s.generation,
		calls: singleFlight[int64, struct{}]{tasks: &s.tasks, log: log},
	}
	s.firstUses = &firstUses{
		store: store, clock: clock, log: log, make: s.makeByProviderToken, abandon: s.RevokeProviderToken,
		calls: singleFlight[Hash, *Session]{tasks: &s.tasks, log: log, bound: maxFirstUses},
	}
	s.maintenance = &maintenance{
		usage: s.usage, answers: answers, clock: clock, log: log, revocations: s.revoker.wakes,
		sweeper: sweeper{store: store, revalidator: s.revalidator, clock: clock, generation: &s.generation},
	}
	s.daily = &dailyRevalidator{store: store, revalidator: s.revalidator, clock: clock, generation: &s.generation, log: log}
	return s
}

// Reload puts another configuration and other providers in force, both at once.
// Requests under way keep what they began with. Store and SealKey stay.
func (s *Sessions) Reload(cfg Config, p Providers) { s.generation.Store(&generation{cfg, p}) }

// Admin lists, inspects and ends sessions.
func (s *Sessions) Admin() *Admin { return s.admin }

// Ping reports whether the store answers and can be written to: one that is full,
// locked, or a read-only copy still redeems, but keeps no login.
func (s *Sessions) Ping(ctx context.Context) error { return s.health.check(ctx) }

// NoteLogin counts for the circuit breaker how a provider answered a login by
// password: accepted it, or rejected the password. account is its subject there,
// or its name. A rejection counts only for an account that is known at the address:
// a stranger cannot cause that.
func (s *Sessions) NoteLogin(provider, account string, known, accepted bool) {
	s.breakers.countLogin(provider, account, known, accepted)
}

// Doubted reports whether the circuit breaker of a provider is open, as of a second
// ago at most: what it rejects at a login is not believed.
func (s *Sessions) Doubted(provider string) bool { return s.breakers.isDoubted(provider) }

// DoubtedProviders returns the names of the providers whose circuit breakers are
// open, as of a second ago at most.
func (s *Sessions) DoubtedProviders() []string { return s.breakers.openProviders() }

// Close writes what waits to be written, waits for everything that Sessions
// began, and closes the store.
func (s *Sessions) Close() error {
	if !s.tasks.close() {
		return nil
	}
	s.stop()
	s.tasks.group.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	err := errors.Join(s.maintenance.flush(ctx), s.maintenance.answers.flush(ctx))
	if closeErr := s.close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("close the store: %w", closeErr))
	}
	return err
}

// Now is the time by the store's clock, which all replicas go by, as exactly as
// the store keeps it.
func (s *Sessions) Now() time.Time { return s.clock.now() }

// ClockOffset is how far the store's clock is ahead of this machine's, 0 where that is
// less than a second.
func (s *Sessions) ClockOffset() time.Duration { return s.clock.offset() }

// refused says why a token is refused.
func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// unavailable wraps err, the reason why a token could not be checked now, in
// providers.ErrUnavailable.
func unavailable(err error) error { return fmt.Errorf("%w: %w", providers.ErrUnavailable, err) }
