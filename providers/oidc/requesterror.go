package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"

	"shorepass/providers"
)

// requestError is the reason why a request to the provider failed, out of a
// closed set. It replaces a library's error, whose text may quote the response
// and with it, in any encoding, a secret of this request or of an earlier one.
type requestError struct {
	text string
	is   error // a context error, for errors.Is; nil for all others
}

func (e requestError) Error() string { return e.text }
func (e requestError) Unwrap() error { return e.is }

// statusError is an HTTP status other than 200.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("the provider answered %d %s", int(e), http.StatusText(int(e)))
}

// proxyError is the status of a proxy that refused to connect to the provider.
type proxyError int

func (e proxyError) Error() string {
	return fmt.Sprintf("the proxy answered %d %s", int(e), http.StatusText(int(e)))
}

// requestTrace records which phases a request reached (see [httptrace]). It is
// safe for concurrent use, since a transport may still dial after the request
// has ended.
type requestTrace struct {
	handshake atomic.Bool // a TLS handshake began
	connected atomic.Bool // it got a connection, so bytes may have been sent
	answered  atomic.Bool // the first byte of the response arrived
}

// attach returns a context whose request t records. operation is its name in metrics.
func (t *requestTrace) attach(ctx context.Context, operation string) context.Context {
	ctx = context.WithValue(ctx, operationKey{}, operation)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart:    func() { t.handshake.Store(true) },
		GotConn:              func(httptrace.GotConnInfo) { t.connected.Store(true) },
		GotFirstResponseByte: func() { t.answered.Store(true) },
	})
}

// sanitize replaces a library's error by one without text that the provider can
// choose: nothing of a certificate, a header or a body.
func (t *requestTrace) sanitize(err error) error {
	status, isStatus := errors.AsType[statusError](err)
	proxy, isProxy := errors.AsType[proxyError](err)
	switch {
	case isStatus:
		return status
	case isProxy:
		return proxy
	case errors.Is(err, errBodyTooLarge):
		return errBodyTooLarge
	case errors.Is(err, errTooManyElements):
		return errTooManyElements
	case errors.Is(err, context.Canceled):
		return requestError{"the request was canceled", context.Canceled}
	case isTimeout(err):
		return requestError{t.timeoutText(), context.DeadlineExceeded}
	}
	if text, key := connectionText(err); key != "" {
		return providers.WithKey(key, requestError{text: text})
	} else if text != "" {
		return requestError{text: text}
	}
	return requestError{text: t.phaseText()}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

// timeoutText names the phase in which the request timed out.
func (t *requestTrace) timeoutText() string {
	switch {
	case t.answered.Load():
		return "timeout: the answer did not end"
	case t.connected.Load():
		return "timeout: no answer"
	case t.handshake.Load():
		return "timeout in the TLS handshake"
	}
	return "timeout: no connection"
}

// phaseText describes an error that is not known by its type, by the phase that
// the request reached.
func (t *requestTrace) phaseText() string {
	switch {
	case t.answered.Load():
		return "malformed answer"
	case t.connected.Load():
		return "the connection broke before an answer"
	case t.handshake.Load():
		return "the TLS handshake failed"
	}
	return "cannot connect"
}

// connectionText describes a connection or certificate error, or returns "". key
// is the configuration key to change, "" if it depends on the address. The texts
// of an errno and of a TLS alert come from tables in Go.
func connectionText(err error) (text, key string) {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host name cannot be resolved", ""
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateText(err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "the provider does not speak TLS there", ""
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		alert := op.Err.Error()
		if strings.Contains(alert, "certificate") { // ours: missing, or not accepted
			return alert, "tls.certificate"
		}
		return alert, ""
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error(), ""
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the answer ended", ""
	}
	return "", ""
}

var errExpiredCertificate = requestError{text: "the provider's certificate has expired, or is not valid yet"}

func certificateText(err error) (text, key string) {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case unknown:
		return "the provider's certificate is signed by an unknown authority: name it in tls.ca", "tls.ca"
	case host:
		return "the provider's certificate is for another host name", ""
	case invalid.Cert != nil && invalid.Reason == x509.Expired:
		return errExpiredCertificate.text, ""
	}
	return "the provider's certificate is not accepted", "tls.ca"
}

// maxQuoted bounds a quotation of the provider, in bytes.
const maxQuoted = 300

func truncate(text string) string {
	if len(text) > maxQuoted {
		return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return text
}
