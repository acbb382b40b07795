package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"shorepass/internal/ctxmutex"
)

const (
	// srvTTL is how long an answer with SRV records is used. The resolver does not
	// tell the TTL of the records.
	srvTTL = 5 * time.Minute

	// srvRetry is the interval of lookups after a failed one, and while every server
	// is down.
	srvRetry = 10 * time.Second
)

// serverList is the directory's servers, in the order of preference. A URL whose host is
// the name of SRV records (RFC 2782), such as "ldaps://_ldap._tcp.corp.example", stands for
// the servers that these records name. The health check looks them up again; while DNS
// fails, the last answer holds.
type serverList struct {
	sources  []*source
	timeout  time.Duration // of one lookup
	resolver *net.Resolver
	warn     func(key, problem string)

	lookup ctxmutex.Mutex // one lookup at a time, which owns the sources

	mu      sync.Mutex
	servers []*server // replaced whole, never changed
	dueAt   time.Time // the next lookup
	lastAt  time.Time // the last lookup
	err     error     // of the last lookup
}

// source is a URL of the configuration.
type source struct {
	url     *url.URL
	tls     *tls.Config
	start   bool      // start_tls
	records string    // of the last answer, to see whether it has changed
	servers []*server // of the last answer, or the one that the URL names
}

func newServerList(cfg Config) (*serverList, error) {
	tlsConfig, err := cfg.TLS.Client()
	if err != nil {
		return nil, err
	}
	l := &serverList{timeout: cfg.DialTimeout, resolver: net.DefaultResolver, warn: func(string, string) {}, lookup: ctxmutex.New()}
	for _, raw := range cfg.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("urls: %w", err)
		}
		one := &source{url: u, tls: tlsConfig, start: cfg.StartTLS}
		if !isSRVName(u.Hostname()) {
			s, err := newServer(raw, tlsConfig, cfg.StartTLS)
			if err != nil {
				return nil, err
			}
			one.servers = []*server{s}
		}
		l.sources = append(l.sources, one)
	}
	l.collect()
	return l, nil
}

