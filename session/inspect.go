package session

import (
	"context"
	"fmt"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Inspect returns the session behind a token as it stands, for somebody who
// may know it. It is no redemption: no provider is asked, no use is noted, nothing
// ends. The error wraps providers.ErrUnavailable, or ErrRefused where by what is
// known a redemption would be: it has ended or is over, its provider is another
// by now, or the provider's last word about the person was no.
func (a *Admin) Inspect(ctx context.Context, token secret.Text) (*Session, error) {
	found, err := a.findByToken(ctx, token)
	if err != nil {
		return nil, err
	}
	g := a.generation.Load()
	if err := g.checkLive(&found.Row, found.identity); err != nil {
		return nil, err
	}
	if why := g.cfg.endOfLife(&found.Row, a.clock.now()); why != "" {
		return nil, refused("it is over: " + string(why))
	}
	if s := &found.SignIn; found.Login.Method != providers.MethodIDToken && s.refuses() {
		return nil, refused(fmt.Sprintf("the provider %q did not let the person in when last asked", found.Provider))
	}
	if otherStamp(found.Stamp, found.SignIn.Stamp) {
		return nil, refused("its person's password changed since its login")
	}
	return g.cfg.listed(found), nil
}

// ServiceOf returns the service that a token was made for, be the token good or
// not. The error wraps ErrRefused or providers.ErrUnavailable.
func (a *Admin) ServiceOf(ctx context.Context, token secret.Text) (string, error) {
	found, err := a.findByToken(ctx, token)
	if err != nil {
		return "", err
	}
	return found.Service, nil
}

// findByToken looks up the session of a token, ended or not: of ours, or a provider's
// refresh token that a session answers to.
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
