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

	"shorepass/internal/ctxmutex"
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
	mu    ctxmutex.Mutex // guards the rest
	at    time.Time
	found providers.Findings
	err   error
}

func newPingCache() pingCache { return pingCache{mu: ctxmutex.New()} }

// Ping implements [providers.Pinger]. It connects to every server, and reports what
// each server is, which people and groups the service account sees, and when the
// directory locks accounts: a fault if logins with this configuration would. It fails if
// no server can be reached.
func (p *Provider) Ping(ctx context.Context) (providers.Findings, error) {
	if p.pingCache.mu.Lock(ctx) != nil {
		return nil, fmt.Errorf("wait for another ping: %w", context.Cause(ctx))
	}
	defer p.pingCache.mu.Unlock()
	if !p.pingCache.at.IsZero() && time.Since(p.pingCache.at) < pingTTL {
		return slices.Clone(p.pingCache.found), p.pingCache.err
	}
	found, err := p.ping(ctx)
	if !ctxDone(ctx) {
		p.pingCache.found, p.pingCache.err, p.pingCache.at = slices.Clone(found), err, time.Now()
	}
	return found, err
}

// ping returns the result of Ping, which Ping caches.
func (p *Provider) ping(ctx context.Context) (providers.Findings, error) {
	found, err := p.reportServers(ctx)
	switch {
	case err != nil:
		return nil, err
	case p.cfg.readsAsPerson():
		found = append(found, providers.Infof("entries are read with the person's own rights: what they show is known only at a login"))
		found = append(found, p.reportBases(ctx)...)
		return append(found, advise(nil, 0, 0)...), nil
	case p.cfg.BindDN == "":
		found = append(found, providers.Infof("searches are anonymous"))
	default:
		found = append(found, providers.Infof("bound as %s", p.cfg.BindDN))
	}
	found = append(found, p.reportAccounts(ctx)...)
	if n := p.dir.referrals.Load(); n > 0 {
		found = append(found, providers.Infof("%d references to other servers were not followed", n))
	}
	found = append(found, p.warnings.findings()...)
	found = append(found, p.reportLockout(ctx)...)
	if ctxDone(ctx) { // some searches failed for this alone
		return nil, fmt.Errorf("the directory takes too long to answer all searches: %w", ctxError(ctx))
	}
	return found, nil
}

// reportServers connects to each server. The error says why none can be reached.
func (p *Provider) reportServers(ctx context.Context) (providers.Findings, error) {
	p.dir.list.ensure(ctx)
	servers := p.dir.list.all()
	if len(servers) == 0 {
		return nil, p.dir.search.downError()
	}
	found := make(providers.Findings, len(servers))
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
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
	if err := p.dir.list.lastError(); err != nil {
		found = append(found, providers.Warningf(providers.KeyOf(err), "%v", err))
	}
	return found, nil
}

// reportAccounts reports on people and their groups, with one fault for each cause.
func (p *Provider) reportAccounts(ctx context.Context) providers.Findings {
	found, people := p.reportPeople(ctx)
	faults := found.Faults()
	if cause := p.reportPreset(ctx); cause != nil && len(faults) > 0 {
		return providers.Findings{*cause}
	}
	sameCause := slices.ContainsFunc(faults, func(f providers.Finding) bool { return f.Key == "bind_dn" || f.Key == "urls" })
	if p.groups == nil || sameCause {
		return found
	}
	return append(found, p.reportGroups(ctx, people)...)
}

// reportPreset returns a fault if the directory is not of the kind that the preset is for.
func (p *Provider) reportPreset(ctx context.Context) *providers.Finding {
	root, err := p.dir.find(ctx, query{scope: ldap.ScopeBaseObject, filter: anyEntry, attributes: []string{attrForestRoot, "vendorName", "objectClass"}})
	if err != nil || len(root) != 1 || p.cfg.Preset == "" {
		return nil
	}
	var fault providers.Finding
	switch isAD := root[0].has(attrForestRoot); {
	case isAD == (p.cfg.Preset == presetAD):
		return nil
	case isAD:
		fault = providers.Faultf("preset", "the directory is Active Directory, and no person can log in with preset = %q: write preset = %q", p.cfg.Preset, presetAD)
	default:
		fault = providers.Faultf("preset", "the directory is not Active Directory (%s), and no person can log in with preset = %q: write the preset of this directory", vendorName(root[0]), presetAD)
	}
	return &fault
}

// attrForestRoot is in the root DSE of Active Directory alone.
const attrForestRoot = "rootDomainNamingContext"

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
	root, err := c.rootDSE(ctx, d.timeout, "vendorName", "vendorVersion", "objectClass", "dnsHostName", attrForestRoot)
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
	case root.has(attrForestRoot):
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

// formatCount returns n as text, "at least" n if err cut the result short.
func formatCount(n int, err error) string {
	if err != nil {
		return fmt.Sprintf("at least %d", n)
	}
	return fmt.Sprint(n)
}
