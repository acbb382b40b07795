package ldap

import (
	"context"
	"net"
	"time"
)

// SetResolver replaces the DNS resolver.
func (p *Provider) SetResolver(r *net.Resolver) { p.dir.list.resolver = r }

// LookUpServers looks the SRV records up now, as the health check does later.
func (p *Provider) LookUpServers(ctx context.Context) {
	l := p.dir.list
	l.mu.Lock()
	l.dueAt = time.Time{}
	l.mu.Unlock()
	l.refreshIfDue(ctx)
}

// ServerURLs returns the URLs of the servers, in the order of preference.
func (p *Provider) ServerURLs() []string {
	var urls []string
	for _, s := range p.dir.list.all() {
		urls = append(urls, s.url)
	}
	return urls
}
