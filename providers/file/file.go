// Package file authenticates local users against password hashes: users of the
// configuration, and those of an htpasswd file, which is read again when it
// changes.
//
// Lookup needs no network, so a file provider comes first: its accounts work
// while a directory is down, and the chain passes every other name on. A
// semaphore bounds concurrent hashing to the number of cores, at most four; one
// account holds at most a quarter of the slots, at least one. Names are
// compared without case.
//
// A hash whose parameters need more memory or time than a login can have is
// refused when the configuration is loaded.
//
//	p, err := file.New(file.Config{Users: []file.User{{
//		Name: "demo", Password: secret.New("$argon2id$…"), Groups: []string{"team-demo"},
//	}}})
package file

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/share"
	"shorepass/providers"
)

// Provider is the file provider. It is safe for concurrent use.
type Provider struct {
	users    accountSet       // of the configuration
	htpasswd *htpasswd        // nil without such a file
	slots    *share.Semaphore // for hashing, by account
	seed     maphash.Seed
}

var (
	_ providers.Provider     = (*Provider)(nil)
	_ providers.Revalidator  = (*Provider)(nil)
	_ providers.LoginChecker = (*Provider)(nil)
	_ providers.Padder       = (*Provider)(nil)
	_ providers.Pinger       = (*Provider)(nil)
	_ providers.LogSetter    = (*Provider)(nil)
	_ providers.Inspector    = (*Provider)(nil)
	_ providers.GroupLister  = (*Provider)(nil)
)

