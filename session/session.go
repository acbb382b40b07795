// Package session issues, redeems and revokes shorepass's own tokens: refresh
// tokens (sp_r_), personal access tokens (sp_p_), robots' tokens (sp_b_),
// browsers' cookies (sp_w_) and one-time passwords (sp_o_).
//
// A token is opaque: 256 random bits and a checksum. The store has only its
// SHA-256. A token is not rotated, since docker stores a refresh token once and
// never writes a new one back. Each redemption reads the session from the
// store, so that a revocation takes effect immediately on every replica. After
// Config.Revalidate the provider is asked again, single-flight.
//
//	sessions, err := session.New(ctx, cfg, store, chain, log)
//	token, made, err := sessions.Issue(ctx, identity, "container_registry", client)
//	found, err := sessions.Redeem(ctx, token, "container_registry", client, session.KindRefresh)
//
// The parts, each with a small interface of the store methods that it calls:
//
//   - [Sessions] issues and redeems tokens. A session points to a sign-in, the row
//     with the provider's refresh token and its last answer. Sessions can share a
//     sign-in.
//   - A sign-in is a state machine (signin.go): pure functions for the transitions
//     at a provider's answer and at a login, and for what a redemption does in a
//     state. The lifetimes of a session are pure functions as well (life.go).
//   - The revalidator (revalidate.go) asks a provider again, once over all
//     replicas, and writes the answer into the row, which the redemption then
//     reads again: one truth. A refusal for good makes an end of sessions
//     pending: every replica refuses them immediately, and a sweep ends them
//     later. A circuit breaker (breaker.go) voids the refusals of a provider that
//     refuses too many people.
//   - A grant is a secret that can be spent once, such as a one-time login
//     password (grant.go).
//   - [Admin] lists, inspects and ends sessions. It needs a store and no provider,
//     so that the command line can use it.
//   - Four loops run in the background: maintenance.go sweeps and writes buffers;
//     revoker.go has providers revoke refresh tokens of sign-ins without a live
//     session; daily.go revalidates the sign-ins of personal access tokens once a
//     day; breakers.go shares tallies of answers between replicas.
//
// A [Store] reads and writes columns and knows no rule. There are two, sqlite
// and postgres, and storetest tests both against the contract.
//
// The package does not guess: an unavailable provider ends no session, and a
// token that is not exactly one of ours reaches neither the store nor a
// provider.
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
// another kind, or made for another service. The client gets 401, and the same
// answer for all of these; the wrapping error has the reason.
var ErrRefused = errors.New("token refused")

// Client describes the sender of a request. It is stored as information only.
type Client struct {
	Address   netip.Addr
	ID        string // client_id
	UserAgent string

	// LoginName is the login name as it was typed; empty where none was typed,
	// as in a browser. A login stores it with the session.
	LoginName string
}

// Session is a session as callers see it.
type Session struct {
	ID       string              // public: what list prints and revoke takes
	Kind     Kind                // what the token is for
	Service  string              // the only service that it is valid for; empty if not limited to one
	Identity *providers.Identity // the person as last read from the provider, without the RefreshToken. Must not be changed
	Limits   string              // what the policy grants at most, as text; empty without limits

	LoginName string // of the Client that logged in

	Created     time.Time
	Expires     time.Time // at the latest
	LastUsed    time.Time // the zero Time when never redeemed
	LastVouched time.Time // when the provider last vouched for the person

	// Token is set only on a session that was just created: the store does not
	// have it.
	Token secret.Text

	// Set only by List, Inspect and RevokeToken.
	Client Client    // who logged in
	Last   Client    // who redeemed it last
	Ended  time.Time // the zero Time while it lives
	Reason Reason    // why it ended; while it lives, why an end is pending
	By     string    // who revoked it
	Label  string    // the person's name for it
	MadeBy string    // who created it for the person; empty for the person

	hasProviderToken bool // as [Session.HasProviderToken]
	row              *Row // of a redeemed browser's session, as read: derived sessions copy from it
}

// freshFor is how long after a person authenticated a browser's session is fresh.
const freshFor = 10 * time.Minute

// Fresh reports whether a browser's session is fresh at a time: the person authenticated
// for it within the ten minutes before. Only the login of this session counts, and a
// session of another kind is never fresh. Where the provider's clock is ahead, the time
// of the login counts.
func (s *Session) Fresh(now time.Time) bool {
	authenticated := s.Identity.AuthTime
	if s.Created.Before(authenticated) {
		authenticated = s.Created
	}
	return s.Kind == KindBrowser && now.Before(authenticated.Add(freshFor))
}

