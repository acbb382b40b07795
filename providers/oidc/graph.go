package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"shorepass/internal/ctxmutex"
	"shorepass/internal/hostport"
	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
)

// graph is our client at Microsoft Graph (v1.0), which has the groups that Entra ID
// leaves out of a token. It only sends requests to the host of groups.graph: the
// address that a token names in _claim_sources is not read. It is safe for
// concurrent use.
type graph struct {
	host      *url.URL // of groups.graph
	client    *client  // at the issuer
	http      *http.Client
	discovery *discovery
	token     appToken
	paused    atomic.Int64 // Graph asked not to send requests until then (429), in Unix milliseconds
}

// newGraph returns the client, or nil if groups.graph is not set.
func newGraph(client *client, discovery *discovery) (*graph, error) {
	if client.cfg.Groups.Graph == "" {
		return nil, nil
	}
	host, err := url.Parse(client.cfg.Groups.Graph)
	if err != nil {
		return nil, fmt.Errorf("groups.graph: %w", err)
	}
	cfg := client.cfg // of tls only the authorities are for Graph
	cfg.TLS = tlsconf.Config{CA: cfg.TLS.CA}
	http, err := newHTTPClient(cfg, client.requests)
	if err != nil {
		return nil, err
	}
	return &graph{host: host, client: client, http: http, discovery: discovery, token: appToken{mu: ctxmutex.New()}}, nil
}

// address returns the URL of a resource of Graph. path must be escaped.
func (g *graph) address(path string, query url.Values) string {
	return g.host.Scheme + "://" + g.host.Host + "/v1.0" + path + "?" + query.Encode()
}

// isAddress reports whether an address that Graph sent, of the next page, is one of
// Graph's own. Our token must not go anywhere else.
func (g *graph) isAddress(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.User == nil && hostport.Of(u) == hostport.Of(g.host)
}

// Bounds of how long Graph can make us pause, and how long it does if it does not
// say.
const (
	maxPause     = 5 * time.Minute
	defaultPause = 10 * time.Second
)

// errPaused means that Graph asked not to send requests now.
var errPaused = errors.New("it limits the rate of requests (429)")

// request sends a request to Graph, with body as JSON unless it is nil, and decodes
// the answer into result. A 401 is retried once with a new token. Errors are those of
// send and appToken.
func (g *graph) request(ctx context.Context, method, address string, body, result any) error {
	if time.Now().UnixMilli() < g.paused.Load() {
		return errPaused
	}
	token, err := g.appToken(ctx)
	if err != nil {
		return err
	}
	err = g.send(ctx, token, method, address, body, result)
	if !isGraphStatus(err, http.StatusUnauthorized) {
		return err
	}
	g.token.drop(ctx, token)
	if token, err = g.appToken(ctx); err != nil {
		return err
	}
	return g.send(ctx, token, method, address, body, result)
}

