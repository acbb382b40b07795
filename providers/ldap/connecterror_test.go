package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"shorepass/providers"
)

// TestCures: the errors of a connection that no server of a test can be brought to make
// name the key to change, or the other side.
func TestCures(t *testing.T) {
	const day = 24 * time.Hour
	expired := &x509.Certificate{NotBefore: time.Now().Add(-2 * day), NotAfter: time.Now().Add(-day)}
	s := &server{url: "ldaps://dc1.corp.example", name: "dc1.corp.example", ldaps: true, tls: &tls.Config{ServerName: "dc1.corp.example"}}
	dial := func(err error) error {
		return s.connectError(&net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	certificate := func(leaf *x509.Certificate, err error) error {
		return s.handshakeError(&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: err})
	}
	for _, test := range []struct {
		err       error
		key, text string
	}{
		{dial(&net.DNSError{Err: "no such host", Name: "dc1", IsNotFound: true}), "urls", "correct the host in urls"},
		{dial(&net.DNSError{Err: "server misbehaving", Name: "dc1", IsTemporary: true}), "", "DNS resolver does not answer"},
		{dial(&net.DNSError{Err: "i/o timeout", Name: "dc1", IsTimeout: true}), "", "DNS resolver does not answer"},
		{dial(syscall.ECONNREFUSED), "urls", "nothing listens there"},
		{dial(syscall.EHOSTUNREACH), "urls", "or the network"},
		{dial(context.DeadlineExceeded), "urls", "let the firewall pass"},
		{certificate(expired, x509.CertificateInvalidError{Cert: expired, Reason: x509.Expired}), "", "have another one issued, or correct this machine's clock"},
		{certificate(&x509.Certificate{}, x509.HostnameError{Certificate: &x509.Certificate{}, Host: s.name}), "", "no name in subjectAltName"},
		{certificate(&x509.Certificate{RawIssuer: []byte("x"), RawSubject: []byte("x")}, x509.UnknownAuthorityError{}), "tls.ca", "the server's certificate itself, which is self-signed"},
		{s.handshakeError(&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}), "tls.certificate", "write tls.certificate and tls.key"},
	} {
		wrapped := fmt.Errorf("search for the account: %w", test.err)
		if key := providers.KeyOf(wrapped); key != test.key || !strings.Contains(wrapped.Error(), test.text) {
			t.Errorf("%v\nwith key %q, want %q and %q", wrapped, key, test.key, test.text)
		}
	}
}
