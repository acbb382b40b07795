package providers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/throttle"
)

// directory is a fake provider that counts the requests and the secrets that reach it.
type directory struct {
	accounts map[Login]fakeAccount
	domains  []string         // configured domains of login names
	takes    []Kind           // kinds that it accepts; default: passwords
	issuers  []string         // that it trusts
	plain    bool             // it issues no refresh token for an offline login
	catches  bool             // it cannot know names: it rejects unknown ones, and Lookup has no subject
	slow     time.Duration    // how long each Prove takes
	refuse   map[string]error // the answer to a password
	print    string

	mu      sync.Mutex
	asked   []Login       // names that were looked up, "" for each token
	secrets []string      // that reached Prove
	broken  error         // the answer to every request
	revoked []secret.Text // refresh tokens
	one     bool          // it stores one refresh token for each person
	revoke  RevokeWhen    // RevokeLast if empty
	again   func(*Identity) (*Identity, error)
}

type fakeAccount struct {
	password, subject, user string
	groups                  []string
	state                   string // of the account
	refusal                 error  // to the right password
}

func (d *directory) Fingerprint() string           { return "fake " + d.print }
func (d *directory) TrustsIssuer(iss string) bool  { return slices.Contains(d.issuers, iss) }
func (d *directory) CatchesAll() bool              { return d.catches }
func (d *directory) Domains() []string             { return d.domains }
func (d *directory) PerSignIn() bool               { return d.catches }
func (d *directory) OneTokenPerPerson() bool       { return d.one }
func (d *directory) Reauthenticate() time.Duration { return time.Hour }
func (d *directory) RevokeWhen() RevokeWhen        { return cmp.Or(d.revoke, RevokeLast) }
func (d *directory) Accepts(kind Kind) bool {
	if d.takes == nil {
		return kind == Password
	}
	return slices.Contains(d.takes, kind)
}

func (d *directory) Lookup(_ context.Context, login Login) (*Account, error) {
	if err := d.ask(login); err != nil {
		return nil, err
	}
	d.mu.Lock()
	a, known := d.accounts[login]
	d.mu.Unlock()
	if !known && !d.catches {
		return nil, fmt.Errorf("%q: %w", login, ErrNotMine)
	}
	subject := a.subject
	if d.catches {
		subject = ""
	}
	return &Account{Subject: subject, State: a.state, Prove: func(ctx context.Context, p LoginPassword) (*Identity, error) {
		return d.prove(ctx, p.Secret, p.Offline, a, known && a.password == p.Secret.Reveal())
	}}, nil
}

func (d *directory) VerifyIDToken(ctx context.Context, token secret.Text) (*Identity, error) {
	return d.redeem(ctx, token)
}

func (d *directory) RedeemRefreshToken(ctx context.Context, token secret.Text) (*Identity, error) {
	return d.redeem(ctx, token)
}

// redeem proves the account whose name is the token.
func (d *directory) redeem(ctx context.Context, token secret.Text) (*Identity, error) {
	if err := d.ask(""); err != nil {
		return nil, err
	}
	a, known := d.accounts[Login(token.Reveal())]
	return d.prove(ctx, token, false, a, known)
}

// ask records a request, and returns the answer to every request, if there is one.
func (d *directory) ask(login Login) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, login)
	return d.broken
}

func (d *directory) prove(ctx context.Context, text secret.Text, offline bool, a fakeAccount, right bool) (*Identity, error) {
	d.mu.Lock()
	d.secrets = append(d.secrets, text.Reveal())
	d.mu.Unlock()
	select {
	case <-time.After(d.slow):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := d.refuse[text.Reveal()]; err != nil {
		return nil, err
	}
	if !right {
		return nil, fmt.Errorf("bind: %w", ErrRejected)
	}
	if a.refusal != nil {
		return nil, a.refusal
	}
	id := &Identity{Subject: a.subject, User: a.user, Groups: a.groups}
	if offline && !d.plain {
		id.RefreshToken = secret.New("refresh token")
	}
	return id, nil
}

func (d *directory) Revalidate(_ context.Context, id *Identity) (*Identity, error) {
	return d.again(id)
}

func (d *directory) Revoke(_ context.Context, refreshToken secret.Text) error {
	d.revoked = append(d.revoked, refreshToken)
	return nil
}

// reached returns how many secrets reached the provider.
func (d *directory) reached() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.secrets)
}