// collect replaces the list by the servers of all sources.
func (l *serverList) collect() {
	var all []*server
	for _, one := range l.sources {
		all = append(all, one.servers...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers = all
}

// all returns the servers in the order of preference. The caller must not change the list.
func (l *serverList) all() []*server {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.servers
}

// hasSRV reports whether the list depends on SRV records.
func (l *serverList) hasSRV() bool {
	return slices.ContainsFunc(l.sources, func(one *source) bool { return isSRVName(one.url.Hostname()) })
}

// ensure looks the SRV records up at the first use, and while no server is known.
func (l *serverList) ensure(ctx context.Context) {
	l.mu.Lock()
	known := !l.lastAt.IsZero() && len(l.servers) > 0
	l.mu.Unlock()
	if !known {
		l.refreshIfDue(ctx)
	}
}

// refreshIfDue looks the SRV records up if their TTL is over, or if all servers are down
// and the last lookup is srvRetry ago.
func (l *serverList) refreshIfDue(ctx context.Context) {
	if !l.hasSRV() || !l.due() {
		return
	}
	if l.lookup.Lock(ctx) != nil {
		return
	}
	defer l.lookup.Unlock()
	if !l.due() {
		return // another caller has just done it
	}
	// The answer is for all callers: the end of one of them must not fail it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	var errs []error
	for _, one := range l.sources {
		if isSRVName(one.url.Hostname()) {
			errs = append(errs, l.lookUp(ctx, one))
		}
	}
	l.collect()
	err := errors.Join(errs...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.lastAt, l.dueAt = err, time.Now(), time.Now().Add(srvTTL)
	if err != nil {
		l.dueAt = l.lastAt.Add(srvRetry)
	}
}

// due reports whether a lookup is due.
func (l *serverList) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return !now.Before(l.dueAt) || now.Sub(l.lastAt) > srvRetry && !slices.ContainsFunc(l.servers, (*server).up)
}

// lastError returns the error of the last lookup, or nil.
func (l *serverList) lastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// lookUp replaces the servers of a source by those that DNS names now. A server that
// stays keeps its state; while the records stay, so do their order, which the resolver
// draws by the weights, and the maxServers that are used. After an error, the last answer holds.
func (l *serverList) lookUp(ctx context.Context, one *source) error {
	name := one.url.Hostname()
	_, records, err := l.resolver.LookupSRV(ctx, "", "", name+".")
	if err != nil && len(records) == 0 { // else some records were invalid
		return withCure(fmt.Errorf("look up the SRV records %s: %w", name, err), lookupCure(err))
	}
	urls, refused := srvURLs(one.url.Scheme, name, records, one.tls.ServerName != "")
	if len(refused) > 0 { // one warning, however many a forged answer names
		slices.Sort(refused)
		l.warn("urls", fmt.Sprintf("the SRV records %s name %s, which is not under %s and so not used (%d such names): DNS alone could send passwords anywhere; write the server in urls, or tls.server_name", name, refused[0], srvDomain(name), len(refused)))
	}
	if len(urls) == 0 {
		return withCure(fmt.Errorf("the SRV records %s name no server that can be used", name), cure{"urls", "write the servers in urls"})
	}
	key := recordsKey(records)
	if key == one.records {
		return nil
	}
	one.records = key
	urls = urls[:min(maxServers, len(urls))]
	servers := make([]*server, 0, len(urls))
	for _, raw := range urls {
		if i := slices.IndexFunc(one.servers, func(s *server) bool { return s.url == raw }); i >= 0 {
			servers = append(servers, one.servers[i])
			continue
		}
		s, err := newServer(raw, one.tls, one.start)
		if err != nil {
			return err
		}
		s.resolver = l.resolver
		servers = append(servers, s)
	}
	one.servers = servers
	return nil
}

// recordsKey returns a text that is equal for the same records in any order.
func recordsKey(records []*net.SRV) string {
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = fmt.Sprintf("%d %d %s:%d", r.Priority, r.Weight, strings.ToLower(r.Target), r.Port)
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// lookupCure returns the cure of a failed lookup of SRV records.
func lookupCure(err error) cure {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return cure{"urls", "DNS has none of this name: correct it in urls, or write the servers themselves"}
	}
	return cure{"", "this machine's DNS resolver does not answer"}
}

// srvURLs returns the URLs of the servers that SRV records name, and the targets that are
// refused.
//
// Each server must have a certificate for its own name. So a forged answer could name a
// host of the forger's, with a good certificate: unless anyName, which says that all
// certificates must have one configured name, a target must be under the domain of the
// records (RFC 6125, section 6.2.1: no name to verify comes from an insecure source).
func srvURLs(scheme, name string, records []*net.SRV, anyName bool) (urls, refused []string) {
	domain := srvDomain(name)
	for _, record := range records {
		target := strings.ToLower(strings.TrimSuffix(record.Target, "."))
		switch {
		case target == "": // the service is not offered (RFC 2782)
		case !anyName && target != domain && !strings.HasSuffix(target, "."+domain):
			refused = append(refused, target)
		default:
			raw := fmt.Sprintf("%s://%s:%d", scheme, target, srvPort(scheme, record.Port))
			if !slices.Contains(urls, raw) {
				urls = append(urls, raw)
			}
		}
	}
	return urls, refused
}

// srvPort returns the port of a record. Directories publish their ports without TLS, and
// have those with TLS beside them.
func srvPort(scheme string, port uint16) uint16 {
	switch {
	case scheme == "ldaps" && port == 389:
		return 636
	case scheme == "ldaps" && port == 3268:
		return 3269
	}
	return port
}

// isSRVName reports whether the host of a URL is the name of SRV records.
func isSRVName(host string) bool { return strings.HasPrefix(host, "_") }

// srvDomain returns the domain in a name of SRV records, in lower case:
// "_ldap._tcp.London._sites.corp.example" has "corp.example". It is "" if the name has none,
// or one of a single label, under which strangers may have hosts.
func srvDomain(name string) string {
	labels := strings.Split(strings.ToLower(name), ".")
	last := -1
	for i, label := range labels {
		if strings.HasPrefix(label, "_") {
			last = i
		}
	}
	domain := labels[last+1:]
	if last < 1 || len(domain) < 2 || slices.Contains(domain, "") {
		return ""
	}
	return strings.Join(domain, ".")
}
