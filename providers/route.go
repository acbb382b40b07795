package providers

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"shorepass/internal/secret"
)

// Limits of a secret, in bytes. A longer one reaches no provider.
const (
	maxPassword = 4 << 10
	maxToken    = 16 << 10
)

// refreshName is the login name for a provider's refresh token. "$refresh:PROVIDER" names
// the provider.
const refreshName = "$refresh"

// ErrRefreshName says that a refresh token has no route: the login name names no provider,
// or may mean several. The token is sent to none of them. The error wraps ErrRejected too.
var ErrRefreshName = errors.New("the login name does not say which provider the refresh token is of")

// JoinRefreshName restores the login name "$refresh:PROVIDER". A user name in Basic ends
// at its first colon (RFC 7617, section 2), so that "$refresh:sso" and its token arrive as
// "$refresh" and "sso:TOKEN". Anything else is returned unchanged. [Chain.Recognize] refuses
// "$refresh" with a colon in the password: a misspelt name and a token, or a token with a
// colon, which needs the provider's name before it.
func (c *Chain) JoinRefreshName(login Login, password secret.Text) (Login, secret.Text) {
	name, token, ok := strings.Cut(password.Reveal(), ":")
	if login.Key() != refreshName || !ok {
		return login, password
	}
	m := c.memberNamed(name)
	if m == nil {
		return login, password
	}
	return Login(refreshName + ":" + m.config.Name), secret.New(token)
}

// memberNamed returns the provider of a name as a person typed it, or nil. Case and blanks
// around the name are ignored: no two providers' names differ in case alone.
func (c *Chain) memberNamed(name string) *member {
	login, err := ParseLogin(name)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(c.members, func(m *member) bool { return strings.EqualFold(m.config.Name, string(login)) })
	if i < 0 {
		return nil
	}
	return c.members[i]
}

// route is the kind of a secret and the providers that may see it. Recognize sets it, and
// Authenticate follows it.
type route struct {
	kind    Kind
	members []*member // in the order in which they are asked; empty where no provider may see the secret
	err     error     // why members is empty, for the person; nil where the reason would not help
}

// Recognize returns cred with its route: whether the secret is a password, a
// provider's refresh token or an ID token, and which providers may see it. It
// asks no provider.
//
// A JWT goes only to a provider that trusts its issuer. The secret is a refresh token
//
//   - of PROVIDER, where the login name is "$refresh:PROVIDER";
//   - where the login name is "$refresh", of the only provider that accepts refresh
//     tokens or, for a JWT, of the only one of them that trusts its issuer;
//   - of its issuer, where it is a JWT whose typ claim is "Refresh" or "Offline";
//   - of the first provider whose match has the name, if it accepts refresh tokens and no
//     passwords. A [LoginChecker] that does not have the name is skipped.
//
// Where that leaves no provider or several, the error of the route wraps [ErrRefreshName].
// Any other JWT is an ID token. Where no provider trusts its issuer, [Chain.Authenticate]
// shows it to none.
func (c *Chain) Recognize(cred Credential) Credential {
	cred.route = c.route(cred.Login, cred.Secret.Reveal())
	return cred
}

// Misrouted returns the error of a secret without a route, or nil. The error wraps
// ErrRefreshName.
func (c Credential) Misrouted() error { return c.route.err }

func (c *Chain) route(login Login, text string) route {
	var t unverifiedJWT
	var isToken bool
	var err error
	if len(text) <= maxToken {
		t, isToken, err = readUnverified(text)
	}
	if rest, ok := strings.CutPrefix(login.Key(), refreshName); ok && (rest == "" || rest[0] == ':') {
		if err != nil {
			return c.routeToOne(RefreshToken, nil, "the token is malformed")
		}
		return c.routeRefresh(login, text, t)
	}
	if isToken && !t.encrypted {
		if err != nil || t.issuer == "" {
			return route{kind: IDToken}
		}
		return c.routeToken(login, t)
	}
	if m := c.firstFor(login); m != nil && m.accepts(RefreshToken) && !m.accepts(Password) {
		return route{kind: RefreshToken, members: []*member{m}}
	}
	if isToken {
		return route{kind: IDToken} // a JWE that nothing shows to be a refresh token
	}
	return c.routePassword(login)
}