// New returns the provider of a configuration that passed Validate. It reads the
// htpasswd file, if there is one.
func New(cfg Config) (*Provider, error) {
	p := &Provider{
		slots: share.New(concurrentHashes(runtime.GOMAXPROCS(0)), maxWaiting),
		seed:  maphash.MakeSeed(),
	}
	for _, u := range cfg.Users {
		login, err := foldName(u.Name)
		if err != nil {
			return nil, fmt.Errorf("user name %w", err)
		}
		hash, err := parseHash(u.Password.Reveal())
		if err != nil {
			return nil, fmt.Errorf("password of user %q %w", u.Name, err)
		}
		a, err := newAccount(login, u, hash)
		if err != nil {
			return nil, fmt.Errorf("user %w", err)
		}
		p.users.add(a)
	}
	if cfg.Htpasswd != "" {
		var err error
		if p.htpasswd, err = openHtpasswd(cfg.Htpasswd, cfg.HtpasswdGroups, &p.users); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// maxConcurrentHashes bounds the memory that unauthenticated requests can use:
// each argon2id hash takes 19 MiB, and as much garbage until it is collected.
// One hash for each of 32 cores would exceed the 256 MiB that a pod usually
// has. Four make some 160 hashes a second.
const maxConcurrentHashes = 4

// concurrentHashes returns the limit of concurrent hashes.
func concurrentHashes(cores int) int { return min(cores, maxConcurrentHashes) }

// maxWaiting bounds the queue of passwords that wait for a slot.
const maxWaiting = 4096

// SetLog implements [providers.LogSetter]: an htpasswd file that cannot be
// read is logged.
func (p *Provider) SetLog(log *slog.Logger) {
	if p.htpasswd != nil {
		p.htpasswd.setLog(log)
	}
}

// Fingerprint implements [providers.Provider]. It is the same for every file,
// since the name identifies an account in whichever file it is.
func (p *Provider) Fingerprint() string { return "file" }

// PerSignIn implements [providers.Revalidator]: one look-up serves all
// sessions of a person.
func (p *Provider) PerSignIn() bool { return false }

// HasLogin implements [providers.LoginChecker].
func (p *Provider) HasLogin(login providers.Login) bool { return p.find(login) != nil }

// find returns the account of that name, or nil. The configuration has
// precedence.
func (p *Provider) find(login providers.Login) *account {
	if a := p.users.find(login); a != nil || p.htpasswd == nil {
		return a
	}
	return p.htpasswd.users().find(login)
}

// Lookup implements [providers.Provider]. It returns ErrNotMine immediately for
// an unknown name; [Provider.Pad] hides the difference in time.
func (p *Provider) Lookup(_ context.Context, login providers.Login) (*providers.Account, error) {
	a := p.find(login)
	if a == nil {
		return nil, providers.ErrNotMine
	}
	return &providers.Account{Subject: a.subject, State: a.state(), Prove: func(ctx context.Context, password providers.LoginPassword) (*providers.Identity, error) {
		return p.prove(ctx, a, password.Secret)
	}}, nil
}

// prove verifies the password against the account's hash.
func (p *Provider) prove(ctx context.Context, a *account, password secret.Text) (*providers.Identity, error) {
	if password.IsZero() {
		return nil, fmt.Errorf("empty password: %w", providers.ErrRejected)
	}
	right, err := p.verify(ctx, "account "+a.subject, a.hash, password)
	switch {
	case err != nil:
		return nil, err
	case !right:
		return nil, providers.Reject(providers.WrongPassword, errors.New("the hash does not match"))
	case a.disabled: // checked last, so that it takes as long as a wrong password
		return nil, providers.Reject(providers.Disabled, errors.New("the user has disabled = true"))
	}
	return a.identity(), nil
}

// verify waits for a slot under key, an account or a name without one, and
// compares the password with the hash. An error means that nothing was
// compared.
func (p *Provider) verify(ctx context.Context, key string, h hash, password secret.Text) (bool, error) {
	release, err := p.slots.Acquire(ctx, key)
	if err != nil {
		return false, providers.NotCounted(fmt.Errorf("verify a password: %w", err))
	}
	defer release()
	return h.matches([]byte(password.Reveal())), nil
}

// Pad implements [providers.Padder]. It verifies the password against a
// hash and discards the result: the account's own hash or, for an unknown name,
// that of a user whom a keyed hash of the name selects, so that hashes of
// different costs give unknown names different times, as they do known ones.
// The user is of the configuration or of the htpasswd file, whichever has more.
func (p *Provider) Pad(ctx context.Context, _ time.Time, login providers.Login, password providers.LoginPassword) {
	if a := p.find(login); a != nil {
		_, _ = p.verify(ctx, "account "+a.subject, a.hash, password.Secret)
		return
	}
	all := p.users.all
	if p.htpasswd != nil {
		if more := p.htpasswd.users().all; len(more) > len(all) {
			all = more
		}
	}
	if len(all) == 0 {
		return
	}
	i := maphash.String(p.seed, string(login)) % uint64(len(all))
	_, _ = p.verify(ctx, "name "+login.Key(), all[i].hash, password.Secret)
}

// Revalidate implements [providers.Revalidator].
func (p *Provider) Revalidate(_ context.Context, id *providers.Identity) (*providers.Identity, error) {
	a := p.find(providers.Login(id.Subject))
	switch {
	case a == nil:
		return nil, fmt.Errorf("the user no longer exists: %w", providers.ErrGone)
	case a.disabled:
		return nil, fmt.Errorf("user is disabled: %w", errors.Join(providers.ErrRejected, providers.ErrEnded))
	}
	return a.identity(), nil
}

// Inspect implements [providers.Inspector].
func (p *Provider) Inspect(_ context.Context, login providers.Login) (*providers.Inspection, error) {
	a := p.find(login)
	if a == nil {
		return nil, providers.ErrNotMine
	}
	found := &providers.Inspection{Identity: a.identity(), Namer: groupNamer}
	for _, name := range a.groups {
		found.Groups = append(found.Groups, providers.FoundGroup{Name: name})
	}
	if a.disabled {
		found.Refusals = []providers.Refusal{{Reason: providers.Disabled, Text: "the user has disabled = true", EndsSessions: true}}
	}
	return found, nil
}

// ListGroups implements [providers.GroupLister]: the groups of all users.
func (p *Provider) ListGroups(context.Context) ([]providers.FoundGroup, *providers.GroupNamer, error) {
	var found []providers.FoundGroup
	sets := []*accountSet{&p.users}
	if p.htpasswd != nil {
		sets = append(sets, p.htpasswd.users())
	}
	for _, set := range sets {
		for _, a := range set.all {
			if slices.Contains(a.unsure, providers.UnsureAll) {
				return nil, nil, fmt.Errorf("the groups of user %q are not known", a.name)
			}
			for _, name := range append(slices.Clone(a.groups), a.unsure...) {
				found = append(found, providers.FoundGroup{Name: name})
			}
		}
	}
	return found, groupNamer, nil
}

// Ping implements [providers.Pinger].
func (p *Provider) Ping(context.Context) (providers.Findings, error) {
	found := providers.Findings{providers.Infof("%d users in the configuration", len(p.users.all))}
	if p.htpasswd == nil {
		return found, nil
	}
	users := p.htpasswd.users()
	return append(found, providers.Infof("%d users in %s", len(users.all), p.htpasswd.path)), p.htpasswd.lastError()
}
