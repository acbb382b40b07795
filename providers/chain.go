package providers

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"shorepass/throttle"
)

// chainLimit is what all providers together may take for one login. docker
// gives up after 15 seconds; one server is given three by its provider.
const chainLimit = 10 * time.Second

// Member is one configured provider.
type Member struct {
	Provider Provider
	Config   Config
}

// Chain asks the configured providers in order, and is the only one who asks
// them. It is safe for concurrent use, never changed once made, and replaced
// whole by a reload.
//
// A password passes, in this order, the throttle's windows of its name and address,
// the cache of right passwords, the look-up of its account, the throttle's window
// of the account, and the proof, until a provider knows more than that the name is
// not its own.
type Chain struct {
	members      []*member
	domains      map[string]bool // that may come with a login name, by their keys
	passwords    *passwordCache
	logins       logins
	refusalTimes durations // how long logins took to be refused
	throttle     *throttle.Throttle
	breaker      CircuitBreaker // nil for none
	log          *slog.Logger
}

// Options are the optional parts of a chain.
type Options struct {
	CircuitBreaker CircuitBreaker // the circuit breaker. Optional
	Log            *slog.Logger   // default: none
}

// NewChain returns a chain of members, in this order. Their defaults must be in
// place; the error joins their faults. The throttle is shared with the chains
// before and after. It asks no provider; [Chain.Start] begins their work in
// the background, and [Chain.Close] must end each chain, started or not.
func NewChain(members []Member, limits *throttle.Throttle, o Options) (*Chain, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Chain{passwords: newPasswordCache(), logins: newLogins(log), throttle: limits, breaker: o.CircuitBreaker, log: log}
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

// Forget drops what is remembered of the passwords of those whom match picks, for
// when their sessions are revoked.
func (c *Chain) Forget(match func(*Identity) bool) { c.passwords.forget(match) }
