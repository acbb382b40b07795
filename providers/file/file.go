// Package file proves local users: those in the configuration, and those of an
// htpasswd file, which is read again whenever it changes.
//
// A name is looked up in no time and without asking anybody, so a file comes
// first in the order of providers: its accounts work while a directory is
// down, and every other name is passed on. At most as many passwords are
// verified at once as there are cores, and never more than four; those of one
// account are at most a quarter of them, at least one, and accounts take turns.
// Case makes no difference in names.
//
// A hash in the configuration that would take the server down, because it asks
// for more memory or time than a login can have, is refused when it is loaded.
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
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/share"
	"shorepass/providers"
)

// Provider is the file provider. It is safe for concurrent use.
type Provider struct {
	users    accountSet       // of the configuration
	htpasswd *htpasswd        // nil without such a file
	slots    *share.Semaphore // of the passwords that are being verified, by account
	seed     maphash.Seed
}

var (
	_ providers.Provider     = (*Provider)(nil)
	_ providers.Revalidator  = (*Provider)(nil)
	_ providers.LoginChecker = (*Provider)(nil)
	_ providers.Padder       = (*Provider)(nil)
	_ providers.Pinger       = (*Provider)(nil)
	_ providers.LogSetter    = (*Provider)(nil)
)

// New returns the provider of a configuration that passed Validate. It reads
// the htpasswd file, if there is one.
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

// maxAtOnce bounds the memory that strangers can have us use: each argon2id hash
// takes 19 MiB, and garbage as much again until it is collected. With 32 cores
// and a pod's usual 256 MiB, as many at once as there are cores would end the
// process. Four are some 160 a second.
const maxConcurrentHashes = 4

// atOnce is how many passwords are verified at once.
func concurrentHashes(cores int) int { return min(cores, maxConcurrentHashes) }

// maxWaiting is how many passwords wait to be verified, at most.
const maxWaiting = 4096

// SetLog gives the provider a log, for an htpasswd file that went bad.
func (p *Provider) SetLog(log *slog.Logger) {
	if p.htpasswd != nil {
		p.htpasswd.reportTo(log)
	}
}

// Fingerprint implements [providers.Provider]. An account is known by its
// name, wherever it is written.
func (p *Provider) Fingerprint() string { return "file" }

// PerSession implements [providers.Revalidator]: a look into a map serves all
// of a person's sessions.
func (p *Provider) PerSession() bool { return false }

// HasLogin implements [providers.LoginChecker].
func (p *Provider) HasLogin(login providers.Login) bool { return p.find(login) != nil }

// find returns the account of that name, or nil. The configuration goes first.
func (p *Provider) find(login providers.Login) *account {
	if a := p.users.find(login); a != nil || p.htpasswd == nil {
		return a
	}
	return p.htpasswd.users().find(login)
}

// Lookup implements [providers.Provider]. An unknown name is ErrNotMine at once;
// [Provider.Pad] spends the time that hides it.
func (p *Provider) Lookup(_ context.Context, login providers.Login) (*providers.Account, error) {
	a := p.find(login)
	if a == nil {
		return nil, providers.ErrNotMine
	}
	return &providers.Account{Subject: a.subject, State: a.state(), Prove: func(ctx context.Context, proof providers.Proof) (*providers.Identity, error) {
		return p.prove(ctx, a, proof.Secret)
	}}, nil
}

// prove compares the password with the account's hash.
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
	case a.disabled: // said only now, so that it takes as long as a wrong password
		return nil, providers.Reject(providers.Disabled, errors.New("the user has disabled = true"))
	}
	return a.identity(), nil
}

// verify waits for a core in the share of an account, or of a name that has none,
// and compares. An error means that nothing was compared.
func (p *Provider) verify(ctx context.Context, of string, h hash, password secret.Text) (bool, error) {
	release, err := p.slots.Acquire(ctx, of)
	if err != nil {
		return false, providers.NotSent(fmt.Errorf("verify a password: %w", err))
	}
	defer release()
	return h.matches([]byte(password.Reveal())), nil
}

// Pad implements [providers.Padder]. It verifies the password against a
// hash and throws the outcome away: the account's own, or some user's where no
// account has the name. Whose that is depends on the name, so that where there are
// hashes of unlike cost, unknown names take now this long and now that, as known
// ones do; of the configuration and the htpasswd file, it is one of the larger.
func (p *Provider) Pad(ctx context.Context, _ time.Time, login providers.Login, proof providers.Proof) {
	if a := p.find(login); a != nil {
		_, _ = p.verify(ctx, "account "+a.subject, a.hash, proof.Secret)
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
	_, _ = p.verify(ctx, "name "+login.Key(), all[i].hash, proof.Secret)
}

// Revalidate implements [providers.Revalidator].
func (p *Provider) Revalidate(_ context.Context, id *providers.Identity) (*providers.Identity, error) {
	a := p.find(providers.Login(id.Subject))
	switch {
	case a == nil:
		return nil, fmt.Errorf("no such user any more: %w", providers.ErrGone)
	case a.disabled:
		return nil, fmt.Errorf("user is disabled: %w", errors.Join(providers.ErrRejected, providers.ErrEnded))
	}
	return a.identity(), nil
}

// Ping implements [providers.Pinger].
func (p *Provider) Ping(context.Context) ([]string, error) {
	found := []string{fmt.Sprintf("%d users in the configuration", len(p.users.all))}
	if p.htpasswd == nil {
		return found, nil
	}
	users := p.htpasswd.users()
	return append(found, fmt.Sprintf("%d users in %s", len(users.all), p.htpasswd.path)), p.htpasswd.lastError()
}
