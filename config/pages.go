package config

import (
	"fmt"
	"slices"

	"shorepass/providers"
	"shorepass/registry"
)

// checkPages checks whether people of providers with the grant browser can sign in: the
// pages need a URL of the server that is fit for cookies, and a registry that people know
// by name.
func (l *loader) checkPages() {
	if len(l.cfg.Server.PublicURLs) == 0 {
		return
	}
	i, named := slices.IndexFunc(l.cfg.Providers, Provider.hasBrowserGrant), servicesWithHosts(l.cfg.Services)
	_, err := l.cfg.Server.PagesOrigin()
	switch {
	case i < 0 && err != nil && len(named) > 0:
		l.warn("server.public_urls[0]", fmt.Sprintf("%v; so the hosts of [[service]] have no effect", err))
		return
	case i < 0:
		return
	case err != nil:
		l.faults.under("")("server.public_urls[0]", fmt.Sprintf("%v; the provider %q has the grant browser", err, l.cfg.Providers[i].Name))
	}
	if len(named) == 0 {
		l.faults.under("")(element("provider", i)+".grants", `with the grant "browser" people sign in for a registry that they know by its host, and no [[service]] has hosts; write hosts = ["registry.corp.example"] in one`)
		return
	}
	for n, name := range l.cfg.Token.Services {
		table := slices.IndexFunc(l.cfg.Services, func(s registry.Service) bool { return s.Name == name })
		key := element("token.services", n)
		if table >= 0 {
			key = element("service", table) + ".hosts"
		}
		if !named[name] && (table < 0 || !l.cfg.Services[table].Disabled) {
			l.warn(key, fmt.Sprintf("people cannot sign in with a browser for the service %q, since it has no hosts; write hosts = [\"registry.corp.example\"], the host of docker login, in its [[service]] table", name))
		}
	}
}

// servicesWithHosts returns the names of the services that have hosts.
func servicesWithHosts(services []registry.Service) map[string]bool {
	all := make(map[string]bool)
	for _, s := range services {
		if len(s.Hosts) > 0 {
			all[s.Name] = true
		}
	}
	return all
}

// hasBrowserGrant reports whether people sign in at the provider's own page.
func (p Provider) hasBrowserGrant() bool {
	return p.options != nil && slices.Contains(p.options.Methods(), providers.MethodBrowser)
}
