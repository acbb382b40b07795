package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"shorepass/internal/fold"
	"shorepass/internal/secret"
	"shorepass/internal/share"
)

// member is a configured provider, with its optional interfaces, its compiled options and
// whether it answers.
type member struct {
	provider Provider
	optionalInterfaces
	config  Config // with its defaults
	prefix  string
	foreign []string       // longer prefixes of others that a name behind prefix could begin with
	local   []LoginChecker // files whose users' names no other provider's account may have
	match   globs
	require globs

	requireFolded globs // for names of a provider that ignores case

	refusalTimes durations // how long it took to refuse a password, Lookup included

	log    *slog.Logger
	warned atomic.Bool // a group with another provider's prefix was logged
	down   atomic.Bool // its own operations fail; see recordAvailability
}

func newMember(p Provider, config Config) *member {
	m := &member{
		provider:           p,
		optionalInterfaces: assertInterfaces(p),
		config:             config,
		match:              compileLoginGlobs(config.Match),
		require:            compileGlobs(config.RequireGroups),
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

// lookup asks the provider for an account. Finding one does not count as an
// answer for availability; the proof that follows does.
func (m *member) lookup(ctx context.Context, login Login) (*Account, error) {
	account, err := m.provider.Lookup(ctx, login)
	switch {
	case err != nil:
		return nil, m.recordAnswer(err)
	case account == nil || account.Prove == nil:
		return nil, m.recordAnswer(errors.New("it gave neither an account nor an error"))
	}
	return account, nil
}

func (m *member) prove(ctx context.Context, account *Account, p Proof) (*Identity, error) {
	found, err := account.Prove(ctx, p)
	return found, m.recordPersonAnswer(notMineIsRejected(err))
}

func (m *member) verifyIDToken(ctx context.Context, token secret.Text) (*Identity, error) {
	found, err := m.idTokens.VerifyIDToken(ctx, token)
	return found, m.recordAnswer(notMineIsRejected(err))
}

func (m *member) redeemRefreshToken(ctx context.Context, token secret.Text) (*Identity, error) {
	found, err := m.refresh.RedeemRefreshToken(ctx, token)
	return found, m.recordPersonAnswer(notMineIsRejected(err))
}

func (m *member) revalidate(ctx context.Context, id *Identity) (*Identity, error) {
	if m.revalidator == nil {
		return nil, m.recordAnswer(ErrCannotRevalidate)
	}
	found, err := m.revalidator.Revalidate(ctx, id)
	if m.revalidator.PerSession() {
		return found, m.recordPersonAnswer(err) // it sent the person's own token
	}
	return found, m.recordAnswer(err)
}

// notMineIsRejected turns ErrNotMine into ErrRejected, for a secret that goes to
// one provider and no other.
func notMineIsRejected(err error) error {
	if errors.Is(err, ErrNotMine) {
		return fmt.Errorf("%w: %v", ErrRejected, err)
	}
	return err
}

// answered records the availability of the provider by the outcome of one of its
// own operations, such as a search, and wraps an error in a [Failure] with the
// provider's name.
func (m *member) recordAnswer(err error) error {
	m.recordAvailability(err)
	return m.wrap(err)
}

// answeredPerson does the same with the outcome of a request that carried
// a person's secret. Where that may have arrived and no answer came, the delay
// can be that person's alone (a second factor, an account that its provider fails
// on), so that it says nothing of the provider's health.
func (m *member) recordPersonAnswer(err error) error {
	if !isUnrecognized(err) || !MayHaveArrived(err) {
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

// recordAvailability records from the outcome of one operation whether the provider
// answers. A canceled request does not tell, nor does one for which the account that
// it is about had no place left.
func (m *member) recordAvailability(err error) {
	switch {
	case errors.Is(err, ErrCannotRevalidate), errors.Is(err, context.Canceled), errors.Is(err, share.ErrBusy):
	case isUnrecognized(err):
		m.setDown(err)
	default:
		m.setDown(nil)
	}
}

// setDown records why the provider does not answer, nil where it does, and logs
// each change.
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
