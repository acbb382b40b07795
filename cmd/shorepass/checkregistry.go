package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"shorepass/client"
	"shorepass/internal/hostport"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
	"shorepass/registry"
)

// registryCheck compares a registry with the configuration: it asks the registry as a
// client does, and presents probe tokens ([registry.Probe]). These grant access to no
// repository that exists, are valid for a day at most, and go to that registry alone and
// to the server's own URLs, whatever the registry says.
type registryCheck struct {
	cfg      *resolvedConfig
	issuer   *registry.Issuer
	registry *client.Registry

	service  string         // of ours: the one that the registry names, else the first
	probe    registry.Probe // equals the access tokens for that service
	signing  string         // how these are signed: "x5c", "kid" or "libtrust"
	findings providers.Findings
}

// registryTimeout is the timeout of check --registry, which may present dozens of tokens.
const registryTimeout = 30 * time.Second

// askRegistry compares the registry at an address with the configuration. The error says
// what differs.
func (c *checkResult) askRegistry(ctx context.Context, cfg *resolvedConfig, address string) error {
	issuer, err := loadIssuer(cfg)
	if err != nil {
		return c.add(err)
	}
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	part, err := checkRegistry(ctx, cfg, issuer, address)
	if part.Name != "" {
		c.Registry = &part
	}
	var faults []error
	if err != nil && part.Name != "" {
		err = fmt.Errorf("registry %s: %w", part.Name, err)
	}
	if err != nil {
		faults = append(faults, c.add(err))
	}
	return errors.Join(append(faults, faultsOf("registry "+part.Name, part.Findings)...)...)
}

// checkRegistry returns the findings about the registry with that address. Their keys are
// those of the registry's configuration, or ours where the text names ours alone. An
// error comes with what was found before.
func checkRegistry(ctx context.Context, cfg *resolvedConfig, issuer *registry.Issuer, address string) (partResult, error) {
	origin, err := client.ParseRegistry(address)
	if err != nil {
		return partResult{}, fmt.Errorf("--registry: %w", err)
	}
	part := partResult{Name: origin.String(), Kind: "registry"}
	found, err := client.Discover(ctx, origin)
	if err != nil {
		part.Findings = providers.Findings{discoveryFault(err)}
		return part, nil
	}
	c := &registryCheck{cfg: cfg, issuer: issuer, registry: found}
	part.Kind = cmp.Or(found.Kind, part.Kind)
	c.addf(providers.Infof("it sends clients to %q for the service %q", found.Realm(), found.Service()))
	c.checkClock()
	c.checkService()
	c.checkHost()
	c.checkRealm(ctx)
	err = c.checkToken(ctx)
	part.Findings = c.findings
	return part, err
}

func discoveryFault(err error) providers.Finding {
	key := ""
	if errors.Is(err, client.ErrNoToken) {
		key = "auth.token"
		err = fmt.Errorf("%w; put the auth block there that shorepass registry-config prints", err)
	}
	return providers.Faultf(key, "%v", err)
}

func (c *registryCheck) addf(f providers.Finding) { c.findings = append(c.findings, f) }

// theirs returns a key of the registry's configuration.
func (c *registryCheck) theirs(key string) string {
	if c.registry.Kind != registry.Zot {
		return "auth.token." + key
	}
	if key == "rootcertbundle" {
		key = "cert"
	}
	return "http.auth.bearer." + key
}

const (
	// maxSkew is how far apart the clocks may be: the leeway of distribution for a
	// token's times. Zot has none, and a token begins ten seconds early.
	maxSkew    = time.Minute
	maxZotSkew = 10 * time.Second

	// maxFollowedSkew bounds the validity of a probe, which follows the registry's clock:
	// what calls itself one may claim any time, and would keep a token for ever.
	maxFollowedSkew = 12 * time.Hour
)

func (c *registryCheck) checkClock() {
	skew := c.registry.Skew
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	limit := maxSkew
	if c.registry.Kind == registry.Zot && skew < 0 {
		limit = maxZotSkew
	}
	switch size := skew.Abs().Round(time.Second); {
	case size >= limit:
		c.addf(providers.Faultf("", "its clock is %s %s the one of this machine, and it refuses tokens from %s on; set both by NTP", size, way, limit))
	case size >= limit/2:
		c.addf(providers.Warningf("", "its clock is %s %s the one of this machine, and from %s on it refuses tokens; set both by NTP", size, way, limit))
	}
}

// checkService chooses the service of ours that the registry means.
func (c *registryCheck) checkService() {
	named := c.registry.Service()
	c.service = named
	_, err := c.issuer.Service(named)
	switch {
	case err == nil && named != "":
	case errors.Is(err, registry.ErrDisabled):
		c.addf(providers.Faultf(c.ourKey("disabled"), "the service %q is disabled here; take that out of its [[service]] table", named))
	default:
		c.service = c.issuer.FirstService()
		c.addf(providers.Faultf(c.theirs("service"), "the service %q is not in token.services; write service: %q there, or add %[1]q to token.services here",
			named, c.service))
	}
	c.probe, _ = c.issuer.Probe(c.service) // c.service is one of ours
	c.probe.Service = named
	if settings, err := c.settings(); err == nil {
		c.signing = settings.Signing
	}
}

