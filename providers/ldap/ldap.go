package ldap

import (
	"fmt"
	"log/slog"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// Provider proves passwords at one directory. It is safe for concurrent use.
type Provider struct {
	cfg          Config
	userFilter   template
	dnTemplate   template     // nil: users.dn_template is not set
	bindName     template     // nil: users.bind_name is not set
	userBase     *ldap.DN     // nil: users.base is not set
	attributes   []string     // requested of a person's entry
	groups       *groupFinder // nil: groups are not configured
	dir          *directory
	forest       bool // the servers are global catalogs
	domains      *domains
	accountCache *accountCache
	refusalTimes *refusalTimes
	warnings     *warnings
	pingCache    pingCache

	background background
}

var (
	_ providers.Provider    = (*Provider)(nil)
	_ providers.Revalidator = (*Provider)(nil)
	_ providers.Pinger      = (*Provider)(nil)
	_ providers.Starter     = (*Provider)(nil)
	_ providers.CatchAll    = (*Provider)(nil)
	_ providers.DomainOwner = (*Provider)(nil)
	_ providers.Padder      = (*Provider)(nil)
	_ providers.LogSetter   = (*Provider)(nil)
	_ providers.Inspector   = (*Provider)(nil)
	_ providers.GroupLister = (*Provider)(nil)

	_ providers.PeerReporter = (*Provider)(nil)
)

// New returns a provider. cfg must have its defaults and be valid. New reads the
// files of cfg.TLS and does not use the network.
func New(cfg Config) (*Provider, error) {
	p := &Provider{
		cfg: cfg, forest: cfg.searchesForest(), accountCache: newAccountCache(), refusalTimes: &refusalTimes{}, warnings: newWarnings(), pingCache: newPingCache(),
	}
	var err error
	if p.userFilter, err = filterTemplate(cfg.Users.Filter, "login", "user"); err != nil {
		return nil, fmt.Errorf("users.filter: %w", err)
	}
	if cfg.Users.DNTemplate != "" {
		if p.dnTemplate, err = parseTemplate(cfg.Users.DNTemplate); err != nil {
			return nil, fmt.Errorf("users.dn_template: %w", err)
		}
	}
	if p.bindName, err = parseTemplate(cfg.Users.BindName); err != nil {
		return nil, fmt.Errorf("users.bind_name: %w", err)
	}
	if cfg.Users.base() != "" {
		if p.userBase, err = ldap.ParseDN(cfg.Users.base()); err != nil {
			return nil, fmt.Errorf("users.base: %w", err)
		}
	}
	if p.dir, err = newDirectory(cfg); err != nil {
		return nil, err
	}
	p.dir.list.warn = p.warnings.add
	if cfg.Groups.configured() {
		if p.groups, err = newGroupFinder(cfg, p.warnings); err != nil {
			return nil, err
		}
	}
	p.domains = newDomains(cfg, p.dir)
	if p.groups != nil {
		p.groups.severalDomains = p.severalDomains
	}
	p.attributes = p.personAttributes()
	return p, nil
}

// personAttributes returns the attributes to request of a person's entry, without
// repetition.
func (p *Provider) personAttributes() []string {
	names := []string{p.cfg.Users.Name, p.cfg.Users.Subject}
	names = append(names, p.cfg.Users.State...)
	names = append(names, p.cfg.Users.Stamp...)
	names = append(names, p.cfg.Claims...)
	if p.bindName != nil && p.cfg.Preset == presetAD {
		names = append(names, attrSID)
	}
	if p.groups != nil {
		names = append(names, p.groups.attributes()...)
	}
	var unique []string
	for _, name := range names {
		if name = commonName(name); !containsName(unique, name) {
			unique = append(unique, name)
		}
	}
	return unique
}

// SetLog implements [providers.LogSetter].
func (p *Provider) SetLog(log *slog.Logger) { p.warnings.log = log }

// CatchesAll implements [providers.CatchAll]. Where the bind comes first, every name is
// one to bind with, and a bind does not tell an unknown name from a wrong password.
func (p *Provider) CatchesAll() bool { return p.cfg.Users.bindsFirst() }

// Fingerprint returns the kind, the base and the subject attribute. It does not
// depend on the servers: another server of the directory has the same accounts.
func (p *Provider) Fingerprint() string {
	base := ""
	if p.userBase != nil {
		base = strings.ToLower(p.userBase.String()) // stored with sessions: its form must not change
	}
	return "ldap " + base + " " + strings.ToLower(p.cfg.Users.Subject)
}
