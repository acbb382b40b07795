package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// domains are the directory's own domain names, which may come with a login name:
// "CORP\alice", "alice@corp.example".
type domains struct {
	configured []string                                    // login name keys from users.domains
	read       func(ctx context.Context) ([]string, error) // reads the names from the directory; nil: use those configured

	mu     sync.Mutex
	cached []string // the result of read; nil before
}

func newDomains(cfg Config, read func(context.Context) ([]string, error)) *domains {
	d := &domains{}
	for _, name := range cfg.Users.Domains {
		d.configured = append(d.configured, providers.Login(name).Key())
	}
	// Where the bind comes first there may be no service account to read them with.
	if cfg.Preset == presetAD && cfg.Users.Domains == nil && !cfg.Users.bindsFirst() {
		d.read = read
	}
	return d
}

// stripDomain returns the login name without this directory's own domain. A name
// with another domain stays as it is, and matches only an entry that has it so.
func (d *domains) stripDomain(ctx context.Context, login string) (string, error) {
	domain, name, found := strings.Cut(login, `\`)
	if !found {
		at := strings.LastIndexByte(login, '@')
		if at < 0 {
			return login, nil
		}
		name, domain = login[:at], login[at+1:]
	}
	if name == "" || domain == "" {
		return login, nil
	}
	ownNames, err := d.ownNames(ctx)
	if err != nil {
		return "", fmt.Errorf("find the domain's own names: %w", err)
	}
	if slices.Contains(ownNames, providers.Login(domain).Key()) {
		return name, nil
	}
	return login, nil
}

// Domains implements [providers.DomainOwner].
func (p *Provider) Domains() []string { return p.domains.configured }

// ownNames returns the domain names, read from the directory at their first use.
// Concurrent first uses may each read them.
func (d *domains) ownNames(ctx context.Context) ([]string, error) {
	if d.read == nil {
		return d.configured, nil
	}
	d.mu.Lock()
	cached := d.cached
	d.mu.Unlock()
	if cached != nil {
		return cached, nil
	}
	cached, err := d.read(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.cached = cached
	d.mu.Unlock()
	return cached, nil
}

// activeDirectoryDomains reads the domain's NetBIOS and DNS names from its
// crossRef object ([MS-ADTS], section 6.1.1.2.1.1).
func (d *directory) activeDirectoryDomains(ctx context.Context) ([]string, error) {
	root, err := d.find(ctx, query{
		scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{"defaultNamingContext", "configurationNamingContext"},
	})
	if err != nil {
		return nil, err
	}
	if len(root) != 1 || !root[0].has("defaultNamingContext") || !root[0].has("configurationNamingContext") {
		return nil, errors.New("the server does not say its naming contexts; set users.domains")
	}
	found, err := d.find(ctx, query{
		base:       "CN=Partitions," + root[0].text("configurationNamingContext"),
		scope:      ldap.ScopeSingleLevel,
		filter:     "(&(objectClass=crossRef)(nCName=" + ldap.EscapeFilter(root[0].text("defaultNamingContext")) + "))",
		attributes: []string{"nETBIOSName", "dnsRoot"},
	})
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, e := range found {
		for _, name := range append(e.texts("nETBIOSName"), e.texts("dnsRoot")...) {
			names = append(names, providers.Login(name).Key())
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the directory does not say its domain's names; set users.domains")
	}
	return names, nil
}