// checkHost compares the host with those that the sign-in page names for the service.
func (c *registryCheck) checkHost() {
	at := slices.IndexFunc(c.cfg.Services, func(s registry.Service) bool { return s.Name == c.service })
	if at < 0 || len(c.cfg.Services[at].Hosts) == 0 {
		return
	}
	called := func(host string) bool {
		return hostport.Of(&url.URL{Scheme: c.registry.URL.Scheme, Host: host}) == hostport.Of(c.registry.URL)
	}
	if hosts := c.cfg.Services[at].Hosts; !slices.ContainsFunc(hosts, called) {
		c.addf(providers.Warningf(c.ourKey("hosts"), "people who sign in with a browser are told to log in at %s, and this registry is %s; add it to %s if they call it so",
			strings.Join(hosts, " or "), c.registry.URL.Host, c.ourKey("hosts")))
	}
}

// realms returns the URLs of the token endpoint, the preferred one first.
func (c *registryCheck) realms() []string {
	var all []string
	for _, public := range c.cfg.Server.PublicURLs {
		for _, path := range c.cfg.Server.Paths {
			all = append(all, strings.TrimSuffix(public, "/")+path)
		}
	}
	return all
}

// checkRealm compares the realm with our own URLs, and asks there who answers.
func (c *registryCheck) checkRealm(ctx context.Context) {
	realm := c.registry.Realm()
	at, err := url.Parse(realm)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		c.addf(providers.Faultf(c.theirs("realm"), "the realm %q is not a URL; write realm: %q there", realm, c.realms()[0]))
		return
	}
	own := slices.ContainsFunc(c.realms(), func(ours string) bool { return sameURL(ours, realm) })
	if !own {
		c.addf(c.otherRealm(at))
	}
	if c.registry.URL.Scheme == "https" && at.Scheme == "http" {
		c.addf(providers.Warningf(c.theirs("realm"), "clients built on go-containerregistry, such as crane, refuse an http realm of an https registry; serve shorepass by https"))
	}
	if tlsconf.IsLoopback(at.Hostname()) && !tlsconf.IsLoopback(c.registry.URL.Hostname()) {
		c.addf(providers.Faultf(c.theirs("realm"), "the realm is on %s, where a client on another machine reaches only itself; set server.public_urls here and write that realm there", at.Hostname()))
	}
	c.addf(c.askRealm(ctx, at, own))
}

// otherRealm says how a realm differs from ours, by the nearest of them.
func (c *registryCheck) otherRealm(at *url.URL) providers.Finding {
	key, want := c.theirs("realm"), c.realms()[0]
	for _, ours := range c.realms() {
		u, err := url.Parse(ours)
		if err == nil && hostport.Of(u) == hostport.Of(at) && u.Scheme == at.Scheme {
			return providers.Faultf(key, "the path %q of the realm is not in server.paths (%s); write realm: %q there, or add the path to server.paths here",
				at.Path, strings.Join(c.cfg.Server.Paths, ", "), ours)
		}
	}
	redirects := ""
	if hostport.Of(at) == hostport.Of(c.registry.URL) {
		redirects = " (its own host: autoredirect is on there)"
	}
	return providers.Faultf(key, "the realm %q%s is none of this server's; write realm: %q there, or add the URL to server.public_urls here", at, redirects, want)
}

// sameURL compares two URLs as clients resolve them, and as the server does, which
// ignores extra slashes.
func sameURL(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Scheme == y.Scheme && hostport.Of(x) == hostport.Of(y) && path.Clean(x.Path) == path.Clean(y.Path)
}

// askRealm finds out who answers at the realm: a server with our keys, if the token for
// an anonymous client is ours, or if /v2/ beside it takes a probe. Only a realm of our own
// gets one: the registry chooses the realm.
func (c *registryCheck) askRealm(ctx context.Context, at *url.URL, own bool) providers.Finding {
	key := c.theirs("realm")
	reply, err := client.AskAnonymously(ctx, at.String(), c.registry.Service())
	switch {
	case err != nil && own:
		return providers.Faultf("server.public_urls", "the realm %v; is serve running, and does public_urls lead to it?", err)
	case err != nil:
		return providers.Faultf(key, "the realm %v", err)
	case !reply.IsOurs:
		return providers.Faultf(key, "no shorepass answers at the realm (its answer is %d)", reply.Status)
	case reply.Token != "":
		if _, err := c.issuer.Verify(reply.Token, time.Now()); err != nil {
			return c.foreignKeys()
		}
		return providers.Infof("a server with this configuration's keys answers at the realm")
	case !own || hostport.Of(at) == hostport.Of(c.registry.URL):
		return providers.Infof("a shorepass answers at the realm")
	}
	probe, _ := c.issuer.Probe(c.service)
	token, err := c.issuer.MintProbe(probe, nil, registry.At(time.Now()))
	if err != nil {
		return providers.Faultf("", "%v", err)
	}
	beside := &client.Registry{URL: &url.URL{Scheme: at.Scheme, Host: at.Host}}
	switch answer, _ := beside.Present(ctx, "/v2/", token.Reveal()); answer {
	case client.Accepted:
		return providers.Infof("a server with this configuration's keys answers at the realm")
	case client.Refused:
		return c.foreignKeys()
	}
	return providers.Infof("a shorepass answers at the realm")
}

func (c *registryCheck) foreignKeys() providers.Finding {
	return providers.Faultf("token.root_certificate", "the server at the realm does not sign with this configuration's keys; is it another one, or was it started with other files?")
}
