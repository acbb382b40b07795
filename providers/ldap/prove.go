package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// rejectEmpty rejects a password that is empty, blank or contains a NUL. A directory
// takes an empty one for an unauthenticated bind (RFC 4513, section 5.1.2), which can
// succeed, and some directories take one that begins with a NUL for an empty one. The
// chain lets no such password through; this is a second check.
func rejectEmpty(password secret.Text) error {
	if text := password.Reveal(); strings.Trim(text, " \t\r\n") == "" || strings.ContainsRune(text, 0) {
		return providers.Reject(providers.WrongPassword, errors.New("empty password"))
	}
	return nil
}

// proveEntry checks the password of the entry that Lookup found, by a bind.
func (p *Provider) proveEntry(ctx context.Context, began time.Time, shareKey string, e entry, password secret.Text) (*providers.Identity, error) {
	if err := rejectEmpty(password); err != nil {
		return nil, err
	}
	if err := p.bindAsEntry(ctx, began, shareKey, e, password); err != nil {
		return nil, err
	}
	if err := p.checkRestrictions(e); err != nil {
		return nil, err
	}
	id, err := p.identify(ctx, p.dir.inShare(shareKey), e)
	return id, afterBind(err)
}

// bindAsEntry binds as the entry. It records the time of a refusal, and pads it.
func (p *Provider) bindAsEntry(ctx context.Context, began time.Time, shareKey string, e entry, password secret.Text) error {
	err := p.dir.checkPassword(ctx, shareKey, e.dn, password)
	if err == nil {
		return nil
	}
	// The entry may show the reason: a directory can refuse every bind of a locked account
	// with the result of a wrong password (draft-behera-ldap-password-policy-11, section 6.1).
	if refused := p.checkRestrictions(e); refused != nil && (errors.Is(err, errUnwilling) || mayBeLock(err) && providers.ReasonOf(refused) == providers.Locked) {
		err = refused
	}
	err = fmt.Errorf("%s: %w", e.dn, err)
	if errors.Is(err, providers.ErrRejected) {
		p.refusalTimes.record(ctx, began)
	}
	return err
}

// mayBeLock reports whether the directory calls the password wrong or the account locked.
func mayBeLock(err error) bool {
	if !errors.Is(err, providers.ErrRejected) {
		return false
	}
	reason := providers.ReasonOf(err)
	return reason == providers.WrongPassword || reason == providers.Locked
}

// firstBind is a bind that comes before the search for the entry.
type firstBind struct {
	name     string // a DN, or any other name that the directory takes
	shareKey string

	base   string // of the search
	scope  int
	filter string
}

// proveFirst binds with a name and then reads the entry.
func (p *Provider) proveFirst(ctx context.Context, began time.Time, b firstBind, password secret.Text) (*providers.Identity, error) {
	if err := rejectEmpty(password); err != nil {
		return nil, err
	}
	s, done, err := p.bindFirst(ctx, b, password)
	if err != nil {
		err = fmt.Errorf("%s: %w", b.name, err)
		if errors.Is(err, providers.ErrRejected) {
			p.refusalTimes.record(ctx, began)
		}
		return nil, err
	}
	defer done()
	id, err := p.identifyBound(ctx, s, b)
	return id, afterBind(err)
}

// bindFirst binds with a name. It returns the searcher that reads the entry, which is
// valid until done: the service account's if there is one, else the person's own.
func (p *Provider) bindFirst(ctx context.Context, b firstBind, password secret.Text) (s searcher, done func(), err error) {
	if !p.cfg.readsAsPerson() {
		return p.dir.inShare(b.shareKey), func() {}, p.dir.checkPassword(ctx, b.shareKey, b.name, password)
	}
	person, err := p.dir.openPersonConn(ctx, b.shareKey, b.name, password)
	if err != nil {
		return nil, nil, err
	}
	return person, person.close, nil
}

// identifyBound returns the identity of the entry of a bind name whose password is
// proved.
func (p *Provider) identifyBound(ctx context.Context, s searcher, b firstBind) (*providers.Identity, error) {
	e, err := p.findOne(ctx, s, b.base, b.scope, b.filter)
	switch {
	case errors.Is(err, errNoEntry):
		return nil, reject("the entry of %s is not shown, or users.filter leaves it out", b.name)
	case errors.Is(err, errSeveralEntries):
		return nil, providers.Reject(providers.Ambiguous, err)
	case err != nil:
		return nil, fmt.Errorf("read the account %s: %w", b.name, err)
	}
	if person, own := s.(personConn); own && p.bindName != nil {
		if err := p.checkBound(ctx, person, e); err != nil {
			return nil, err
		}
	}
	if err := p.checkRestrictions(e); err != nil {
		return nil, err
	}
	return p.identify(ctx, s, e)
}

// afterBind marks an error that came after a successful bind, if there is one, as
// [providers.NotCounted]: the password was sent, but no directory counts it as a wrong
// one.
func afterBind(err error) error {
	if err == nil {
		return nil
	}
	return providers.NotCounted(err)
}
