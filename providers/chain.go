package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
// A password passes, in this order, what is remembered as right, what is
// remembered as refused, the throttle, and then the providers, until one knows
// more than that the name is not its own.
type Chain struct {
	members  []*member
	memory   *memory
	flights  flights
	throttle *throttle.Throttle
	log      *slog.Logger
}

// NewChain returns a chain of members, in this order. The counters may be
// shared with other chains and processes. It asks nobody; [Chain.Start] begins
// what providers do in the background, and [Chain.Close] must end each chain,
// started or not.
func NewChain(members []Member, counters throttle.Counters, log *slog.Logger) (*Chain, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Chain{memory: newMemory(), throttle: throttle.New(counters, chainLimit), log: log}
	c.flights = flights{log: log, flying: make(map[throttle.Mark]*flight)}
	configs := make([]Config, len(members))
	var faults []error
	for i, m := range members {
		configs[i] = m.Config.WithDefaults()
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
		m.foreign, m.log = foreignPrefixes(m, c.members), log.With("provider", m.config.Name)
		if m.reporter != nil {
			m.reporter.ReportTo(m.log)
		}
	}
	return c, nil
}

// Authenticate proves a credential; one that [Chain.Recognize] has not seen yet
// it recognizes first. The error wraps ErrRejected, ErrGone or ErrUnavailable,
// or is a [*throttle.RetryAfter]. It takes ten seconds at most.
//
// What was once begun is seen through to its end and counted, though ctx ends
// before: a guess that is cut off must not be one that nobody counts. Whoever
// waits for an equal login of somebody else waits no longer than ctx.
func (c *Chain) Authenticate(ctx context.Context, cred Credential) (_ *Identity, err error) {
	defer classify(&err)
	if cred, err = c.admissible(cred); err != nil {
		return nil, err
	}
	key := c.memory.key(cred)
	if cred.Kind() == Password && !cred.Offline {
		if id := c.memory.recall(key); id != nil {
			return id, nil
		}
	}
	ends := time.Now().Add(chainLimit)
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	// An offline token of a provider belongs to one login. A refresh token
	// that came twice at once is sent once all the same, or a provider that
	// rotates it would take the second for theft.
	sharing := cred.Kind() != Password || !cred.Offline
	for proved := false; ; {
		f, lead, err := c.flights.fly(ctx, ends, key, proved, func(ctx context.Context) (*Identity, error) { return c.login(ctx, key, cred, proved) })
		if err != nil {
			return nil, err
		}
		if lead {
			return f.identity, f.err
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the same login: %w", context.Cause(ctx))
		}
		_, held := errors.AsType[*throttle.RetryAfter](f.err)
		switch {
		case f.err == nil && sharing:
			return f.identity, nil
		case f.err == nil:
			proved = true // a moment ago, so nobody needs to wait for another's turn
		case held:
			// Said of the other's address, which may not be this one.
		default:
			return nil, f.err
		}
	}
}

// admissible recognizes a credential and refuses what no provider shall ever
// see. It is cheap, and comes before everything that is not.
func (c *Chain) admissible(cred Credential) (Credential, error) {
	if cred.Kind() == 0 {
		cred = c.Recognize(cred)
	}
	secret := cred.Secret.Reveal()
	switch {
	case strings.Trim(secret, " \t\r\n\x00") == "":
		return cred, fmt.Errorf("empty password: %w", ErrRejected)
	case len(secret) > maxToken, len(secret) > maxPassword && cred.Kind() == Password:
		return cred, fmt.Errorf("password of %d bytes: %w", len(secret), ErrRejected)
	case strings.ContainsRune(secret, 0):
		// What ends at its first NUL is empty if it begins with one, and a
		// bind with an empty password succeeds (RFC 4513, section 5.1.2).
		return cred, fmt.Errorf("password with a NUL: %w", ErrRejected)
	case cred.Kind() == Password && (cred.Login == "" || cred.Login.Reserved()):
		return cred, fmt.Errorf("a user name that is nobody's: %w", ErrRejected)
	}
	return cred, nil
}

// Hopeless returns the error with which Authenticate would refuse a credential
// without asking anybody, or nil. It is for anyone who has something costly to
// do before, and counts nothing.
func (c *Chain) Hopeless(ctx context.Context, cred Credential) (err error) {
	defer classify(&err)
	if cred, err = c.admissible(cred); err != nil {
		return err
	}
	if cred, err = cred.directed(); err != nil {
		return err
	}
	return c.throttle.Check(ctx, cred.guess(false))
}

// Forget drops what is remembered of the passwords of those whom match picks, for
// when their sessions are revoked.
func (c *Chain) Forget(match func(*Identity) bool) { c.memory.forget(match) }
