package providers

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"shorepass/internal/secret"
	"shorepass/throttle"
)

// chainLimit is how long all providers together may take for one login. docker gives
// up after 15 seconds; a provider gives each of its servers three.
const chainLimit = 10 * time.Second

// Member is one configured provider.
type Member struct {
	Provider Provider
	Config   Config
}

// Chain asks the configured providers in order. Nothing else calls a provider. A chain
// is safe for concurrent use and immutable; a reload replaces it whole.
//
// A password passes, in this order, the name window and the address budget, the cache
// of right passwords, Lookup of one provider after another until one does not answer
// ErrNotMine, the account window, and Prove.
type Chain struct {
	members      []*member
	domains      map[string]bool // configured domains of login names, by their keys
	passwords    *passwordCache
	logins       logins
	browsers     browserLimit
	refusalTimes durations // of logins that were refused
	throttle     *throttle.Throttle
	breaker      CircuitBreaker // nil for none
	ourToken     func(secret.Text) bool
	log          *slog.Logger
}

// Options are the optional parts of a chain.
type Options struct {
	CircuitBreaker CircuitBreaker // default: none
	Log            *slog.Logger   // default: none

	// OurToken reports whether a text is a token of ours, valid or not, which the
	// sign-in form rejects. Default: no text is.
	OurToken func(text secret.Text) bool
}

// NewChain returns a chain of members, in this order. Their defaults must be in place;
// the error joins their faults. The throttle outlives the chain. NewChain asks no
// provider. [Chain.Start] begins the work of the providers in the background;
// [Chain.Close] must end each chain, started or not.
func NewChain(members []Member, limits *throttle.Throttle, o Options) (*Chain, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ourToken := o.OurToken
	if ourToken == nil {
		ourToken = func(secret.Text) bool { return false }
	}
	c := &Chain{passwords: newPasswordCache(), logins: newLogins(log), browsers: newBrowserLimit(), throttle: limits, breaker: o.CircuitBreaker, ourToken: ourToken, log: log}
	configs := make([]Config, len(members))
	var faults []error
	for i, m := range members {
		configs[i] = m.Config
		configs[i].Validate(func(key, problem string) {
			faults = append(faults, fmt.Errorf("provider[%d].%s: %s", i, key, problem))
		})
		c.members = append(c.members, newMember(m.Provider, configs[i]))
	}
	ValidateTogether(configs, func(i int, key, problem string) {
		faults = append(faults, fmt.Errorf("provider[%d].%s: %s", i, key, problem))
	})
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	for _, m := range c.members {
		m.foreign, m.local = foreignPrefixes(m, c.members), localUsers(m, c.members)
		m.log = log.With("provider", m.config.Name)
		if m.logSetter != nil {
			m.logSetter.SetLog(m.log)
		}
	}
	c.domains = domainsOf(c.members)
	return c, nil
}

// Forget deletes the cached passwords of the identities that match, after their sessions
// were revoked.
func (c *Chain) Forget(match func(*Identity) bool) { c.passwords.forget(match) }
