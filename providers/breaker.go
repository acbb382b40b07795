package providers

import (
	"errors"
	"fmt"

	"shorepass/throttle"
)

// CircuitBreaker is the circuit breaker of providers that reject too many people at
// once. Its methods are called on the way of a login, and ask
// another machine once a second at most.
type CircuitBreaker interface {
	// Doubted reports whether the circuit breaker of a provider is open, so that
	// its rejections are not believed.
	Doubted(provider string) bool

	// NoteLogin counts a login that a provider answered. Account is its Subject,
	// or the key of the login name where no Subject is known; known says that the
	// login has a proof at its address (anybody else can be a stranger, who must
	// not open the circuit), accepted that the provider found the password right.
	NoteLogin(provider, account string, known, accepted bool)
}

// doubted returns the first of members whose circuit breaker is open, or nil.
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

// circuitOpenError returns a rejection as an error that means unavailable: for every
// name alike, or the answer would tell which exist.
func (m *member) circuitOpenError(err error) error {
	return m.wrap(fmt.Errorf("circuit open: the provider rejects too many people at once: %v", err))
}

// noteLogin tells the circuit breaker how a provider answered a login. One that
// could not tell counts for nothing.
func (c *Chain) noteLogin(a *throttle.Attempt, m *member, account string, err error) {
	if c.breaker == nil || isUnrecognized(err) {
		return
	}
	accepted := err == nil || errors.Is(err, ErrRejected) && ReasonOf(err) == RefusedByConfig
	c.breaker.NoteLogin(m.config.Name, account, a.HasProof(), accepted)
}
