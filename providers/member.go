package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"shorepass/internal/fold"
	"shorepass/internal/secret"
	"shorepass/internal/share"
)

// member is a configured provider: with its optional interfaces, its compiled options and
// its availability.
type member struct {
	provider Provider
	optionalInterfaces
	config  Config // with its defaults
	prefix  string
	foreign []string       // longer prefixes of others with which a name after prefix could begin
	local   []LoginChecker // files whose users' names no account of this provider may have
	match   globs
	require globs

	requireFolded globs // for names of a provider that ignores case

	refusalTimes durations // of refused passwords, Lookup included
	calls        calls

	log    *slog.Logger
	warned atomic.Bool // the warning about a group with another provider's prefix was logged
	down   atomic.Bool // its own operations fail: see recordAvailability
}

func newMember(p Provider, config Config) *member {
	m := &member{
		provider:           p,
		optionalInterfaces: assertInterfaces(p),
		config:             config,
		match:              compileLoginGlobs(config.Match),
		require:            compileGlobs(config.RequireGroups),
		calls:              newCalls(),
	}
	m.requireFolded = make(globs, len(m.require))
	for i, g := range m.require {
		m.requireFolded[i] = glob(fold.Name(string(g)))
	}
	if config.Prefix != nil {
		m.prefix = *config.Prefix
	}
	return m
}

// lookup asks the provider for an account. An account that was found is not yet recorded as
// available: the Prove that follows may show the contrary.
func (m *member) lookup(ctx context.Context, login Login) (*Account, error) {
	began := time.Now()
	account, err := m.provider.Lookup(ctx, login)
	m.calls.record(callLookup, began, err)
	switch {
	case err != nil:
		return nil, m.recordAnswer(err)
	case account == nil || account.Prove == nil:
		return nil, m.recordAnswer(errors.New("it returned neither an account nor an error"))
	}
	return account, nil
}

func (m *member) prove(ctx context.Context, account *Account, password LoginPassword) (*Identity, error) {
	began := time.Now()
	found, err := account.Prove(ctx, password)
	m.calls.record(callProve, began, err)
	return found, m.recordPersonAnswer(notMineIsRejected(err))
}

func (m *member) verifyIDToken(ctx context.Context, token secret.Text) (*Identity, error) {
	began := time.Now()
	found, err := m.idTokens.VerifyIDToken(ctx, token)
	m.calls.record(callIDToken, began, err)
	return found, m.recordAnswer(notMineIsRejected(err))
}

func (m *member) redeemRefreshToken(ctx context.Context, token secret.Text) (*Identity, error) {
	began := time.Now()
	found, err := m.refresh.RedeemRefreshToken(ctx, token)
	m.calls.record(callRefresh, began, err)
	return found, m.recordPersonAnswer(notMineIsRejected(err))
}

func (m *member) revalidate(ctx context.Context, id *Identity) (*Identity, error) {
	if m.revalidator == nil {
		return nil, m.recordAnswer(ErrCannotRevalidate)
	}
	began := time.Now()
	found, err := m.revalidator.Revalidate(ctx, id)
	m.calls.record(callAgain, began, err)
	if m.revalidator.PerSignIn() {
		return found, m.recordPersonAnswer(err) // the request had the person's own token
	}
	return found, m.recordAnswer(err)
}

// notMineIsRejected turns ErrNotMine into ErrRejected, for a secret that only one provider
// may see.
func notMineIsRejected(err error) error {
	if errors.Is(err, ErrNotMine) {
		return fmt.Errorf("%w: %v", ErrRejected, err)
	}
	return err
}

// recordAnswer records the availability of the provider by the outcome of one of its own
// operations, such as a search, and wraps the error in a [Failure] with the provider's
// name.
func (m *member) recordAnswer(err error) error {
	m.recordAvailability(err)
	return m.wrap(err)
}

// recordPersonAnswer does the same with the outcome of a request that carried a person's
// secret. Where the secret may have been counted and no answer came, the cause may be this
// account alone (a second factor, an account that the provider fails on), so that it says
// nothing about the provider's health.
func (m *member) recordPersonAnswer(err error) error {
	if !isUnrecognized(err) || !MayBeCounted(err) {
		m.recordAvailability(err)
	}
	return m.wrap(err)
}

func (m *member) wrap(err error) error {
	if err == nil {
		return nil
	}
	return &Failure{m.config.Name, err}
}

// recordAvailability records by the outcome of one operation whether the provider answers. A
// canceled request does not tell, nor does one for whose account no slot was left, nor an
// error of [SomeAccounts].
func (m *member) recordAvailability(err error) {
	switch {
	case errors.Is(err, ErrCannotRevalidate), errors.Is(err, context.Canceled), errors.Is(err, share.ErrBusy), isOfSomeAccounts(err):
	case isUnrecognized(err):
		m.setDown(err)
	default:
		m.setDown(nil)
	}
}

// setDown records the reason why the provider is unavailable, nil where it is available, and
// logs each transition.
func (m *member) setDown(why error) {
	if m.down.Swap(why != nil) == (why != nil) {
		return
	}
	if why != nil {
		m.log.Warn("a provider is unavailable", "error", why)
		return
	}
	m.log.Info("a provider is available again")
}
