package oidc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"shorepass/internal/latency"
)

// Limits of one response. Discovery documents and key sets of the large providers
// have some ten kilobytes. Elements are JSON values: one can cost a hundred bytes
// of memory for two of the body.
const (
	maxBody     = 512 << 10
	maxElements = 64 << 10
)

var (
	errBodyTooLarge    = fmt.Errorf("the provider's answer has more than %d bytes", maxBody)
	errTooManyElements = fmt.Errorf("the provider's answer has more than %d elements", maxElements)
)

// newHTTPClient returns the client for all requests to the provider, which it
// records. It follows no redirect, bounds each response, and reuses connections.
func newHTTPClient(cfg Config, requests *latency.Recorder) (*http.Client, error) {
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
		Transport: boundedTransport{transport, requests},
		// A redirect would send a password or a token a second time, to a host
		// that the configuration does not name. The 3xx is returned as the
		// response, and is an error.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// boundedTransport reads each response whole, up to its limits and after
// decompression, so that a provider cannot feed the libraries above without end.
type boundedTransport struct {
	next     *http.Transport
	requests *latency.Recorder
}

func (l boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := l.roundTrip(r)
	recordRequest(r.Context(), l.requests, began, resp, err)
	return resp, err
}

func (l boundedTransport) roundTrip(r *http.Request) (*http.Response, error) {
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

// countElements returns an upper bound of the elements of a JSON text. It counts
// delimiters within strings too, which spares a parser.
func countElements(text []byte) int {
	return bytes.Count(text, []byte(",")) + bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{"))
}

// detachedContext returns a context with the deadline of ctx, at most limit from
// now, that is not canceled when the client disconnects: a token response that is
// not read may have used up a refresh token.
func detachedContext(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	until := time.Now().Add(limit)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), until)
}