// HasProviderToken reports whether the sign-in of a session got a refresh token of the
// provider. Without one, an OpenID provider cannot be asked about the person again: from the
// first revalidation on, Config.UncheckedLifetime bounds the session and what it yields.
func (s *Session) HasProviderToken() bool { return s.hasProviderToken }

// Providers is the part of the chain of providers that sessions need.
type Providers interface {
	// Revalidate asks the provider named id.Provider about id again, and
	// applies the same checks to its answer as to a login. The errors are those
	// of [providers.Revalidator]; providers.ErrCannotRevalidate says that the
	// provider cannot revalidate at all.
	Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error)

	// Fingerprint returns the fingerprint of the provider with that name, or ""
	// if there is none.
	Fingerprint(provider string) string

	// PerSignIn reports whether each login at that provider has its own
	// sign-in, rather than all logins of a person sharing one.
	PerSignIn(provider string) bool

	// RevokeRefreshToken has the provider revoke a refresh token that it issued
	// (RFC 7009), if it supports that.
	RevokeRefreshToken(ctx context.Context, provider string, providerToken secret.Text) error

	// RevokeWhen returns when that provider's refresh tokens are to be revoked.
	RevokeWhen(provider string) providers.RevokeWhen

	// Reauthenticate returns how long after a person signed in at that provider
	// its sessions end, whatever the provider answers since; 0 for no limit.
	Reauthenticate(provider string) time.Duration

	// Forget drops the cached passwords of the identities that match returns
	// true for. It asks no provider.
	Forget(match func(*providers.Identity) bool)
}

// SessionStore is the part of a store that issue and redemption need.
type SessionStore interface {
	GrantStore

	// Find returns the session with that hash, or ErrNotFound. Body is not set
	// if the identity has the version known, which the caller has cached. Find
	// is called for each request: its cost must not grow with the number of
	// sessions.
	Find(ctx context.Context, token Hash, known Version) (*Row, error)

	// FindByProviderToken returns the session for the hash of a provider's
	// refresh token, or ErrNotFound. It never sets Body.
	FindByProviderToken(ctx context.Context, token Hash) (*Row, error)

	// HoldsProviderToken reports whether the shared sign-in of a person at the
	// provider with that id has a refresh token that is not due to be revoked.
	HoldsProviderToken(ctx context.Context, provider, subject string, providerID int64) (bool, error)

	// Create stores a new session, in one transaction. For a login it also
	// creates or updates the sign-in: its columns become those that draft.Next
	// returns, sessions of the sign-in with a stamp that [SignIn.Adopts]
	// returns get the new stamp, and its refresh token is no longer due to be
	// revoked. For a derived session the error is ErrNotFound if its sign-in
	// does not exist, or draft.From is not live. The session draft.Replaces
	// ends. The lease of a first use is released. The Grant is spent; if it was
	// spent before, or had expired at draft.Created, the error is ErrSpent. An
	// error of draft.Admit is returned as it is. Ended sessions of the person
	// beyond draft.KeepEnded are deleted as in Sweep, up to a few hundred in one
	// call.
	Create(ctx context.Context, draft *Draft) error

	// End ends the live ones of these sessions, and returns how many there
	// were. With e.Grants it also ends the unspent grants of the logins of those
	// that are browsers', as EndGrants does. A sign-in's refresh token becomes
	// due to be revoked when it has no live session left.
	End(ctx context.Context, tokens []Hash, e Ending) (int, error)
}

// Sessions issues and redeems sessions, and owns the revalidator, the
// background loops and an Admin. It is safe for concurrent use.
type Sessions struct {
	store      SessionStore
	observed   *observedStore // the same one
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
	stop  context.CancelFunc // stops the background loops
	close func() error       // of the store
}

// generation is one loaded configuration and its providers. A reload swaps it
// whole; a request uses one generation throughout.
type generation struct {
	cfg       Config
	providers Providers // nil where none are
}

// reauthenticate returns the Reauthenticate of a provider, 0 without providers.
func (g *generation) reauthenticate(provider string) time.Duration {
	if g.providers == nil {
		return 0
	}
	return g.providers.Reauthenticate(provider)
}

// forget drops the cached passwords of the identities that match returns true
// for.
func (g *generation) forget(match func(*providers.Identity) bool) {
	if g.providers != nil {
		g.providers.Forget(match)
	}
}

