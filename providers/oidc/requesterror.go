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
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// fault is the reason why a request to the provider failed, out of a closed set.
// It takes the place of a library's error, whose text may quote what the provider
// sent and so, in any encoding, a secret of this request or of one before it.
type requestError struct {
	text string
	is   error // a context's error, for errors.Is; nil for all others
}

func (e requestError) Error() string { return e.text }
func (e requestError) Unwrap() error { return e.is }

// statusError is an HTTP status other than 200.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("the provider answered %d %s", int(e), http.StatusText(int(e)))
}

// proxyError is the status of a proxy that did not connect to the provider.
type proxyError int

func (e proxyError) Error() string {
	return fmt.Sprintf("the proxy answered %d %s", int(e), http.StatusText(int(e)))
}

// progress records how far one request got. Its methods are safe for concurrent
// use, since a transport may still dial when the request has ended.
type requestTrace struct {
	handshake atomic.Bool // a TLS handshake began
	connected atomic.Bool // there was a connection, so that bytes may have been sent
	answered  atomic.Bool // a first byte came back
}

// watch returns a context whose request is recorded.
func (p *requestTrace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart:    func() { p.handshake.Store(true) },
		GotConn:              func(httptrace.GotConnInfo) { p.connected.Store(true) },
		GotFirstResponseByte: func() { p.answered.Store(true) },
	})
}

// fault returns the fault that a library's error stands for. It has no text that the
// provider can choose, of a certificate, a header or a body.
func (p *requestTrace) sanitize(err error) error {
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
		return requestError{"the request was given up", context.Canceled}
	case isTimeout(err):
		return requestError{p.timeoutText(), context.DeadlineExceeded}
	}
	if text := connectionText(err); text != "" {
		return requestError{text: text}
	}
	return requestError{text: p.phaseText()}
}

func isTimeout(err error) bool {
	timeoutText, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeoutText.Timeout()
}

// timeout names what did not come in time.
func (p *requestTrace) timeoutText() string {
	switch {
	case p.answered.Load():
		return "timeout: the answer did not end"
	case p.connected.Load():
		return "timeout: no answer"
	case p.handshake.Load():
		return "timeout in the TLS handshake"
	}
	return "timeout: no connection"
}

// other names an error that no table has, by how far the request got.
func (p *requestTrace) phaseText() string {
	switch {
	case p.answered.Load():
		return "malformed answer"
	case p.connected.Load():
		return "the connection broke before an answer"
	case p.handshake.Load():
		return "the TLS handshake failed"
	}
	return "cannot connect"
}

// connectionFault names the errors of connections and certificates, or is empty.
// The texts of an errno and of a TLS alert are those of tables in Go.
func connectionText(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host name cannot be resolved"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateText(err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "the provider does not speak TLS there"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return op.Err.Error()
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the answer ended"
	}
	return ""
}

func certificateText(err error) string {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case unknown:
		return "the provider's certificate is signed by an unknown authority: name it in tls.ca"
	case host:
		return "the provider's certificate is for another host name"
	case invalid.Cert != nil && invalid.Reason == x509.Expired:
		return "the provider's certificate has expired, or is not valid yet"
	}
	return "the provider's certificate is not accepted"
}

// briefly bounds what is quoted of the provider, in bytes.
const maxQuoted = 300

func truncate(text string) string {
	if len(text) > maxQuoted {
		return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return text
}

// quoted returns an error of a request that carried no secret. The text of a
// library, which may be an answer of the provider, is cut and quoted.
func (p *requestTrace) quote(err error) error {
	if _, failed := errors.AsType[*url.Error](err); failed {
		return p.sanitize(err)
	}
	return requestError{text: strconv.Quote(truncate(err.Error()))}
}
