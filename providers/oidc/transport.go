package oidc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody bounds what a provider may answer. Discovery documents and key sets
// of the large ones have some ten kilobytes.
const maxBody = 512 << 10

var errBodyTooLarge = fmt.Errorf("the provider's answer has more than %d bytes", maxBody)

// newHTTPClient returns the client for everything that is asked of the provider: it
// follows no redirect, takes no endless answer, and keeps its connections.
func newHTTPClient(cfg Config) (*http.Client, error) {
	tls, err := cfg.TLS.Client()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        tls,
		TLSHandshakeTimeout:    cfg.Timeout,
		ResponseHeaderTimeout:  cfg.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    16,
		MaxConnsPerHost:        128,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	return &http.Client{
		Transport: limited{transport},
		// A redirect would carry a password or a token somewhere the config
		// does not name, and send it a second time. The 3xx itself is the
		// answer, and no good one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// limited is a transport whose answers end with an error at maxBody, so that
// the libraries above it, which read to the end, cannot be fed for ever.
type limited struct{ next *http.Transport }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "shorepass")
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxBody}
	return resp, nil
}

func (l limited) CloseIdleConnections() { l.next.CloseIdleConnections() }

type limitedBody struct {
	io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		return 0, errBodyTooLarge
	}
	b.left -= n
	return n, err
}

// statusError is an HTTP status that was not the one hoped for.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("the provider answered %d %s", int(e), http.StatusText(int(e)))
}

// detached returns a context with the deadline of ctx, at most limit away, that
// does not end when the client hangs up: an answer of the token endpoint which
// nobody reads may have used up a refresh token.
func detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	until := time.Now().Add(limit)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), until)
}

// briefly bounds the text of an error.
const briefly = 300

func cut(text string) string {
	if len(text) > briefly {
		return strings.ToValidUTF8(text[:briefly], "") + "…"
	}
	return text
}

// briefError is an error of a library that may hold a whole answer of the
// provider in its text.
type briefError struct{ err error }

func brief(err error) error { return briefError{err} }

func (e briefError) Error() string { return cut(e.err.Error()) }

func (e briefError) Unwrap() error { return e.err }