func (d *directory) searches() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

// put creates or changes an account.
func (d *directory) put(login Login, a fakeAccount) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts[login] = a
}

func (d *directory) set(broken error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}

// The limits of the throttle.
const (
	addressFailures = 30                        // distinct failures of an address
	addressWindow   = 10 * time.Minute          // in which they count
	maxRunning      = 16                        // concurrent logins from one address
	maxWaiting      = 256                       // further logins from it that wait
	window          = 31 * time.Minute          // after which a window expires
	limit           = defaultWrongPasswords     // wrong passwords of a login with a proof
	strangers       = defaultWrongPasswords - 1 // wrong passwords of a login without a proof
	refusalTTL      = 30 * time.Second          // refusals for another reason
)

func account(password, subject, user string, groups ...string) fakeAccount {
	return fakeAccount{password: password, subject: subject, user: user, groups: groups}
}

// bob is an account under three names.
func bob() map[Login]fakeAccount {
	a := account("right", "uuid-1", "bob", "devs")
	return map[Login]fakeAccount{
		"bob": a, `corp\bob`: a, "bob@corp.example": a,
		"alice": account("right", "uuid-2", "alice"),
	}
}

// one returns a chain of d alone, changed by edit.
func one(t *testing.T, d *directory, edit func(*Config)) *Chain {
	t.Helper()
	cfg := Config{Name: "corp", Kind: "ldap"}
	if edit != nil {
		edit(&cfg)
	}
	return chainOf(t, newThrottle(t), Member{d, cfg})
}

// newThrottle returns a throttle of one process.
func newThrottle(t testing.TB) *throttle.Throttle { return newReplica(t, throttle.NewMemoryStore()) }

// newReplica returns the throttle of a process that shares a store.
func newReplica(t testing.TB, store throttle.Store) *throttle.Throttle {
	return newThrottleOf(t, store, "")
}

// newThrottleOf returns the throttle of a process with a hash of its provider tables.
func newThrottleOf(t testing.TB, store throttle.Store, tables string) *throttle.Throttle {
	limits := throttle.New(store, make([]byte, 32), throttleConfig(tables), slog.New(slog.DiscardHandler))
	t.Cleanup(limits.Close)
	return limits
}

func throttleConfig(tables string) throttle.Config {
	return ThrottleConfig{}.WithDefaults().Options(tables)
}

func chainOf(t *testing.T, limits *throttle.Throttle, members ...Member) *Chain {
	t.Helper()
	return chainWith(t, limits, Options{}, members...)
}

func chainWith(t *testing.T, limits *throttle.Throttle, o Options, members ...Member) *Chain {
	t.Helper()
	for i := range members {
		members[i].Config = members[i].Config.WithDefaults()
	}
	c, err := NewChain(members, limits, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

var (
	home     = netip.MustParseAddr("192.0.2.1")
	stranger = netip.MustParseAddr("198.51.100.7")
)

// typed is a password from an address.
func typed(login Login, password string, from netip.Addr) Credential {
	return Credential{Login: login, Secret: secret.New(password), Address: from, Service: "registry"}
}

func (c *Chain) try(t *testing.T, cred Credential) error {
	t.Helper()
	id, err := c.Authenticate(t.Context(), cred)
	if (id == nil) == (err == nil) {
		t.Fatalf("Authenticate(%q) = %v, %v, want either an identity or an error", cred.Login, id, err)
	}
	return err
}
