package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

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
	if errors.Is(err, errUnwilling) {
		// The entry may show the reason.
		if refused := p.checkRestrictions(e); refused != nil {
			err = refused
		}
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", e.dn, err)
	if errors.Is(err, providers.ErrRejected) {
		p.refusalTimes.record(ctx, began)
	}
	return err
}

// proveDN binds as a DN and then reads its entry.
func (p *Provider) proveDN(ctx context.Context, began time.Time, dn, filter string, password secret.Text) (*providers.Identity, error) {
	if err := rejectEmpty(password); err != nil {
		return nil, err
	}
	s, done, err := p.bindAsDN(ctx, "dn "+strings.ToLower(dn), dn, password)
	if err != nil {
		err = fmt.Errorf("%s: %w", dn, err)
		if errors.Is(err, providers.ErrRejected) {
			p.refusalTimes.record(ctx, began)
		}
		return nil, err
	}
	defer done()
	id, err := p.identifyDN(ctx, s, dn, filter)
	return id, afterBind(err)
}

// bindAsDN binds as a DN. It returns the searcher that reads the entry, which is
// valid until done: the service account's if there is one, else the person's own.
func (p *Provider) bindAsDN(ctx context.Context, shareKey, dn string, password secret.Text) (s searcher, done func(), err error) {
	if p.cfg.BindDN != "" {
		return p.dir.inShare(shareKey), func() {}, p.dir.checkPassword(ctx, shareKey, dn, password)
	}
	person, err := p.dir.openPersonConn(ctx, shareKey, dn, password)
	if err != nil {
		return nil, nil, err
	}
	return person, person.close, nil
}

// identifyDN returns the identity of the entry of a DN whose password is proved.
func (p *Provider) identifyDN(ctx context.Context, s searcher, dn, filter string) (*providers.Identity, error) {
	e, err := p.findOne(ctx, s, dn, ldap.ScopeBaseObject, filter)
	switch {
	case errors.Is(err, errNoEntry):
		return nil, reject("%s is not shown, or users.filter leaves it out", dn)
	case err != nil:
		return nil, fmt.Errorf("read the account %s: %w", dn, err)
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
