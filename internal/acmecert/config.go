package acmecert

import (
	"encoding/base64"
	"fmt"
	"net/mail"
	"net/url"
	"strings"

	"golang.org/x/crypto/acme"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
)

// Config is the [server.acme] table: the certificate of the server comes from an ACME
// directory (RFC 8555) and is replaced in time. Its names are the hosts of
// server.public_urls. It stands in place of server.tls.certificate and key.
type Config struct {
	// Directory is the URL of the ACME directory, public or private. Default
	// "https://acme-v02.api.letsencrypt.org/directory".
	Directory string `toml:"directory"`

	// TermsAgreed says that you agree to the directory's terms of service. It is
	// required; "shorepass check --live" prints where they are.
	TermsAgreed *bool `toml:"terms_agreed"`

	// Email is the address that the directory may write to about the account.
	// Optional.
	Email string `toml:"email"`

	// ExternalAccount binds the ACME account to one that you have with the
	// directory (RFC 8555, section 7.3.4). Optional; some directories require it.
	ExternalAccount ExternalAccount `toml:"external_account"`

	// ListenHTTP is the host and port to answer HTTP-01 challenges at, ":80":
	// the directory connects to port 80 of each name. There is nothing else at
	// this port. Optional: without it the challenge is TLS-ALPN-01, and the
	// directory connects to port 443 of each name, which must lead to
	// server.listen.
	ListenHTTP string `toml:"listen_http"`

	// TLS is for the connection to the directory: the CA of a private one.
	TLS tlsconf.Config `toml:"tls"`

	// Folder has the account's key and the certificate with its key. Default: the
	// folder "acme" beside a SQLite store; with another store it is required.
	Folder string `toml:"folder" path:"write"`
}

// ExternalAccount is an account with the operator of the directory.
type ExternalAccount struct {
	// ID is the key identifier that the directory's operator gave you.
	ID string `toml:"id"`

	// Key is the MAC key that came with it, in base64url.
	Key secret.Text `toml:"key"`
}

// Enabled reports whether the table is there.
func (c Config) Enabled() bool { return c != Config{} }

// WithDefaults returns a copy with the defaults of the keys that were left out.
func (c Config) WithDefaults() Config {
	if c.Enabled() && c.Directory == "" {
		c.Directory = acme.LetsEncryptURL
	}
	return c
}

// Validate reports the faults of the table, defaults applied. It reads no files.
func (c Config) Validate(fault func(key, problem string)) {
	if u, err := url.Parse(c.Directory); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		fault("directory", fmt.Sprintf("%q is not an https URL such as %q", c.Directory, "https://acme.corp.example/acme/directory"))
	}
	if !c.agreed() {
		fault("terms_agreed", "is missing: a directory gives certificates to accounts that have agreed to its terms of service; read them, and write terms_agreed = true")
	}
	if address, err := mail.ParseAddress(c.Email); c.Email != "" && (err != nil || address.Address != c.Email) {
		fault("email", fmt.Sprintf("%q is not an address such as %q", c.Email, "registry@corp.example"))
	}
	if (c.ExternalAccount.ID == "") != c.ExternalAccount.Key.IsZero() {
		fault("external_account", "id and key go together; name both or neither")
	} else if _, err := c.ExternalAccount.binding(); err != nil {
		fault("external_account.key", err.Error())
	}
	c.TLS.Validate(fault)
}

func (c Config) agreed() bool { return c.TermsAgreed != nil && *c.TermsAgreed }

// binding returns the account as the library takes it; nil for none. The error does not
// quote the key.
func (e ExternalAccount) binding() (*acme.ExternalAccountBinding, error) {
	if e.ID == "" {
		return nil, nil
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(e.Key.Reveal(), "="))
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("is not base64url; copy the MAC key as the directory's operator gave it")
	}
	return &acme.ExternalAccountBinding{KID: e.ID, Key: key}, nil
}
