package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// cure is what to change after an error: a key of the provider's table, "" for none, and
// a sentence.
type cure struct{ key, text string }

// withCure returns err with the cure in its text, and with its key.
func withCure(err error, c cure) error {
	if c.text != "" {
		err = fmt.Errorf("%w (%s)", err, c.text)
	}
	if c.key == "" {
		return err
	}
	return providers.WithKey(c.key, err)
}

// connectError returns the error of a connection to the server that could not be made.
func (s *server) connectError(err error) error {
	return withCure(fmt.Errorf("connect to %s: %w", s.url, err), dialCure(err))
}

// dialCure returns the cure of an error of the network, before TLS.
func dialCure(err error) cure {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return cure{"urls", "correct the host in urls"}
		}
		return cure{"", "this machine's DNS resolver does not answer"}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return cure{"urls", "nothing listens there: correct host and port in urls, or start the server"}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return cure{"urls", "correct the host in urls, or the network"}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return cure{"urls", "no answer in time: correct host and port in urls, or let the firewall pass them"}
	}
	return cure{}
}

// handshakeError returns the error of a TLS handshake with its cure.
func (s *server) handshakeError(err error) error {
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return s.certificateError(failed)
	}
	err = fmt.Errorf("TLS handshake: %w", err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	network, isNetwork := errors.AsType[*net.OpError](err)
	switch {
	case s.ldaps && (noTLS || closedByPeer(err)):
		return withCure(err, cure{"urls", "a port without TLS answers so: write the port of LDAPS in urls, usually 636, or ldap:// with start_tls = true"})
	case isNetwork && network.Op == "remote error" && len(s.tls.Certificates) == 0:
		return withCure(err, cure{"tls.certificate", "if the server wants a client certificate, write tls.certificate and tls.key"})
	}
	return err
}

// closedByPeer reports whether the other side closed a connection.
func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// certificateError returns the error of a server certificate that is not valid for us.
func (s *server) certificateError(failed *tls.CertificateVerificationError) error {
	err := fmt.Errorf("TLS handshake: %w", failed.Err)
	if len(failed.UnverifiedCertificates) == 0 {
		return err
	}
	leaf := failed.UnverifiedCertificates[0]
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](failed.Err); unknown {
		return withCure(err, s.untrusted(failed.UnverifiedCertificates))
	}
	if _, otherName := errors.AsType[x509.HostnameError](failed.Err); otherName {
		return withCure(err, s.otherName(leaf))
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](failed.Err); ok && invalid.Reason == x509.Expired {
		return withCure(err, cure{"", fmt.Sprintf("the certificate is valid from %s to %s: have another one issued, or correct this machine's clock",
			leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly))})
	}
	return err
}

// untrusted returns the cure of a certificate chain whose authority is not trusted.
func (s *server) untrusted(chain []*x509.Certificate) cure {
	last := chain[len(chain)-1]
	authority := fmt.Sprintf("the authority %q", last.Issuer)
	if len(chain) == 1 && slices.Equal(last.RawIssuer, last.RawSubject) {
		authority = "the server's certificate itself, which is self-signed"
	}
	if s.tls.RootCAs == nil {
		return cure{"tls.ca", fmt.Sprintf("this machine does not trust %s: write a PEM file with its certificate in tls.ca", authority)}
	}
	return cure{"tls.ca", fmt.Sprintf("the file of tls.ca lacks %s: add its certificate (PEM)", authority)}
}

// otherName returns the cure of a certificate that is for other names.
func (s *server) otherName(leaf *x509.Certificate) cure {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return cure{"", fmt.Sprintf("the certificate of %q has no name in subjectAltName: have another one issued", leaf.Subject)}
	}
	key := "urls"
	if s.tls.ServerName != s.name {
		key = "tls.server_name"
	}
	return cure{key, fmt.Sprintf("the certificate is for %s: write one of these as the host in urls, or as tls.server_name", truncated(strings.Join(names, ", ")))}
}

// startTLSError returns the error of a StartTLS that failed.
func (s *server) startTLSError(err error) error {
	err = fmt.Errorf("StartTLS: %w", err)
	switch {
	case answered(err):
		return withCure(err, cure{"start_tls", "the server offers none: leave start_tls out and write ldaps:// in urls, or give the server a certificate"})
	case closedByPeer(err) || errors.Is(err, errMalformed):
		return withCure(err, cure{"urls", "a port of LDAPS answers so: write ldaps:// in urls and leave start_tls out"})
	}
	return err
}

// firstAnswerError returns the error of the first request on a connection, which has no
// answer.
func (c *conn) firstAnswerError(err error) error {
	if c.tls == nil && (closedByPeer(err) || errors.Is(err, errMalformed)) {
		return withCure(err, cure{"urls", "a port of LDAPS answers so: write ldaps:// in urls"})
	}
	return err
}

// serviceBindError returns the error of a refused bind of the service account.
func (d *directory) serviceBindError(c *conn, response bindResponse) error {
	refused := fmt.Errorf("%w: %s", errServiceAccount, response)
	reason := response.diagnostic.reason
	switch {
	case reason == providers.WrongPassword, reason == "" && response.code == ldap.LDAPResultInvalidCredentials:
		return withCure(refused, cure{"bind_password", fmt.Sprintf("correct bind_password, or bind_dn, which is %q", d.bindDN)})
	case reason != "", concernsAccount(response.code):
		return withCure(refused, cure{"bind_dn", fmt.Sprintf("the account in bind_dn is %q: correct it, or have it enabled or unlocked", d.bindDN)})
	case wantsTLS(response.code) && c.tls == nil:
		return withCure(refused, useTLS)
	}
	return refused
}

// useTLS is the cure of a directory that wants TLS.
var useTLS = cure{"start_tls", "the server wants TLS: use ldaps or start_tls"}

// wantsTLS reports whether a result code says that the connection needs TLS, or an
// account.
func wantsTLS(code uint16) bool {
	return code == ldap.LDAPResultStrongAuthRequired || code == ldap.LDAPResultConfidentialityRequired
}

// searchError returns the error of a search as the service account, with its cure.
func (d *directory) searchError(err error) error {
	code := resultCode(err)
	switch {
	case wantsTLS(code) && !d.encrypted:
		return withCure(err, useTLS)
	case d.bindDN == "" && (wantsTLS(code) || slices.Contains(anonymousRefused, code)):
		return withCure(err, cure{"bind_dn", "the directory refuses anonymous searches: write bind_dn and bind_password"})
	case code == ldap.LDAPResultInsufficientAccessRights:
		return withCure(err, cure{"bind_dn", fmt.Sprintf("give %q the right to read there, or write another account in bind_dn", d.bindDN)})
	}
	return err
}

// missingBaseError returns the error of a search whose base, by its key, does not exist.
func missingBaseError(key, base string, err error) error {
	return withCure(err, cure{key, fmt.Sprintf("%q does not exist, or the service account may not see it: correct %s", base, key)})
}

// anonymousRefused are the result codes with which directories refuse an anonymous
// search, beside those of wantsTLS.
var anonymousRefused = []uint16{
	ldap.LDAPResultOperationsError, // Active Directory
	ldap.LDAPResultInappropriateAuthentication,
	ldap.LDAPResultInsufficientAccessRights,
	ldap.LDAPResultUnwillingToPerform,
}
