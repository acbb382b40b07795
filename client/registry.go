package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"shorepass/registry"
)

const (
	// requestTimeout bounds one request to a registry.
	requestTimeout = 5 * time.Second

	// maxBody bounds the body of an answer; the rest is not read.
	maxBody = 64 << 10
)

// Registry is what a registry says of itself in its answer to a request without a token.
type Registry struct {
	URL       *url.URL      // its origin: "https://registry.corp.example"
	Kind      string        // registry.Distribution2, …, guessed, see kindOf
	challenge challenge     // its Bearer challenge
	Skew      time.Duration // its Date less our clock; 0 where it sends none
}

// Realm is the URL of the token endpoint.
func (r *Registry) Realm() string { return r.challenge.Params["realm"] }

// Service is the name by which the registry asks for tokens, their aud.
func (r *Registry) Service() string { return r.challenge.Params["service"] }

// ErrUnreachable means that there was no answer.
var ErrUnreachable = errors.New("cannot be reached")

// ErrNoToken means that a registry asks for no token: it needs no login, or a password.
var ErrNoToken = errors.New("it asks for no token")

// ErrNoRegistry means that another server than a registry answers.
var ErrNoRegistry = errors.New("this is no registry")

// ParseRegistry parses the address of a registry: a URL without a path, or a host with an
// optional port, for https.
func ParseRegistry(address string) (*url.URL, error) {
	text := address
	if !strings.Contains(address, "://") {
		text = "https://" + address
	}
	u, err := url.Parse(text)
	if err == nil && u.User != nil {
		return nil, errors.New("the URL of a registry has no user and no password; leave them out")
	}
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the URL of a registry; write one such as %q", address, "https://registry.corp.example")
	}
	if path := strings.Trim(u.Path, "/"); path != "" && path != "v2" {
		return nil, fmt.Errorf("%q has a path; write %q", address, u.Scheme+"://"+u.Host)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// httpClient follows no redirect: clients of registries drop their token there.
var httpClient = &http.Client{
	Timeout:       requestTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// get sends a GET, with a token unless that is empty, and returns the response with the
// beginning of its body.
func get(ctx context.Context, address, token string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, withCure(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return resp, body, nil
}

// withCure returns the error of a request with its cure, if that is known.
func withCure(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w; name the file of its authority in the environment: SSL_CERT_FILE", err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return errors.New("it speaks http and not https; write http://, or give it a certificate")
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("%w; is the host right?", err)
	}
	return err
}

// Discover asks a registry where it sends its clients for a token. The error is
// ErrUnreachable, ErrNoToken or ErrNoRegistry.
func Discover(ctx context.Context, origin *url.URL) (*Registry, error) {
	sent := time.Now()
	resp, body, err := get(ctx, origin.String()+"/v2/", "")
	if err != nil {
		return nil, err
	}
	r := &Registry{URL: origin}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		r.Skew = skew(date, sent, time.Now())
	}
	challenges, _ := parseChallenges(resp.Header.Values("Www-Authenticate"))
	if isShorepass(body) {
		return nil, fmt.Errorf("%w but shorepass; write the URL of the registry", ErrNoRegistry)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		for _, c := range challenges {
			if c.Scheme == "bearer" {
				r.challenge, r.Kind = c, kindOf(resp.Header, c)
				return r, nil
			}
		}
	}
	return nil, whyUnusable(resp, string(body), challenges)
}

// whyUnusable returns the error for a response to /v2/ without a Bearer challenge.
func whyUnusable(resp *http.Response, body string, challenges []challenge) error {
	asksPassword := slices.ContainsFunc(challenges, func(c challenge) bool { return c.Scheme == "basic" })
	switch status := resp.StatusCode; {
	case status == http.StatusOK && resp.Header.Get("Docker-Distribution-Api-Version") != "":
		return fmt.Errorf("%w, and lets everyone in", ErrNoToken)
	case status == http.StatusUnauthorized && asksPassword:
		return fmt.Errorf("%w, but for a password", ErrNoToken)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%w: its answer to /v2/ is 401 without a Bearer challenge, which a proxy in front of it may drop", ErrNoRegistry)
	case status >= 300 && status < 400:
		return fmt.Errorf("%w: it redirects /v2/ to %q; write that host", ErrNoRegistry, resp.Header.Get("Location"))
	case status == http.StatusBadRequest && strings.Contains(body, "HTTP request to an HTTPS server"):
		return fmt.Errorf("%w: it speaks https and not http; write https://", ErrUnreachable)
	default:
		return fmt.Errorf("%w: its answer to /v2/ is %d %s; is the port right?", ErrNoRegistry, status, http.StatusText(status))
	}
}

// skew returns how far a registry's clock is ahead of ours, at least: it wrote date, in
// whole seconds, at some time between sent and received.
func skew(date, sent, received time.Time) time.Duration {
	switch {
	case date.After(received):
		return date.Sub(received)
	case date.Add(time.Second).Before(sent):
		return date.Add(time.Second).Sub(sent)
	}
	return 0
}

// kindOf guesses the kind of registry: zot sends an empty scope at /v2/, GitLab's
// registry has a header of its own, and distribution leaves out the charset since 3.0.
func kindOf(header http.Header, c challenge) string {
	scope, scoped := c.Params["scope"]
	switch {
	case scoped && scope == "":
		return registry.Zot
	case header.Get("Gitlab-Container-Registry-Version") != "":
		return registry.GitLab
	case header.Get("Content-Type") == "application/json":
		return registry.Distribution3
	}
	return registry.Distribution2
}

// Answer is how a registry answers a token.
type Answer int

// The answers to a token.
const (
	Refused      Answer = iota // the token is not valid there
	Accepted                   // it is valid
	Insufficient               // it is valid, and its access is not enough
	Unnamed                    // refused without the name of an error: no token arrived or, at distribution 3, its key is trusted and its signature is wrong
	Unclear                    // another status
)

// Present presents a token at a path, "/v2/". The error is ErrUnreachable.
func (r *Registry) Present(ctx context.Context, path, token string) (Answer, error) {
	resp, _, err := get(ctx, r.URL.String()+path, token)
	if err != nil {
		return Unclear, err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound:
		return Accepted, nil
	case http.StatusUnauthorized:
	default:
		return Unclear, nil
	}
	challenges, _ := parseChallenges(resp.Header.Values("Www-Authenticate"))
	for _, c := range challenges {
		switch {
		case c.Scheme != "bearer":
		case c.Params["error"] == "insufficient_scope":
			return Insufficient, nil
		case c.Params["error"] == "":
			return Unnamed, nil
		}
	}
	return Refused, nil
}
