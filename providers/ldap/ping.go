package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

const (
	// pingTTL is the TTL of a pingCache. It keeps a client that calls Ping in a loop
	// from searching the directory each time.
	pingTTL = 10 * time.Second

	maxCounted = 1000 // entries
)

// pingCache is a cache of the last result of Ping, with a TTL of pingTTL.
type pingCache struct {
	lock  chan struct{} // a mutex whose wait ends with a context; guards the rest
	at    time.Time
	found providers.Findings
	err   error
}

func newPingCache() pingCache { return pingCache{lock: make(chan struct{}, 1)} }

// Ping implements [providers.Pinger]. It connects to every server, and reports what
// each server is, which people and groups the service account sees, and when the
// directory locks accounts: a fault if logins with this configuration would. It fails if
// no server can be reached.
func (p *Provider) Ping(ctx context.Context) (providers.Findings, error) {
	select {
	case p.pingCache.lock <- struct{}{}:
		defer func() { <-p.pingCache.lock }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another ping: %w", context.Cause(ctx))
	}
	if !p.pingCache.at.IsZero() && time.Since(p.pingCache.at) < pingTTL {
		return slices.Clone(p.pingCache.found), p.pingCache.err
	}
	found, err := p.inspect(ctx)
	if !ctxDone(ctx) {
		p.pingCache.found, p.pingCache.err, p.pingCache.at = slices.Clone(found), err, time.Now()
	}
	return found, err
}

// inspect returns the result of Ping.
func (p *Provider) inspect(ctx context.Context) (providers.Findings, error) {
	found := make(providers.Findings, len(p.dir.servers))
	errs := make([]error, len(p.dir.servers))
	var wg sync.WaitGroup
	for i, s := range p.dir.servers {
		wg.Go(func() { found[i], errs[i] = p.dir.describeServer(ctx, s) })
	}
	wg.Wait()
	if !slices.Contains(errs, nil) {
		return nil, errors.Join(errs...)
	}
	for i, err := range errs {
		if err != nil {
			found[i] = providers.Warningf(providers.KeyOf(err), "%v", err)
		}
	}
	if p.dnTemplate != nil && p.cfg.BindDN == "" {
		found = append(found, providers.Infof("entries are read with the person's own rights: what they show is known only at a login"))
		return append(found, advise(nil, 0, 0)...), nil
	}
	if p.cfg.BindDN == "" {
		found = append(found, providers.Infof("searches are anonymous"))
	} else {
		found = append(found, providers.Infof("bound as %s", p.cfg.BindDN))
	}
	found = append(found, p.inspectPeople(ctx)...)
	if p.groups != nil {
		found = append(found, p.inspectGroups(ctx))
	}
	if n := p.dir.referrals.Load(); n > 0 {
		found = append(found, providers.Infof("%d references to other servers were not followed", n))
	}
	for _, text := range p.warnings.recent() {
		found = append(found, providers.Warningf("", "%s", text))
	}
	return append(found, p.inspectLockout(ctx)...), nil
}

// describeServer connects to a server and describes it.
func (d *directory) describeServer(ctx context.Context, s *server) (providers.Finding, error) {
	release, err := d.search.acquire(ctx, serviceShare)
	if err != nil {
		return providers.Finding{}, err
	}
	defer release()
	began := time.Now()
	c, err := d.search.open(ctx, s)
	if err != nil {
		if !ctxDone(ctx) && !errors.Is(err, errServiceAccount) {
			s.recordFailure(nil, err)
		}
		return providers.Finding{}, err
	}
	defer c.close()
	s.recordSuccess(nil)
	took := time.Since(began).Round(time.Millisecond)
	root, err := c.rootDSE(ctx, d.timeout, "vendorName", "vendorVersion", "objectClass", "dnsHostName", "rootDomainNamingContext")
	if err != nil && !answered(err) {
		return providers.Finding{}, fmt.Errorf("%s: %w", s.url, err)
	}
	return providers.Infof("%s: %s, %s, connected in %s", s.url, vendorName(root), describeTLS(c.tls), took), nil
}

// vendorName returns the server's vendor, from its root DSE (RFC 3045).
func vendorName(root entry) string {
	switch {
	case root.has("vendorName"):
		return truncated(strings.TrimSpace(root.text("vendorName") + " " + root.text("vendorVersion")))
	case slices.Contains(root.texts("objectClass"), "OpenLDAProotDSE"):
		return "OpenLDAP"
	case root.has("rootDomainNamingContext"):
		return truncated(strings.TrimSpace("Active Directory " + root.text("dnsHostName")))
	}
	return "unknown directory server"
}

// describeTLS returns the TLS version and the end of the server certificate.
func describeTLS(c *tls.Conn) string {
	if c == nil {
		return "without TLS"
	}
	state := c.ConnectionState()
	line := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		line += ", certificate good until " + state.PeerCertificates[0].NotAfter.Format(time.DateOnly)
	}
	return line
}

// inspectPeople counts the people and warns of attributes that their entries lack.
func (p *Provider) inspectPeople(ctx context.Context) providers.Findings {
	found, err := p.dir.find(ctx, query{
		base: p.cfg.Users.Base, scope: searchScope(p.cfg.Users.Scope), filter: p.userFilter.wildcardFilter(), sizeLimit: maxCounted,
		attributes: append([]string{p.cfg.Users.Name, p.cfg.Users.Subject}, p.cfg.Users.Stamp...),
	})
	if err != nil && resultCode(err) != ldap.LDAPResultSizeLimitExceeded {
		return providers.Findings{providers.Warningf("users.base", "search for people under %q: %s", p.cfg.Users.Base, err)}
	}
	findings := providers.Findings{providers.Infof("%s people under %q match users.filter", formatCount(len(found), err), p.cfg.Users.Base)}
	for _, must := range []struct{ key, name string }{{"users.name", p.cfg.Users.Name}, {"users.subject", p.cfg.Users.Subject}} {
		lacking := 0
		for _, e := range found {
			if len(e.values(must.name)) != 1 {
				lacking++
			}
		}
		if lacking > 0 {
			findings = append(findings, providers.Warningf(must.key, "%d of these do not show one %s, and cannot log in", lacking, must.name))
		}
	}
	if stamp := p.cfg.Users.Stamp; len(found) > 0 && !slices.ContainsFunc(found, func(e entry) bool { return stampOf(e, stamp) != "" }) {
		findings = append(findings, providers.Warningf("users.stamp", "no entry shows any of %s: a changed password does not end sessions", providers.Quoted(stamp)))
	}
	return findings
}

// inspectGroups counts the entries that have a group name.
func (p *Provider) inspectGroups(ctx context.Context) providers.Finding {
	cfg := p.cfg.Groups
	found, err := p.dir.find(ctx, query{
		base: cfg.Base, scope: searchScope(cfg.Scope), filter: "(" + cfg.Name + "=*)", attributes: []string{cfg.Name}, sizeLimit: maxCounted,
	})
	if err != nil && resultCode(err) != ldap.LDAPResultSizeLimitExceeded {
		return providers.Warningf("groups.base", "search for groups under %q: %s", cfg.Base, err)
	}
	return providers.Infof("%s entries under %q have a %s", formatCount(len(found), err), cfg.Base, cfg.Name)
}

// formatCount returns n as text, "at least" n if err cut the result short.
func formatCount(n int, err error) string {
	if err != nil {
		return fmt.Sprintf("at least %d", n)
	}
	return fmt.Sprint(n)
}
