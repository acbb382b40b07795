package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
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
	throttle *throttle
	log      *slog.Logger
}

// member is a provider with what the chain does around it.
type member struct {
	provider Provider
	config   Config // with its defaults
	folded   string // its name as part of a Login
	prefix   string
	foreign  []string // longer prefixes of others that a name behind prefix could begin with
	match    globs
	require  globs
	tokens   TokenIssuer // nil where it takes passwords only
	knower   Knower      // nil where it cannot know
	log      *slog.Logger
	warned   atomic.Bool // of a group that would be another provider's
	down     atomic.Bool // its last answer was that it cannot tell; see noteAvailability
}

// NewChain returns a chain of members, in this order. The counters may be
// shared with other chains and processes. It asks nobody; [Chain.Start] begins
// what providers do in the background, and [Chain.Close] must end each chain,
// started or not.
func NewChain(members []Member, counters Counters, log *slog.Logger) (*Chain, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Chain{memory: newMemory(), throttle: newThrottle(counters), log: log}
	c.flights = flights{log: log, flying: make(map[Mark]*flight)}
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
		if r, ok := m.provider.(Reporter); ok {
			r.ReportTo(m.log)
		}
	}
	return c, nil
}

func newMember(p Provider, config Config) *member {
	m := &member{
		provider: p,
		config:   config,
		folded:   foldLogin(config.Name),
		match:    compileLoginGlobs(config.Match),
		require:  compileGlobs(config.RequireGroups),
	}
	if config.Prefix != nil {
		m.prefix = *config.Prefix
	}
	m.tokens, _ = p.(TokenIssuer)
	m.knower, _ = p.(Knower)
	return m
}

func (m *member) accepts(kind Kind) bool {
	if m.tokens == nil {
		return kind == Password
	}
	return m.tokens.Accepts(kind)
}

func (m *member) trusts(issuer string) bool { return m.tokens != nil && m.tokens.TrustsIssuer(issuer) }