// send sends one request. The error is a graphError for any status but 200. No error
// quotes the answer, since the request had a secret.
func (g *graph) send(ctx context.Context, token secret.Text, method, address string, body, result any) error {
	ctx, cancel := context.WithTimeout(ctx, g.client.cfg.Timeout)
	defer cancel()
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	var trace requestTrace
	req, err := http.NewRequestWithContext(trace.attach(ctx, requestGraph), method, address, payload)
	if err != nil {
		return errors.New("the address of the request is malformed")
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return trace.sanitize(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return trace.sanitize(err)
	}
	if resp.StatusCode != http.StatusOK {
		g.pause(resp)
		return graphError{statusError(resp.StatusCode), graphCode(text)}
	}
	if json.Unmarshal(text, result) != nil {
		return errors.New("malformed answer")
	}
	return nil
}

// graphError is an error response of Graph or, if it has no code, of something in front
// of it.
type graphError struct {
	status statusError
	code   string // graphNotFound, graphOtherCode or ""
}

// Values of graphError.code.
const (
	graphNotFound  = "Request_ResourceNotFound" // the user, or an object in the request, does not exist
	graphOtherCode = "another code"
)

func (e graphError) Error() string { return e.status.Error() }

// graphCode returns the code in the body of an error response.
func graphCode(body []byte) string {
	answer, _ := decodeMembers(body) // none if it is no JSON object
	inner, _ := decodeMembers(answer["error"])
	switch code := inner.text("code"); code {
	case "", graphNotFound:
		return code
	}
	return graphOtherCode
}

// isGraphStatus reports whether Graph, or something in front of it, answered with a
// status.
func isGraphStatus(err error, status int) bool {
	answer, ok := errors.AsType[graphError](err)
	return ok && answer.status == statusError(status)
}

// saysNotFound reports whether Graph itself answered that the user of the request does
// not exist. Any wrong host, and some proxies during an outage, answer 404.
func saysNotFound(err error) bool {
	answer, ok := errors.AsType[graphError](err)
	return ok && answer.status == http.StatusNotFound && answer.code == graphNotFound
}

// saysForbidden reports whether Graph itself answered that the client lacks a permission.
func saysForbidden(err error) bool {
	answer, ok := errors.AsType[graphError](err)
	return ok && answer.status == http.StatusForbidden && answer.code != ""
}

// pause stops requests for as long as a 429 or 503 with Retry-After says (RFC 9110,
// section 10.2.3). Graph counts what comes meanwhile against the limit.
func (g *graph) pause(resp *http.Response) {
	wait := defaultPause
	switch after := resp.Header.Get("Retry-After"); {
	case resp.StatusCode != http.StatusTooManyRequests && (resp.StatusCode != http.StatusServiceUnavailable || after == ""):
		return
	default:
		if seconds, err := strconv.Atoi(after); err == nil {
			wait = time.Duration(min(max(seconds, 0), int(maxPause/time.Second))) * time.Second
		} else if at, err := http.ParseTime(after); err == nil {
			wait = min(time.Until(at), maxPause)
		}
	}
	g.paused.Store(time.Now().Add(wait).UnixMilli())
}

// appToken is the cached access token of our client itself.
type appToken struct {
	mu       ctxmutex.Mutex
	token    secret.Text // guarded by mu, as are the following
	until    time.Time
	failure  error // of the last request; nil after a success
	failedAt time.Time
}

// drop empties the cache, unless it holds another token.
func (a *appToken) drop(ctx context.Context, token secret.Text) {
	if a.mu.Lock(ctx) != nil {
		return // the caller's next wait fails as well
	}
	defer a.mu.Unlock()
	if a.token.Equal(token) {
		a.until = time.Time{}
	}
}

// appToken returns an access token for Graph, by the client credentials grant (RFC
// 6749, section 4.4) at the issuer's token endpoint. It is a cache until nine tenths
// of the token's lifetime, and single-flight. A failure is cached for failureTTL.
func (g *graph) appToken(ctx context.Context) (secret.Text, error) {
	a := &g.token
	if err := a.mu.Lock(ctx); err != nil {
		return secret.Text{}, fmt.Errorf("wait for an access token: %w", err)
	}
	defer a.mu.Unlock()
	now := time.Now()
	switch {
	case now.Before(a.until):
		return a.token, nil
	case a.failure != nil && now.Sub(a.failedAt) < failureTTL:
		return secret.Text{}, a.failure
	}
	got, err := g.requestAppToken(ctx)
	if err != nil {
		if ctx.Err() == nil { // else the caller gave up
			a.failure, a.failedAt = err, time.Now()
		}
		return secret.Text{}, err
	}
	lifetime := max(got.lifetime, time.Minute) // a minute if the answer does not say
	a.token, a.until, a.failure = secret.New(got.access), now.Add(lifetime*9/10), nil
	return a.token, nil
}

// requestAppToken requests an access token for Graph.
func (g *graph) requestAppToken(ctx context.Context) (tokens, error) {
	m, err := g.discovery.get(ctx)
	if err != nil {
		return tokens{}, err
	}
	return g.client.clientCredentialsGrant(ctx, m, g.client.cfg.Groups.Graph+"/.default")
}
