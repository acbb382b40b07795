package oidc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Limits of one answer. Discovery documents and key sets of the large providers
// have some ten kilobytes. The elements are those of its JSON, each of which may
// cost a hundred bytes of memory for two of the answer.
const (
	maxBody     = 512 << 10
	maxElements = 64 << 10
)

var (
	errBodyTooLarge    = fmt.Errorf("the provider's answer has more than %d bytes", maxBody)
	errTooManyElements = fmt.Errorf("the provider's answer has more than %d elements", maxElements)
)

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
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
			if response.StatusCode != http.StatusOK {
				return proxyError(response.StatusCode) // the transport's own error would quote the status line
			}
			return nil
		},
	}
	return &http.Client{
		Transport: boundedTransport{transport},
		// A redirect would carry a password or a token somewhere the config
		// does not name, and send it a second time. The 3xx itself is the
		// answer, and no good one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// limited is a transport that reads each answer whole, up to its limits and
// after decompression, so that the libraries above it cannot be fed for ever.
type boundedTransport struct{ next *http.Transport }

func (l boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "shorepass")
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := readBody(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func (l boundedTransport) CloseIdleConnections() { l.next.CloseIdleConnections() }

func readBody(from io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxBody:
		return nil, errBodyTooLarge
	case countElements(body) > maxElements:
		return nil, errTooManyElements
	}
	return body, nil
}

// elements returns how many elements a JSON text has at most. Those that stand
// within a string are counted too, which spares a parser.
func countElements(text []byte) int {
	return bytes.Count(text, []byte(",")) + bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{"))
}

// detached returns a context with the deadline of ctx, at most limit away, that
// does not end when the client hangs up: an answer of the token endpoint which
// nobody reads may have used up a refresh token.
func detachedContext(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	until := time.Now().Add(limit)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), until)
}
