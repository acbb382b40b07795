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

// credential is the means of authentication that a request carries, the same at
// every endpoint. The zero credential is that of an anonymous request.
type credential struct {
	kind     credentialKind
	login    providers.Login // empty beside a bare token
	secret   secret.Text     // a password, or a token of any kind
	account  string          // the account that a password must be of, as it came; empty for any
	offline  bool            // an offline token is asked for, so that no cached answer will do
	clientID string          // client_id: information only
}

// credentialKind is the form in which a credential arrived.
type credentialKind int

const (
	kindAnonymous credentialKind = iota // no Authorization header
	kindSecret                          // a name and a secret: Basic, or grant_type=password
	kindRefresh                         // grant_type=refresh_token
)

// method returns the value of the metrics' label method, as far as the credential
// tells it without the providers: a token of ours by its kind, whichever way it
// was sent, and any other secret as a password.
func (c *credential) method() string {
	kind := session.KindOf(c.secret)
	switch {
	case c.kind == kindAnonymous:
		return methodAnonymous
	case kind == session.KindOneTime:
		return string(providers.MethodBrowser) // which made it, and which the audit line has
	case kind != "":
		return string(kind)
	case c.kind == kindRefresh:
		return string(session.KindRefresh)
	}
	return string(providers.MethodPassword)
}

// methodOf returns the value of the label for a secret that is a provider's.
func methodOf(kind providers.Kind) string {
	switch kind {
	case providers.RefreshToken:
		return string(providers.MethodRefresh)
	case providers.IDToken:
		return string(providers.MethodIDToken)
	}
	return string(providers.MethodPassword)
}

// readBasic reads the Authorization header (RFC 7617). No header is anonymous;
// one that is there but malformed or empty is an error and never anonymous.
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

// checkAccount refuses a password that is sent for another account than the
// query names. Beside a token the parameter is ignored: the token says whose it
// is.
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

// client returns what a session records of the sender.
func (c *credential) client(from origin) session.Client {
	return session.Client{Address: from.peer, ID: c.clientID, UserAgent: from.userAgent}
}

// clientID returns the client_id of a request.
func clientID(params url.Values) string { return redactTokens(params.Get("client_id")) }