// routeRefresh routes the secret of "$refresh" and "$refresh:PROVIDER". t is empty unless the
// secret is a JWT.
func (c *Chain) routeRefresh(login Login, text string, t unverifiedJWT) route {
	_, name, isNamed := strings.Cut(string(login), ":")
	switch {
	case isNamed || login.Key() != refreshName: // a colon in the key alone, such as a full-width one
		m := c.memberNamed(name)
		switch {
		case m == nil:
			return c.routeToOne(RefreshToken, nil, "no provider has that name")
		case !m.accepts(RefreshToken):
			return c.routeToOne(RefreshToken, nil, "the provider takes no refresh tokens")
		case t.issuer != "" && !m.trusts(t.issuer):
			return c.routeToOne(RefreshToken, nil, "the token is of another issuer than the provider")
		}
		return c.routeToOne(RefreshToken, []*member{m}, "")
	case strings.Contains(text, ":"):
		return c.routeToOne(RefreshToken, nil, "no provider has the name before the colon")
	}
	return c.routeByIssuer(t)
}

// routeByIssuer routes a refresh token to the only provider that accepts refresh tokens and,
// where the token names an issuer, trusts it.
func (c *Chain) routeByIssuer(t unverifiedJWT) route {
	var able []*member
	for _, m := range c.members {
		if m.accepts(RefreshToken) && (t.issuer == "" || m.trusts(t.issuer)) {
			able = append(able, m)
		}
	}
	if len(able) > 1 {
		return c.routeToOne(RefreshToken, nil, "several providers take refresh tokens")
	}
	return c.routeToOne(RefreshToken, able, "no provider takes refresh tokens of this issuer")
}

// routeToOne returns the route to the only one of members, else a route with the problem.
// Where no provider accepts refresh tokens the route has no error: no login name would help.
func (c *Chain) routeToOne(kind Kind, members []*member, problem string) route {
	if len(members) == 1 {
		return route{kind: kind, members: members}
	}
	if !slices.ContainsFunc(c.members, func(m *member) bool { return m.accepts(RefreshToken) }) {
		return route{kind: kind}
	}
	return route{kind: kind, err: fmt.Errorf("%w: %s: %w", ErrRefreshName, problem, ErrRejected)}
}

// routeToken routes a JWT that names its issuer.
func (c *Chain) routeToken(login Login, t unverifiedJWT) route {
	if t.typ == "Refresh" || t.typ == "Offline" {
		return c.routeByIssuer(t)
	}
	for _, m := range c.members {
		if m.trusts(t.issuer) && m.accepts(IDToken) {
			return route{kind: IDToken, members: []*member{m}}
		}
	}
	if m := c.firstFor(login); m != nil && m.accepts(RefreshToken) && !m.accepts(Password) && m.trusts(t.issuer) {
		return route{kind: RefreshToken, members: []*member{m}} // the typ claim need not say so
	}
	return route{kind: IDToken}
}

func (c *Chain) routePassword(login Login) route {
	to := route{kind: Password}
	switch {
	case strings.HasPrefix(login.Key(), refreshName[:1]):
		return c.routeToOne(Password, nil, "it begins like "+refreshName+" and is another")
	case login == "" || login.Reserved():
		return to
	}
	for _, m := range c.members {
		if m.accepts(Password) && m.match.match(login.Key()) {
			to.members = append(to.members, m)
		}
	}
	return to
}

// firstFor returns the first provider whose account the login name can be, or nil.
func (c *Chain) firstFor(login Login) *member {
	if login == "" || login.Reserved() {
		return nil
	}
	for _, m := range c.members {
		if m.match.match(login.Key()) && (m.logins == nil || m.logins.HasLogin(login)) {
			return m
		}
	}
	return nil
}

// accepts reports whether the provider accepts credentials of this kind.
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
