package providers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	throttle "shorepass/throttle/counting"
)

// directory is a provider of the test's own making, which counts what reaches
// it.
type directory struct {
	accounts map[Login]fakeAccount
	takes    []Kind           // default: passwords
	issuers  []string         // whose tokens it trusts
	catches  bool             // cannot know names: unknown ones are rejected, and no subject is known beforehand
	slow     time.Duration    // what each answer takes
	refuse   map[string]error // what is answered to a password
	print    string

	mu       sync.Mutex
	asked    []Login       // those that were looked up, "" for each token
	secrets  []string      // those that were to be proved
	broken   error         // what it answers to everything
	renewals []secret.Text // revoked
	again    func(*Identity) (*Identity, error)
}

type fakeAccount struct {
	password, subject, user string
	groups                  []string
}

func (d *directory) Fingerprint() string          { return "fake " + d.print }
func (d *directory) TrustsIssuer(iss string) bool { return slices.Contains(d.issuers, iss) }
func (d *directory) CatchesAll() bool             { return d.catches }
func (d *directory) PerSession() bool             { return d.catches }
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
	a, known := d.accounts[login]
	if !known && !d.catches {
		return nil, fmt.Errorf("%q: %w", login, ErrNotMine)
	}
	subject := a.subject
	if d.catches {
		subject = ""
	}
	return &Account{Subject: subject, Prove: func(ctx context.Context, p Proof) (*Identity, error) {
		return d.prove(ctx, p.Secret, p.Offline, a, known && a.password == p.Secret.Reveal())
	}}, nil
}

func (d *directory) VerifyIDToken(ctx context.Context, token secret.Text) (*Identity, error) {
	return d.redeem(ctx, token)
}

func (d *directory) RedeemRefreshToken(ctx context.Context, token secret.Text) (*Identity, error) {
	return d.redeem(ctx, token)
}

// redeem takes the account whose name is the token.
func (d *directory) redeem(ctx context.Context, token secret.Text) (*Identity, error) {
	if err := d.ask(""); err != nil {
		return nil, err
	}
	a, known := d.accounts[Login(token.Reveal())]
	return d.prove(ctx, token, false, a, known)
}

// ask notes a question and returns what is answered to everything, if there is
// such an answer.
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
	id := &Identity{Subject: a.subject, User: a.user, Groups: a.groups}
	if offline {
		id.Renewal = secret.New("renewal")
	}
	return id, nil
}

func (d *directory) Revalidate(_ context.Context, id *Identity) (*Identity, error) {
	return d.again(id)
}

func (d *directory) Revoke(_ context.Context, renewal secret.Text) error {
	d.renewals = append(d.renewals, renewal)
	return nil
}

// reached returns how many secrets came to the provider.
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

func (d *directory) set(broken error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}

// The limits of the throttle, as these tests know them.
const (
	addressFailures = 30               // distinct failures of an address
	refusedFor      = 10 * time.Minute // in which they count
	placeAtOnce     = 16               // logins from one address that are tried at once
	placeWaits      = 256              // and those that wait for their turn
)

// bob is an account under three names.
func bob() map[Login]fakeAccount {
	a := fakeAccount{"right", "uuid-1", "bob", []string{"devs"}}
	return map[Login]fakeAccount{
		"bob": a, `corp\bob`: a, "bob@corp.example": a,
		"alice": {"right", "uuid-2", "alice", nil},
	}
}

// one returns a chain of d alone, changed by edit.
func one(t *testing.T, d *directory, edit func(*Config)) *Chain {
	t.Helper()
	cfg := Config{Name: "corp", Kind: "ldap"}
	if edit != nil {
		edit(&cfg)
	}
	return chainOf(t, throttle.NewLocalCounters(), Member{d, cfg})
}

func chainOf(t *testing.T, counters throttle.Counters, members ...Member) *Chain {
	t.Helper()
	for i := range members {
		members[i].Config = members[i].Config.WithDefaults()
	}
	c, err := NewChain(members, counters, nil)
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
