package oidc

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"shorepass/internal/duration"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
)

// Validate reports the faults of the table without reading files or using the
// network. Defaults must be filled in. The keys of [providers.Config] are checked
// with all providers together.
func (c Config) Validate(fault func(key, problem string)) {
	c.validateIssuer(fault)
	c.validateGrants(fault)
	c.validateClaims(fault)
	oneOf := func(key, value string, good ...string) {
		if !slices.Contains(good, value) {
			fault(key, fmt.Sprintf("%q is not one of %s", value, providers.Quoted(good)))
		}
	}
	oneOf("userinfo", c.Userinfo, "auto", "always", "never")
	oneOf("sign_ins", c.SignIns, signInsLogin, signInsOne)
	oneOf("backchannel_logout", c.BackchannelLogout, logoutBrowser, logoutAll)
	oneOf("revoke", c.Revoke, string(providers.RevokeSignIn), string(providers.RevokeLast), string(providers.RevokeNever))
	c.validateClient(fault)
	c.validateBrowser(fault)
	if len(c.Algorithms) == 0 {
		fault("algorithms", "an empty list accepts no token; leave the key out for the default")
	}
	for i, alg := range c.Algorithms {
		oneOf(fmt.Sprintf("algorithms[%d]", i), alg, asymmetricAlgorithms...)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		fault("timeout", fmt.Sprintf("%s is not between \"0s\" and %q, the time that a whole login has", duration.Format(c.Timeout), duration.Format(maxTimeout)))
	}
	if c.MaxTokenAge < 0 {
		fault("max_token_age", fmt.Sprintf("%s is negative; the shortest that works is that of the tokens themselves", c.MaxTokenAge))
	}
	if c.Reauthenticate != 0 && c.Reauthenticate < minReauthenticate {
		fault("reauthenticate", fmt.Sprintf("%s is shorter than \"1m\"; leave it out for no limit", duration.Format(c.Reauthenticate)))
	}
	for i, host := range c.Hosts {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || host == "" {
			fault(fmt.Sprintf("hosts[%d]", i), fmt.Sprintf("%q is not a host: write \"sso.corp.example\" or \"sso.corp.example:8443\"", host))
		}
	}
	c.TLS.Validate(fault)
}

// validateClient reports the faults of how the client authenticates.
func (c Config) validateClient(fault func(key, problem string)) {
	known := []string{authBasic, authPost, authKey, authNone}
	switch style := c.AuthStyle; {
	case !c.ClientSecret.IsZero() && c.ClientKey != "":
		fault("client_key", "leave out client_key or client_secret: the client authenticates with one of them")
	case style != "" && !slices.Contains(known, style):
		fault("auth_style", fmt.Sprintf("%q is not one of %s", style, providers.Quoted(known)))
	case (style == authBasic || style == authPost) && c.ClientSecret.IsZero():
		fault("auth_style", fmt.Sprintf("%q needs a client_secret", style))
	case style == authKey && c.ClientKey == "":
		fault("auth_style", `"private_key_jwt" needs a client_key`)
	case style != authKey && c.ClientKey != "":
		fault("auth_style", fmt.Sprintf("%q does not use client_key: leave out one of the two", style))
	case style == authNone && !c.ClientSecret.IsZero():
		fault("auth_style", `"none" sends no client_secret: leave out one of the two`)
	}
}

// maxLabel bounds Config.Label, in characters: it stands on a button.
const maxLabel = 60

// validateBrowser reports the faults of the keys for the sign-in with a browser.
func (c Config) validateBrowser(fault func(key, problem string)) {
	for _, option := range []struct {
		key string
		set bool
	}{
		{"label", c.Label != c.Name}, {"acr_values", len(c.ACRValues) > 0}, {"max_age", c.MaxAge != 0}, {"prompt", len(c.Prompt) > 0},
		{"backchannel_logout", c.BackchannelLogout == logoutAll},
	} {
		if option.set && !c.grants(grantBrowser) {
			fault(option.key, `is for the sign-in with a browser: add "browser" to grants, or leave it out`)
		}
	}
	if problem := providers.TextProblem(c.Label); problem != "" && c.Label != c.Name {
		fault("label", "cannot stand on a page: it "+problem)
	} else if utf8.RuneCountInString(c.Label) > maxLabel {
		fault("label", fmt.Sprintf("has more than %d characters, and stands on a button", maxLabel))
	}
	for i, acr := range c.ACRValues {
		if acr == "" || strings.ContainsFunc(acr, func(r rune) bool { return r <= ' ' || r > '~' }) {
			fault(fmt.Sprintf("acr_values[%d]", i), fmt.Sprintf("%q is not one value without blanks", acr))
		}
	}
	if c.MaxAge != 0 && c.MaxAge < minMaxAge {
		fault("max_age", fmt.Sprintf(`%s is shorter than "1m"; to have the provider ask each time, write prompt = ["login"]`, duration.Format(c.MaxAge)))
	}
	for i, prompt := range c.Prompt {
		if !slices.Contains(prompts, prompt) {
			fault(fmt.Sprintf("prompt[%d]", i), fmt.Sprintf("%q is not one of %s", prompt, providers.Quoted(prompts)))
		}
	}
}