// Authenticate proves a credential whose Kind is what [Chain.Recognize] says.
// The error wraps ErrRejected, ErrGone or ErrUnavailable, or is a
// [*RetryAfter]. It takes ten seconds at most.
//
// What was once begun is seen through to its end and counted, though ctx ends
// before: a guess that is cut off must not be one that nobody counts. Whoever
// waits for an equal login of somebody else waits no longer than ctx.
func (c *Chain) Authenticate(ctx context.Context, cred Credential) (_ *Identity, err error) {
	defer markUnavailable(&err)
	if err := admissible(cred); err != nil {
		return nil, err
	}
	key := c.memory.key(cred)
	if cred.Kind == Password && !cred.Offline {
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
	sharing := cred.Kind != Password || !cred.Offline
	for right := false; ; {
		f, lead, err := c.flights.fly(ctx, ends, key, right, func(ctx context.Context) (*Identity, error) { return c.login(ctx, key, cred, right) })
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
		_, held := errors.AsType[*RetryAfter](f.err)
		switch {
		case f.err == nil && sharing:
			return f.identity, nil
		case f.err == nil:
			right = true // as was just proved, so nobody needs to wait for another's turn
		case held:
			// Said of the other's address, which may not be this one.
		default:
			return nil, f.err
		}
	}
}

// admissible refuses what no provider shall ever see. It is cheap, and comes
// before everything that is not.
func admissible(cred Credential) error {
	secret := cred.Secret.Reveal()
	switch {
	case strings.Trim(secret, " \t\r\n\x00") == "":
		return fmt.Errorf("empty password: %w", ErrRejected)
	case len(secret) > maxToken, len(secret) > maxPassword && cred.Kind == Password:
		return fmt.Errorf("password of %d bytes: %w", len(secret), ErrRejected)
	case strings.ContainsRune(secret, 0):
		// What ends at its first NUL is empty if it begins with one, and a
		// bind with an empty password succeeds (RFC 4513, section 5.1.2).
		return fmt.Errorf("password with a NUL: %w", ErrRejected)
	case cred.Kind == Password && (cred.Login == "" || cred.Login.Reserved()):
		return fmt.Errorf("a user name that is nobody's: %w", ErrRejected)
	}
	return nil
}

// Hopeless returns the error with which Authenticate would refuse a credential
// without asking anybody, or nil. It is for anyone who has something costly to
// do before, and counts nothing.
func (c *Chain) Hopeless(ctx context.Context, cred Credential) (err error) {
	defer markUnavailable(&err)
	if err := admissible(cred); err != nil {
		return err
	}
	if cred, _, err = c.directed(cred); err != nil {
		return err
	}
	_, err = c.throttle.look(ctx, c.throttle.newAttempt(cred))
	return err
}

// directed returns where a credential goes, and the credential as it does.
func (c *Chain) directed(cred Credential) (Credential, route, error) {
	to := c.route(cred.Login, cred.Secret.Reveal())
	if to.kind != cred.Kind || len(to.members) == 0 {
		return cred, to, fmt.Errorf("no provider takes this %s: %w", cred.Kind, ErrRejected)
	}
	if cred.Login.Reserved() {
		cred.Login = "" // beside a token it is not a name
	}
	return cred, to, nil
}

// login asks the providers, and remembers whoever was proved. right says that the
// same was proved a moment ago.
func (c *Chain) login(ctx context.Context, key Mark, cred Credential, right bool) (*Identity, error) {
	epoch := c.memory.currentEpoch()
	cred, to, err := c.directed(cred)
	if err != nil {
		return nil, err
	}
	id, m, err := c.ask(ctx, to, cred, right)
	if err != nil {
		return nil, err
	}
	if cred.Kind == Password && !cred.Offline {
		c.memory.remember(key, id, *m.config.Remember, epoch)
	}
	return id, nil
}

// ask holds the throttle around the providers. ID tokens pass it by: they are
// verified here, and no directory hears of them.
func (c *Chain) ask(ctx context.Context, to route, cred Credential, right bool) (*Identity, *member, error) {
	if cred.Kind == IDToken {
		m := to.members[0]
		found, err := c.askOne(ctx, m, cred, nil)
		if err != nil {
			return nil, nil, notMineIsRejected(err)
		}
		id, err := m.adopt(found, cred.Kind)
		return id, m, err
	}
	a, err := c.throttle.begin(ctx, cred, right)
	if err != nil {
		return nil, nil, err
	}
	defer a.end()
	for _, m := range to.members {
		found, err := c.askOne(ctx, m, cred, a)
		switch {
		case err == nil:
			id, err := m.adopt(found, cred.Kind)
			if err != nil {
				c.turnedAway(ctx, a, m, cred, found)
				return nil, nil, err
			}
			a.succeeded(ctx)
			return id, m, nil
		case errors.Is(err, ErrNotMine):
			continue
		}
		return nil, nil, c.settle(ctx, a, m, cred, err)
	}
	return nil, nil, c.settle(ctx, a, to.members[len(to.members)-1], cred, nil)
}

// turnedAway sees to a person whom a provider proved and who may not come in all
// the same: the provider is not asked again for a while, and a renewal that it
// gave is revoked.
func (c *Chain) turnedAway(ctx context.Context, a *attempt, m *member, cred Credential, found *Identity) {
	if cred.Kind == Password {
		a.turnedAway(ctx)
	}
	if found == nil || found.Renewal.IsZero() {
		return
	}
	if err := c.RevokeRenewal(ctx, m.config.Name, found.Renewal); err != nil {
		m.log.Warn("could not revoke the refresh token of a refused login", "error", err)
	}
}

// askOne asks one provider. What Admit said comes back as it is, whatever the
// provider made of it.
func (c *Chain) askOne(ctx context.Context, m *member, cred Credential, a *attempt) (*Identity, error) {
	var refused error
	if cred.Kind == Password {
		cred.Admit = func(ctx context.Context, subject string) error {
			who := a.nameless(m.config.WrongPasswords)
			if subject != "" {
				who = a.known(m.config.Name, subject, m.config.WrongPasswords)
			}
			refused = a.admit(ctx, who)
			return refused
		}
	}
	id, err := m.provider.Authenticate(ctx, cred)
	if refused != nil {
		return nil, &heldError{refused}
	}
	m.noteAvailability(err)
	if err != nil {
		return nil, &Failure{m.config.Name, err}
	}
	return id, nil
}

// heldError is an answer of the throttle, which counts as no failure.
type heldError struct{ error }

func (e *heldError) Unwrap() error { return e.error }

// settle counts a login that nobody proved, by what the last provider said;
// nil says that the account is nobody's.
func (c *Chain) settle(ctx context.Context, a *attempt, last *member, cred Credential, said error) error {
	if held, ok := errors.AsType[*heldError](said); ok {
		return held.error
	}
	if isUnrecognized(said) {
		return said
	}
	if cred.Kind == Password && (said == nil || a.inquiry == nil) {
		// Nobody found a subject: the name is counted, as a subject would be.
		if err := a.admit(ctx, a.nameless(last.config.WrongPasswords)); err != nil {
			return err
		}
	}
	if said == nil {
		said = fmt.Errorf("no provider has this account: %w", ErrRejected)
		if e, ok := last.provider.(Equalizer); ok && cred.Kind == Password {
			e.Equalize(ctx, cred)
		}
	}
	a.failed(ctx)
	return said
}

// notMineIsRejected is for a secret that goes to one provider and no other.
func notMineIsRejected(err error) error {
	if errors.Is(err, ErrNotMine) {
		return fmt.Errorf("%w: %w", ErrRejected, err)
	}
	return err
}

// Forget drops what is remembered of the passwords of those whom match picks, for
// when their sessions are revoked.
func (c *Chain) Forget(match func(*Identity) bool) { c.memory.forget(match) }
