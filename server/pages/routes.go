package pages

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// route is a path of the pages.
type route struct {
	name        string // by which a sign-in returns to it; empty where it returns to /me
	methods     handlers
	crossOrigin bool // its POST comes from elsewhere, and proves itself
	once        bool // its GET spends a code, so that it has no HEAD
	prefetch    bool // a browser may request it before the person does
}

// handlers are those of a path by method. HEAD is answered as GET, unless that works once.
type handlers map[string]handler

// routeMe is the name of the page to which a sign-in leads where none is named.
const routeMe = "me"

// routesByPath returns the routes. {provider} stands for the name of a provider.
func routesByPath() map[string]route {
	return map[string]route{
		"/":                          {methods: handlers{"GET": (*Pages).showHome}},
		"/login":                     {methods: handlers{"GET": (*Pages).showSignIn, "POST": (*Pages).signInByForm}},
		"/login/{provider}/callback": {methods: handlers{"GET": (*Pages).finishSignIn}, once: true},

		"/logout":            {methods: handlers{"GET": (*Pages).showLogout, "POST": (*Pages).logOut}},
		"/logout/{provider}": {methods: handlers{"POST": (*Pages).logOutByProvider}, crossOrigin: true},

		"/me":           {name: routeMe, methods: handlers{"GET": (*Pages).showMe}},
		"/me/one-time":  {methods: handlers{"POST": (*Pages).makeOneTimePassword}},
		"/me/new-token": {name: "new-token", methods: handlers{"GET": (*Pages).showTokenForm, "POST": (*Pages).makeToken}},
		"/me/rights":    {name: "rights", methods: handlers{"GET": (*Pages).showRights}},
		"/me/revoke":    {methods: handlers{"GET": (*Pages).askRevocation, "POST": (*Pages).revoke}},
	}
}

// New builds the pages and reads the logo. The options must be valid.
func New(o Options) (*Pages, error) {
	if o.Origin == nil {
		return nil, errors.New("the pages need an origin")
	}
	p := &Pages{Options: o, protection: http.NewCrossOriginProtection(), routes: routesByPath()}
	style, script, logo, err := newAssets(o.Config)
	if err != nil {
		return nil, err
	}
	p.brand = brand{Name: o.Config.Name, Style: style.path, Script: script.path, Logo: logo.path}
	p.assets = []asset{style, script, logo}
	if err := p.protection.AddTrustedOrigin(o.Origin.String()); err != nil { // a proxy may replace the host
		return nil, fmt.Errorf("server.public_urls: %w", err)
	}
	return p, nil
}

// Has reports whether a path is that of a page, or below one: people type /login/ and follow
// links that were cut, and get a page which says so.
func (p *Pages) Has(path string) bool {
	for _, tree := range []string{"/login/", "/logout/", "/me/"} {
		if strings.HasPrefix(path, tree) {
			return true
		}
	}
	found, _ := p.route(path)
	return found != nil
}

// route returns the route of a path, or nil, and the provider that the path names.
func (p *Pages) route(path string) (*route, string) {
	if found, ok := p.routes[path]; ok {
		return &found, ""
	}
	for _, a := range p.assets {
		if a.has(path) {
			return &route{methods: handlers{"GET": a.serve}, prefetch: true}, ""
		}
	}
	for _, pattern := range []struct{ prefix, suffix string }{{"/login/", "/callback"}, {"/logout/", ""}} {
		rest, ok := strings.CutPrefix(path, pattern.prefix)
		name, ends := strings.CutSuffix(rest, pattern.suffix)
		if !ok || !ends || name == "" || strings.Contains(name, "/") {
			continue
		}
		if found, ok := p.routes[pattern.prefix+"{provider}"+pattern.suffix]; ok {
			return &found, name
		}
	}
	return nil, ""
}

// routeName returns a name that a request has for a route, or that of /me where there is
// none of that name. No redirect leads to anything else that a request names.
func (p *Pages) routeName(name string) string {
	for _, one := range p.routes {
		if one.name == name && name != "" {
			return name
		}
	}
	return routeMe
}

// routePath returns the path of the route of a name, else that of /me.
func (p *Pages) routePath(name string) string {
	for path, one := range p.routes {
		if one.name == name && name != "" {
			return path
		}
	}
	return "/me"
}

// nameOf returns the name of the route to which a sign-in for a path returns.
func (p *Pages) nameOf(path string) string {
	found, _ := p.route(path)
	if found == nil {
		return routeMe
	}
	return p.routeName(found.name)
}
