package session

import (
	"context"
	"fmt"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Inspect returns the current session of a token. It is not a redemption: it
// asks no provider, records no use and ends nothing. The error wraps
// providers.ErrUnavailable; or ErrRefused if a redemption would be refused by
// what the store has: the session has ended or expired, its provider is another
// now, or the provider refused the person when last asked.
func (a *Admin) Inspect(ctx context.Context, token secret.Text) (*Session, error) {
	found, err := a.findByToken(ctx, token)
	if err != nil {
		return nil, err
	}
	g := a.generation.Load()
	if err := g.checkLive(&found.Row, found.identity); err != nil {
		return nil, err
	}
	if why := g.cfg.endOfLife(&found.Row, g.reauthenticate(found.Provider), a.clock.now()); why != "" {
		return nil, refused("it ended: " + string(why))
	}
	if s := &found.SignIn; found.Login.Method != providers.MethodIDToken && s.refuses() {
		return nil, refused(fmt.Sprintf("the provider %q did not let the person in when last asked", found.Provider))
	}
	if otherStamp(found.Stamp, found.SignIn.Stamp) {
		return nil, refused("its person's password changed since its login")
	}
	return g.listed(found), nil
}

// ServiceOf returns the service that a token was issued for, also if its
// session has ended. The error wraps ErrRefused or providers.ErrUnavailable.
func (a *Admin) ServiceOf(ctx context.Context, token secret.Text) (string, error) {
	found, err := a.findByToken(ctx, token)
	if err != nil {
		return "", err
	}
	return found.Service, nil
}

// findByToken returns the session of a token, live or ended: a token of ours,
// or a provider's refresh token that a session was created from.
func (a *Admin) findByToken(ctx context.Context, token secret.Text) (*selectedSession, error) {
	kind, hash, ok := parseToken(token)
	switch {
	case ok:
	case Recognize(token):
		return nil, refused("it is mangled")
	default:
		row, err := a.store.FindByProviderToken(ctx, providerTokenHash(token))
		if err != nil {
			return nil, findError(err)
		}
		kind, hash = row.Kind, row.Hash
	}
	for found, err := range a.selectSessions(ctx, Selector{ID: hash.ID(), Kind: kind, Ended: true}) {
		switch {
		case err != nil:
			return nil, err
		case found.Hash == hash:
			return found, nil
		}
	}
	return nil, errUnknown
}
