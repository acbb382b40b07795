package server

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// credential is what a request authenticates with, of the same form at every
// endpoint. The zero credential is that of an anonymous request.
type credential struct {
	kind     credentialKind
	login    providers.Login // empty for grant_type=refresh_token
	secret   secret.Text     // a password, or a token of any kind
	account  string          // the account parameter, which a password must belong to; empty for any
	offline  bool            // the request asks for an offline token, so that no cached answer is used
	clientID string          // client_id; information only
}

// credentialKind is the form in which a credential arrived.
type credentialKind int

const (
	kindAnonymous credentialKind = iota // no Authorization header
	kindSecret                          // a name and a secret: Basic, or grant_type=password
	kindRefresh                         // grant_type=refresh_token
)

// method returns the metrics' label as far as the credential shows it without the
// providers: the kind of a token of ours, whether sent by Basic or as a refresh
// token, and password for any other secret.
func (c *credential) method() string {
	kind := session.KindOf(c.secret)
	switch {
	case c.kind == kindAnonymous:
		return methodAnonymous
	case kind == session.KindOneTime:
		return string(providers.MethodBrowser) // as in the audit line: a browser login made it
	case kind != "":
		return string(kind)
	case c.kind == kindRefresh:
		return string(session.KindRefresh)
	}
	return string(providers.MethodPassword)
}

// methodOf returns the metrics' label for a secret that providers verify.
func methodOf(kind providers.Kind) string {
	switch kind {
	case providers.RefreshToken:
		return string(providers.MethodRefresh)
	case providers.IDToken:
		return string(providers.MethodIDToken)
	}
	return string(providers.MethodPassword)
}

// readBasic parses the Authorization header (RFC 7617). A request without one is
// anonymous; a malformed or empty header is an error and never anonymous.
func (c *credential) readBasic(headers []string) error {
	if len(headers) == 0 {
		return nil
	}
	if len(headers) > 1 {
		return malformed("there is more than one Authorization header")
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return malformed("the Authorization header must use the Basic scheme")
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.Trim(encoded, " "))
	if err != nil {
		return malformed("the Basic credentials are not base64")
	}
	name, password, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return malformed("the Basic credentials hold no colon between user name and password")
	}
	return c.readSecret(name, password)
}

func (c *credential) readSecret(name, password string) error {
	if !utf8.ValidString(password) {
		return malformed("the password is not UTF-8")
	}
	login, err := providers.ParseLogin(name)
	if err != nil {
		return err
	}
	c.kind, c.login, c.secret = kindSecret, login, secret.New(password)
	return nil
}

// checkAccount refuses a password whose user name is not the account parameter's.
// With a token the parameter is ignored, since the token identifies the account.
func (c *credential) checkAccount() error {
	if c.account == "" || c.kind != kindSecret {
		return nil
	}
	account, err := providers.ParseLogin(c.account)
	if err != nil {
		return err
	}
	if account.Key() != c.login.Key() {
		return malformed("account and the user name of the Basic credentials differ")
	}
	return nil
}

// client returns the client as a session records it.
func (c *credential) client(from origin) session.Client {
	return session.Client{Address: from.peer, ID: c.clientID, UserAgent: from.userAgent}
}

// clientID returns the client_id parameter, with tokens redacted.
func clientID(params url.Values) string { return redactTokens(params.Get("client_id")) }
