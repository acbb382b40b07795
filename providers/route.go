package providers

import (
	"strings"

	"shorepass/internal/secret"
)

// Limits of a secret, in bytes. What is longer reaches nobody.
const (
	maxPassword = 4 << 10
	maxToken    = 16 << 10
)

// refreshName is the login name that says: the password is a provider's
// refresh token. "$refresh:PROVIDER" says whose.
const refreshName = "$refresh"

// JoinRefreshName puts together again what came apart on the way: a user name
// in Basic ends at its first colon (RFC 7617, section 2), so that "$refresh:sso"
// and its token arrive as "$refresh" and "sso:TOKEN". Anything else it returns as
// it is, a secret too that only looks so and begins with no provider's name.
func (c *Chain) JoinRefreshName(login Login, password secret.Text) (Login, secret.Text) {
	name, token, ok := strings.Cut(password.Reveal(), ":")
	if login.Key() != refreshName || !ok {
		return login, password
	}
	m := c.member(name)
	if m == nil {
		return login, password
	}
	return Login(refreshName + ":" + m.folded), secret.New(token)
}

// route is the kind of a secret and the providers that may see it. Recognize
// finds it, and Authenticate follows it.
type route struct {
	kind    Kind
	members []*member // in the order of asking; none when the secret is nobody's
}

// Recognize returns cred with its route: whether the secret is a password, a
// provider's refresh token or an ID token, and which providers may see it. It
// asks no provider.
//
// It is a refresh token when the login is "$refresh" or "$refresh:PROVIDER", or
// it is a JWT of a trusted issuer whose typ claim is "Refresh" or "Offline", or
// the first provider whose match has the name takes refresh tokens and no
// passwords (a file that knows the name is not its own is passed over). Any
// other JWT is an ID token, also when nobody trusts its issuer: then it is
// nobody's, and [Chain.Authenticate] shows it to no provider.
func (c *Chain) Recognize(cred Credential) Credential {
	cred.route = c.route(cred.Login, cred.Secret.Reveal())
	return cred
}

func (c *Chain) route(login Login, text string) route {
	var t token
	var isToken bool
	var err error
	if len(text) <= maxToken {
		t, isToken, err = peek(text)
	}
	if name, ok := strings.CutPrefix(login.Key(), refreshName); ok && (name == "" || name[0] == ':') {
		return c.routeRefresh(strings.TrimPrefix(name, ":"), t, isToken, err)
	}
	if isToken && !t.sealed {
		if err != nil || t.issuer == "" {
			return route{kind: IDToken}
		}
		return c.routeToken(t)
	}
	if m := c.firstFor(login); m != nil && m.accepts(RefreshToken) && !m.accepts(Password) {
		return route{RefreshToken, []*member{m}}
	}
	if isToken {
		return route{kind: IDToken} // sealed, and nobody said that it is a refresh token
	}
	return c.routePassword(login)
}

// routeRefresh chooses for "$refresh:name". A JWT that names its issuer goes to
// no other, whatever the name says.
func (c *Chain) routeRefresh(name string, t token, isToken bool, err error) route {
	to := route{kind: RefreshToken}
	if err != nil {
		return to
	}
	for _, m := range c.members {
		named := name == "" || name == m.folded
		theirs := !isToken || t.issuer == "" || m.trusts(t.issuer)
		if named && theirs && m.accepts(RefreshToken) {
			to.members = []*member{m}
			return to
		}
	}
	return to
}

// routeToken chooses by issuer, whatever the login name is.
func (c *Chain) routeToken(t token) route {
	kinds := []Kind{IDToken, RefreshToken} // a refresh token need not say that it is one
	if t.typ == "Refresh" || t.typ == "Offline" {
		kinds = []Kind{RefreshToken}
	}
	for _, kind := range kinds {
		for _, m := range c.members {
			if m.trusts(t.issuer) && m.accepts(kind) && (len(kinds) == 1 || kind == IDToken || !m.accepts(Password)) {
				return route{kind, []*member{m}}
			}
		}
	}
	return route{kind: kinds[0]}
}

func (c *Chain) routePassword(login Login) route {
	to := route{kind: Password}
	if login == "" || login.Reserved() {
		return to
	}
	for _, m := range c.members {
		if m.accepts(Password) && m.match.match(login.Key()) {
			to.members = append(to.members, m)
		}
	}
	return to
}

// firstFor returns the first provider whose the name can be.
func (c *Chain) firstFor(login Login) *member {
	if login == "" || login.Reserved() {
		return nil
	}
	for _, m := range c.members {
		if m.match.match(login.Key()) && (m.knower == nil || m.knower.Knows(login)) {
			return m
		}
	}
	return nil
}

// accepts reports whether credentials of this kind can be the provider's.
func (m *member) accepts(kind Kind) bool {
	switch {
	case kind == RefreshToken && m.refresh == nil, kind == IDToken && m.idTokens == nil:
		return false
	case m.tokens == nil:
		return kind == Password
	}
	return m.tokens.Accepts(kind)
}

func (m *member) trusts(issuer string) bool { return m.tokens != nil && m.tokens.TrustsIssuer(issuer) }
