package providers

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"shorepass/internal/latency"
	"shorepass/internal/lru"
	"shorepass/internal/share"
)

// Stats are the gauges and counters of a chain, since it was made.
type Stats struct {
	Logins    int             // logins in progress, of maxLogins
	Passwords lru.Stats       // the cache of right passwords
	Providers []ProviderStats // in the order of the chain
}

// ProviderStats are those of one provider.
type ProviderStats struct {
	Name  string
	Up    bool                 // see [Chain.Down]
	Calls map[string]CallStats // calls of the chain, by operation; without those that the provider does not offer
	Peer  PeerStats            // the provider's own; zero where it has none
}

// CallStats are those of one operation of a provider: "lookup" of an account, "prove" a
// password, "verify_id_token", "redeem_refresh_token", "revalidate" and "revoke"; of a sign-in
// with a browser "authorize", "redeem_code" and "verify_logout_token".
type CallStats struct {
	latency.Stats // Failures are the outcomes that mean unavailable

	// Outcomes counts the calls by "ok", "not_mine", "rejected", "gone", "cannot"
	// (be asked again), "busy" (too many at a time), "canceled" (by the client) and
	// "unavailable".
	Outcomes map[string]uint64
}

// PeerReporter is a Provider that counts what it asks of other machines.
type PeerReporter interface {
	PeerStats() PeerStats
}

// PeerStats are the gauges and counters of a provider, since it was made.
type PeerStats struct {
	Requests map[string]latency.Stats // to other machines, by operation
	Pools    map[string]PoolStats     // of connections, by name
	Servers  map[string]bool          // which are up, by URL
	Caches   map[string]lru.Stats     // by name

	Keys        int       // usable signing keys of the last key set
	KeysFetched time.Time // when it was fetched; the zero Time where there is none
}

// PoolStats are the gauges of a pool of connections.
type PoolStats struct{ InUse, Idle, Max, Waiting int }

// Operations of a provider, as metrics name them.
const (
	callLookup      = "lookup"
	callProve       = "prove"
	callIDToken     = "verify_id_token"
	callRefresh     = "redeem_refresh_token"
	callAgain       = "revalidate"
	callRevoke      = "revoke"
	callAuthorize   = "authorize"
	callRedeemCode  = "redeem_code"
	callLogoutToken = "verify_logout_token"
)

// callOutcome is an index of callOutcomes.
type callOutcome int

const (
	callOK callOutcome = iota
	callNotMine
	callRejected
	callGone
	callCannot
	callBusy
	callCanceled
	callUnavailable
)

var callOutcomes = [...]string{"ok", "not_mine", "rejected", "gone", "cannot", "busy", "canceled", "unavailable"}

// outcomeOfCall returns the outcome of a call by its error.
func outcomeOfCall(err error) callOutcome {
	_, isAuthorizationError := errors.AsType[*AuthorizationError](err)
	switch {
	case err == nil:
		return callOK
	case isAuthorizationError:
		return callRejected
	case errors.Is(err, ErrNotMine):
		return callNotMine
	case errors.Is(err, ErrRejected):
		return callRejected
	case errors.Is(err, ErrGone):
		return callGone
	case errors.Is(err, ErrCannotRevalidate):
		return callCannot
	case errors.Is(err, share.ErrBusy):
		return callBusy
	case errors.Is(err, context.Canceled):
		return callCanceled
	}
	return callUnavailable
}

// calls counts the calls of one provider.
type calls struct {
	took     *latency.Recorder
	outcomes map[string]*[len(callOutcomes)]atomic.Uint64 // by operation; constant
}

func newCalls() calls {
	names := []string{callLookup, callProve, callIDToken, callRefresh, callAgain, callRevoke, callAuthorize, callRedeemCode, callLogoutToken}
	c := calls{took: latency.New(names...), outcomes: make(map[string]*[len(callOutcomes)]atomic.Uint64)}
	for _, name := range names {
		c.outcomes[name] = new([len(callOutcomes)]atomic.Uint64)
	}
	return c
}

// record counts a call that began at a time and ends now.
func (c *calls) record(operation string, began time.Time, err error) {
	outcome := outcomeOfCall(err)
	c.took.Record(operation, began, outcome == callUnavailable)
	c.outcomes[operation][outcome].Add(1)
}

// stats returns the operations that has returns true for.
func (c *calls) stats(has func(operation string) bool) map[string]CallStats {
	all := make(map[string]CallStats)
	for name, took := range c.took.Stats() {
		if !has(name) {
			continue
		}
		s := CallStats{Stats: took, Outcomes: make(map[string]uint64, len(callOutcomes))}
		for i := range callOutcomes {
			s.Outcomes[callOutcomes[i]] = c.outcomes[name][i].Load()
		}
		all[name] = s
	}
	return all
}

// has reports whether the chain can call an operation of the provider.
func (m *member) has(operation string) bool {
	switch operation {
	case callIDToken:
		return m.idTokens != nil && m.accepts(IDToken)
	case callRefresh:
		return m.refresh != nil && m.accepts(RefreshToken)
	case callAgain:
		return m.revalidator != nil
	case callRevoke:
		return m.revoker != nil
	case callAuthorize, callRedeemCode, callLogoutToken:
		return m.signsIn()
	}
	return m.accepts(Password)
}

// Stats returns the gauges as of now, and the counters.
func (c *Chain) Stats() Stats {
	s := Stats{Logins: c.logins.inProgress(), Passwords: c.passwords.stats()}
	for _, m := range c.members {
		one := ProviderStats{Name: m.config.Name, Up: !m.down.Load(), Calls: m.calls.stats(m.has)}
		if m.peerReporter != nil {
			one.Peer = m.peerReporter.PeerStats()
		}
		s.Providers = append(s.Providers, one)
	}
	return s
}
