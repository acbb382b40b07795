package providers

import (
	"context"
	"fmt"
	"shorepass/internal/secret"
	"slices"
)

// member returns the provider of that name, or nil.
func (c *Chain) member(name string) *member {
	i := slices.IndexFunc(c.members, func(m *member) bool { return m.config.Name == name })
	if i < 0 {
		return nil
	}
	return c.members[i]
}

// Revalidate asks the provider that id.Provider names about id again, and
// applies to its answer what applies to a login. Method and AuthTime stay: what
// was proved, and when, is still the credential of before. The errors are those
// of [Revalidator], and ErrUnavailable where the provider cannot tell now;
// ErrCannotRevalidate says that it is never able to, and a provider that is no
// longer configured refuses without ending. A Renewal that rotated before an
// error is in a [*RotatedError].
func (c *Chain) Revalidate(ctx context.Context, id *Identity) (_ *Identity, err error) {
	defer markUnavailable(&err)
	m := c.member(id.Provider)
	if m == nil {
		return nil, fmt.Errorf("no provider is called %q: %w", id.Provider, ErrRejected)
	}
	r, ok := m.provider.(Revalidator)
	if !ok {
		return nil, &Failure{m.config.Name, ErrCannotRevalidate}
	}
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	found, err := r.Revalidate(ctx, id)
	m.noteAvailability(err)
	if err != nil {
		return nil, &Failure{m.config.Name, err}
	}
	return m.adoptAgain(found, id)
}

// adoptAgain is adopt for a person who was adopted as before at the login.
func (m *member) adoptAgain(found, before *Identity) (*Identity, error) {
	if found == nil {
		return m.adopt(nil, Password)
	}
	if found.Subject != before.Subject {
		return nil, fmt.Errorf("provider %s answered for another account: %w", m.config.Name, ErrRejected)
	}
	same := *found
	same.Method, same.AuthTime = before.Method, before.AuthTime
	id, err := m.adopt(&same, Password)
	if err != nil && !found.Renewal.Equal(before.Renewal) {
		err = &RotatedError{Renewal: found.Renewal, Err: err}
	}
	return id, err
}

// Fingerprint returns the fingerprint of the provider of that name, or "" when
// there is none.
func (c *Chain) Fingerprint(provider string) string {
	if m := c.member(provider); m != nil {
		return m.provider.Fingerprint()
	}
	return ""
}

// PerSession reports whether each session of that provider is revalidated on
// its own, rather than once a person.
func (c *Chain) PerSession(provider string) bool {
	m := c.member(provider)
	if m == nil {
		return false
	}
	r, ok := m.provider.(Revalidator)
	return ok && r.PerSession()
}

// RevokeRenewal tells the provider that a renewal will not be used again. Where
// there is nobody to tell, nothing is left to do.
func (c *Chain) RevokeRenewal(ctx context.Context, provider string, renewal secret.Text) error {
	m := c.member(provider)
	if m == nil || renewal.IsZero() {
		return nil
	}
	r, ok := m.provider.(Revoker)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	if err := r.Revoke(ctx, renewal); err != nil {
		return fmt.Errorf("provider %s: %w", m.config.Name, err)
	}
	return nil
}