func (c Config) validateIssuer(fault func(key, problem string)) {
	if c.Issuer == "" {
		fault("issuer", "is required: the provider's issuer URL, as its discovery document has it")
		return
	}
	c.validateAddress("issuer", c.Issuer, fault)
	if u, err := url.Parse(c.Issuer); err == nil && u.Hostname() == "login.microsoftonline.com" && isMultiTenant(u.Path) {
		fault("issuer", "accepts every tenant of Entra ID: name your own, as in https://login.microsoftonline.com/TENANT-ID/v2.0")
	}
	if c.Discovery != "" {
		c.validateAddress("discovery", c.Discovery, fault)
	}
}

// validateAddress checks a URL below which a discovery document is.
func (c Config) validateAddress(key, address string, fault func(key, problem string)) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(address, "#") || u.ForceQuery:
		fault(key, fmt.Sprintf("%q is not a URL of scheme, host and path alone", address))
	case u.Scheme == "http" && !c.Insecure && !tlsconf.IsLoopback(u.Hostname()):
		fault(key, "is plain http: use https, or set insecure = true to send passwords unprotected")
	case u.Scheme != "https" && u.Scheme != "http":
		fault(key, fmt.Sprintf("%q does not begin with https://", address))
	case strings.HasSuffix(u.Path, wellKnown):
		fault(key, "is the discovery document's URL: leave out "+wellKnown)
	}
}

// isMultiTenant reports whether path is that of a multi-tenant issuer of Entra
// ID, which would accept an account of any tenant.
func isMultiTenant(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return slices.Contains([]string{"common", "organizations", "consumers"}, strings.ToLower(first))
}

func (c Config) validateGrants(fault func(key, problem string)) {
	known := []string{grantPassword, grantBrowser, grantRefresh, grantIDToken}
	if len(c.Grants) == 0 {
		fault("grants", "is required: name at least one of "+providers.Quoted(known))
	}
	for i, grant := range c.Grants {
		if !slices.Contains(known, grant) {
			fault(fmt.Sprintf("grants[%d]", i), fmt.Sprintf("%q is not one of %s", grant, providers.Quoted(known)))
		}
	}
	if c.usesClient() && c.ClientID == "" {
		fault("client_id", "is required with the grants password, refresh_token and browser")
	}
	if c.usesClient() && !slices.Contains(c.Scopes, "openid") {
		fault("scopes", `must hold "openid": without it the provider does not say who logged in`)
	}
	if slices.Contains(c.Scopes, offlineAccess) && !c.grants(grantRefresh) {
		fault("scopes", `leave out "offline_access", or add "refresh_token" to grants: without it no refresh token is used`)
	}
	for i, scope := range c.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\"\\") {
			fault(fmt.Sprintf("scopes[%d]", i), fmt.Sprintf("%q is not one scope", scope))
		}
	}
	if c.grants(grantIDToken) && len(c.Audience) == 0 {
		fault("audience", "is required with the grant id_token: the aud of the tokens to accept")
	}
	if slices.Contains(c.Audience, "") {
		fault("audience", "an empty name is not an audience")
	}
}

func (c Config) validateClaims(fault func(key, problem string)) {
	if _, err := parsePath(c.Users.Claim); err != nil {
		fault("users.claim", err.Error())
	}
	c.Groups.GroupNames.Validate(func(key, problem string) { fault("groups."+key, problem) })
	if c.Groups.Claim == "" {
		if !reflect.ValueOf(c.Groups).IsZero() {
			fault("groups.claim", "is required with the other keys of groups")
		}
	} else if _, err := parsePath(c.Groups.Claim); err != nil {
		fault("groups.claim", err.Error())
	}
	c.validateGraph(fault)
	if len(c.Subject) == 0 || slices.Contains(c.Subject, "") {
		fault("subject", `name the claims that never change for a person, such as ["sub"]`)
	}
	if slices.Contains(c.Claims, "") {
		fault("claims", "an empty name is not a claim")
	}
}

// validateGraph reports the faults of groups.graph and groups.by.
func (c Config) validateGraph(fault func(key, problem string)) {
	groups := c.Groups
	if groups.Graph == "" {
		if groups.By != "" {
			fault("groups.by", "needs groups.graph: leave it out, or write that too")
		}
		return
	}
	u, err := url.Parse(groups.Graph)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || "https://"+u.Host != groups.Graph:
		fault("groups.graph", fmt.Sprintf("%q is not https:// and a host alone, as in \"https://graph.microsoft.com\"", groups.Graph))
	case c.ClientSecret.IsZero() && c.ClientKey == "":
		fault("groups.graph", "needs a client_secret or a client_key, with which the client asks for the groups")
	case groups.Claim != "groups":
		fault("groups.claim", fmt.Sprintf("is %q, and groups.graph has what Entra ID leaves out of \"groups\"", groups.Claim))
	}
	switch {
	case groups.By != groupsByID && groups.By != groupsByName:
		fault("groups.by", fmt.Sprintf("%q is not one of %s", groups.By, providers.Quoted([]string{groupsByID, groupsByName})))
	case groups.By == groupsByName && len(groups.Rename) > 0:
		fault("groups.rename", `gives object IDs names: leave it out with groups.by = "name", or leave groups.by out`)
	}
	for i, glob := range groups.Only {
		switch isID := objectID.MatchString(glob); {
		case isID && groups.By == groupsByName:
			fault(fmt.Sprintf("groups.only[%d]", i), `is an object ID, and with groups.by = "name" no group is called so`)
		case isID && !c.IgnoreCase && strings.ToLower(glob) != glob:
			fault(fmt.Sprintf("groups.only[%d]", i), "is an object ID in capitals, and Entra ID writes them in lower case")
		}
	}
}