// forgetPerson drops the cached passwords of one person.
func (g *generation) forgetPerson(provider, subject string) {
	g.forget(func(id *providers.Identity) bool { return id.Provider == provider && id.Subject == subject })
}

// New starts the sessions in store with cfg, whose defaults must be applied. It
// owns store from then on, also if it fails. Close stops it.
//
// If cfg has no SealKey and the store is in a folder, the key is the file
// seal.key there, which New creates if the store is new.
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

// assemble builds the parts and connects them.
func assemble(plain Store, keys *Keys, log *slog.Logger) *Sessions {
	store := observe(plain)
	s := &Sessions{store: store, observed: store, keys: keys, log: log, close: store.Close}
	clock := &s.clock
	clock.store, clock.log = store, log
	s.identities, s.usage = newIdentityCache(store, maxIdentityBytes, maxTokens), newUsage(store)
	answers := newAnswerWriter(store, clock, log)
	s.breakers = newBreakers(store, clock, &s.generation, log)
	s.health = &health{store: store, replica: s.breakers.replica}
	s.revoker = &revoker{store: store, keys: keys, clock: clock, generation: &s.generation, log: log, wakes: make(chan struct{}, 1)}
	s.admin = &Admin{store: store, clock: clock, generation: &s.generation, revocations: s.revoker.wakes}
	s.revalidator = &revalidator{
		store: store, answers: answers, breakers: s.breakers, keys: keys, clock: clock, log: log, generation: &s.generation, counts: newAnswerCounts(),
		calls: singleFlight[int64, struct{}]{tasks: &s.tasks, log: log},
	}
	s.firstUses = &firstUses{
		store: store, clock: clock, log: log, make: s.makeByProviderToken, abandon: s.RevokeProviderToken,
		calls: singleFlight[Hash, *Session]{tasks: &s.tasks, log: log, bound: maxFirstUses},
	}
	s.maintenance = &maintenance{
		usage: s.usage, answers: answers, clock: clock, log: log, revocations: s.revoker.wakes,
		sweeper: sweeper{store: store, revalidator: s.revalidator, clock: clock, generation: &s.generation},
		counter: counter{store: store, clock: clock},
	}
	s.daily = &dailyRevalidator{store: store, revalidator: s.revalidator, clock: clock, generation: &s.generation, log: log}
	return s
}

// Reload swaps the configuration and the providers, atomically. Requests in
// progress go on with the old ones. Store and SealKey do not change.
func (s *Sessions) Reload(cfg Config, p Providers) { s.generation.Store(&generation{cfg, p}) }

// Admin lists, inspects and ends sessions.
func (s *Sessions) Admin() *Admin { return s.admin }

// Ping reports whether the store answers and can be written to. With a store
// that is full, locked or a read-only copy, sessions can be redeemed and no
// login can be stored.
func (s *Sessions) Ping(ctx context.Context) error { return s.health.check(ctx) }

// NoteLogin counts a provider's answer to a login by password for the circuit
// breaker: accepted, or the password rejected. account is the subject at the
// provider, or the login name. A rejection counts only if known: the account
// has a proof at the client's address, so that a stranger cannot open the
// breaker.
func (s *Sessions) NoteLogin(provider, account string, known, accepted bool) {
	s.breakers.countLogin(provider, account, known, accepted)
}

// Doubted reports whether the circuit breaker of a provider is open, so that
// its rejections of logins are void. It uses a cache with a TTL of a second.
func (s *Sessions) Doubted(provider string) bool { return s.breakers.isDoubted(provider) }

// DoubtedProviders returns the names of the providers whose circuit breakers
// are open, from the same cache.
func (s *Sessions) DoubtedProviders() []string { return s.breakers.openProviders() }

// Close stops the background loops, waits for calls in progress, writes the
// buffers, and closes the store.
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

// Now returns the time by the store's clock, which all replicas use, to the
// millisecond.
func (s *Sessions) Now() time.Time { return s.clock.now() }

// ClockOffset returns how far the store's clock is ahead of this machine's, or
// 0 if they differ by less than a second.
func (s *Sessions) ClockOffset() time.Duration { return s.clock.offset() }

// refused returns an ErrRefused with a reason.
func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// unavailable wraps err in providers.ErrUnavailable.
func unavailable(err error) error { return fmt.Errorf("%w: %w", providers.ErrUnavailable, err) }
