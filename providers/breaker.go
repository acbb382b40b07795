package providers

import (
	"errors"
	"fmt"

	"shorepass/throttle"
)

// CircuitBreaker is the circuit breaker of each provider: its circuit opens when the
// provider newly rejects too many people. The methods are called during logins, and
// send a request to another machine once a second at most.
type CircuitBreaker interface {
	// Doubted reports whether the circuit of a provider is open, so that its
	// rejections are void.
	Doubted(provider string) bool

	// NoteLogin counts a login that a provider answered. account is its Subject or,
	// where no Subject is known, the key of the login name. known says that the login
	// name has a proof at the address: without one the client may be a stranger, who
	// must not open the circuit. accepted says that the password was right.
	NoteLogin(provider, account string, known, accepted bool)
}

// doubted returns the first of members whose circuit is open, or nil.
func (c *Chain) doubted(members ...*member) *member {
	if c.breaker == nil {
		return nil
	}
	for _, m := range members {
		if c.breaker.Doubted(m.config.Name) {
			return m
		}
	}
	return nil
}

// circuitOpenError turns a rejection into an error that means unavailable. It does so
// for every name, or the answer would tell which names exist.
func (m *member) circuitOpenError(err error) error {
	return m.wrap(fmt.Errorf("circuit open: the provider rejects too many people: %v", err))
}

// noteLogin has the circuit breaker count the answer of a provider to a login. An
// unavailable provider gave none.
func (c *Chain) noteLogin(a *throttle.Attempt, m *member, account string, err error) {
	if c.breaker == nil || isUnrecognized(err) {
		return
	}
	accepted := err == nil || errors.Is(err, ErrRejected) && ReasonOf(err) == RefusedByConfig
	c.breaker.NoteLogin(m.config.Name, account, a.HasProof(), accepted)
}
