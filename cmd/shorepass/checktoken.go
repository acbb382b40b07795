package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"shorepass/client"
	"shorepass/providers"
	"shorepass/registry"
)

// checkToken presents a token that equals an access token, and where the registry refuses
// it, tokens that differ in one thing: what the registry accepts says what it has. The
// order goes from the likely fault to the unlikely one.
func (c *registryCheck) checkToken(ctx context.Context) error {
	answer, err := c.present(ctx, "/v2/", variant{probe: c.probe}, nil)
	switch {
	case err != nil:
		return err
	case answer == client.Accepted:
		return c.checkAccess(ctx)
	case answer == client.Unclear:
		c.addf(providers.Warningf("", "its answer to a token is neither yes nor no; a proxy in front of it may be in the way"))
		return nil
	case answer == client.Unnamed && c.registry.Kind != registry.Zot:
		c.addf(providers.Faultf("", "it answers as if no token was sent; a proxy in front of it drops the Authorization header: have it pass that on"))
		return nil
	case c.registry.Skew.Abs() > maxFollowedSkew:
		return nil // no probe is valid by its clock, which is a fault already
	}
	for _, v := range c.variants() {
		answer, err := c.present(ctx, "/v2/", v, nil)
		if errors.Is(err, registry.ErrNoProbe) {
			continue
		}
		if err != nil {
			return err
		}
		if answer == client.Accepted {
			c.addf(v.finding)
			return nil
		}
	}
	forged := c.probe
	forged.Forged = true
	if answer, err = c.present(ctx, "/v2/", variant{probe: forged}, nil); err != nil {
		return err
	}
	c.addf(c.unexplained(answer))
	return nil
}

// checkAccess presents a token with access to a repository that does not exist.
func (c *registryCheck) checkAccess(ctx context.Context) error {
	name := "shorepass-check/" + strings.ToLower(rand.Text())
	access := []registry.Access{{Type: "repository", Name: name, Actions: []string{"pull"}}}
	answer, err := c.present(ctx, "/v2/"+name+"/tags/list", variant{probe: c.probe}, access)
	if err != nil {
		return err
	}
	if answer == client.Insufficient || answer == client.Unnamed {
		c.addf(providers.Faultf("", "it takes a token, and not its access to a repository; a proxy in front of it changes the names of repositories"))
		return nil
	}
	c.addf(providers.Infof("it trusts the root and the issuer of the service %q", c.service))
	settings, err := c.settings()
	if err != nil || c.registry.Kind != registry.Zot {
		return nil
	}
	if _, err := settings.Block(registry.Zot); err != nil {
		c.addf(providers.Warningf(c.ourKey("root_certificate"), "%v", err))
	}
	if warning := settings.Warning(registry.Zot); warning != "" {
		c.addf(providers.Warningf(c.ourKey("lifetime"), "%s", strings.ReplaceAll(warning, "\n", " ")))
	}
	return nil
}

// present mints a probe and presents it. The probe is valid by our clock and by the one
// of the registry, up to maxFollowedSkew; the skew is a finding of its own.
func (c *registryCheck) present(ctx context.Context, path string, v variant, access []registry.Access) (client.Answer, error) {
	ours := time.Now()
	theirs := ours.Add(min(max(c.registry.Skew, -maxFollowedSkew), maxFollowedSkew))
	clock := registry.Clock{Earliest: ours, Latest: theirs}
	if theirs.Before(ours) {
		clock = registry.Clock{Earliest: theirs, Latest: ours}
	}
	if v.anytime {
		clock = registry.Clock{Earliest: clock.Earliest.Add(-50 * time.Minute), Latest: clock.Latest.Add(12 * time.Hour)}
	}
	token, err := c.issuer.MintProbe(v.probe, access, clock)
	if err != nil {
		return client.Unclear, err
	}
	return c.registry.Present(ctx, path, token.Reveal())
}

// variant is a probe that differs in one thing from an access token, and what it means
// that the registry accepts it.
type variant struct {
	probe   registry.Probe
	anytime bool // valid from an hour ago until tomorrow
	finding providers.Finding
}

// knownIssuers are issuers out of the documentation of registries and token servers,
// which configurations are copied from.
var knownIssuers = []string{
	"gitlab-issuer", "omnibus-gitlab-issuer", "registry-token-issuer", "harbor-token-issuer",
	"Acme auth server", "Auth Service", "auth.docker.io", "registry", "shorepass",
}

// variants returns the tokens to try: by another signing, by another key, of another
// issuer, and at another time.
func (c *registryCheck) variants() []variant {
	clock := providers.Faultf("", "its clock differs from the one of this machine by more than a minute, whatever the proxy in front of it says; set both by NTP")
	return append(slices.Concat(c.signingVariants(), c.keyVariants(), c.issuerVariants()), variant{probe: c.probe, anytime: true, finding: clock})
}

func (c *registryCheck) signingVariants() []variant {
	var all []variant
	for _, signing := range []string{registry.SigningX5C, registry.SigningKID, registry.SigningLibtrust} {
		if signing == c.signing {
			continue
		}
		p := c.probe
		p.Signing = signing
		all = append(all, variant{probe: p, finding: providers.Faultf(c.ourKey("signing"),
			"it finds the key of a token by signing = %q, and the tokens for %q are signed by %q; write %s = %[1]q here", signing, c.service, c.signing, c.ourKey("signing"))})
	}
	return all
}

func (c *registryCheck) keyVariants() []variant {
	var all []variant
	for _, key := range c.otherKeys() {
		name := key.Services[0]
		other, _ := c.issuer.Probe(name) // one of ours
		p := c.probe
		p.KeyOf, p.Signing = name, c.signing
		all = append(all, variant{probe: p, finding: providers.Faultf(c.theirs("rootcertbundle"),
			"it has the root of the service %q; give it the one of %q: %s", name, c.service, c.rootFile())})
		p.Issuer = other.Issuer
		all = append(all, variant{probe: p, finding: providers.Faultf(c.theirs("rootcertbundle"),
			"it has the root and the issuer of the service %q; give it those of %q: %s and issuer: %q", name, c.service, c.rootFile(), c.probe.Issuer)})
	}
	return all
}

func (c *registryCheck) issuerVariants() []variant {
	var all []variant
	for _, issuer := range c.likelyIssuers() {
		p := c.probe
		p.Issuer = issuer
		all = append(all, variant{probe: p, finding: providers.Faultf(c.theirs("issuer"),
			"its issuer is %q; write issuer: %q there, or %s = %[1]q here", issuer, c.probe.Issuer, c.ourKey("issuer"))})
	}
	return all
}

// otherKeys returns the keys of ours with which the tokens for the service are not
// signed.
func (c *registryCheck) otherKeys() []registry.KeyInfo {
	keys, err := c.issuer.Keys()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(keys, func(k registry.KeyInfo) bool { return slices.Contains(k.Services, c.service) })
}

// likelyIssuers returns what the registry may have as issuer, without our own.
func (c *registryCheck) likelyIssuers() []string {
	own := c.probe.Issuer
	all := []string{strings.TrimSpace(own), strings.ToLower(own), strings.TrimSuffix(own, "/"), own + "/", c.cfg.Token.Issuer}
	for _, s := range c.cfg.Services {
		all = append(all, s.Issuer)
	}
	all = append(all, c.registry.Service(), c.service, c.registry.Realm())
	for _, public := range append([]string{c.registry.Realm(), c.registry.URL.String()}, c.cfg.Server.PublicURLs...) {
		if u, err := url.Parse(public); err == nil {
			all = append(all, public, u.Scheme+"://"+u.Host, u.Host, u.Hostname())
		}
	}
	all = append(all, knownIssuers...)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(issuer string) bool { return issuer == "" || issuer == own })
}

// ourKey returns the key of our configuration where an option of the service is set: in
// its [[service]] table, if there is one, else in [token].
func (c *registryCheck) ourKey(option string) string {
	for i, s := range c.cfg.Services {
		if s.Name == c.service {
			return fmt.Sprintf("service[%d].%s", i, option)
		}
	}
	return "token." + option
}

// settings returns what the registry should have.
func (c *registryCheck) settings() (registry.AuthSettings, error) {
	return c.issuer.AuthSettings(c.service, c.realms()[0])
}

// rootFile names the certificate that the registry should have, with its checksum.
func (c *registryCheck) rootFile() string {
	keys, err := c.issuer.Keys()
	if err != nil {
		return "its root"
	}
	for _, k := range keys {
		if slices.Contains(k.Services, c.service) {
			return fmt.Sprintf("%s (sha256 %.16s…)", k.Certificate, k.SHA256)
		}
	}
	return "its root"
}

// unexplained says why no probe was accepted, as far as the answer to a forged one tells:
// distribution 3 looks at the key first, and says so.
func (c *registryCheck) unexplained(forged client.Answer) providers.Finding {
	if settings, err := c.settings(); err == nil {
		settings.RootCertificate = cmp.Or(settings.RootCertificate, "root")
		if _, err := settings.Block(c.registry.Kind); err != nil {
			return providers.Faultf("", "it cannot take tokens as they are signed here: %v", err)
		}
	}
	bundle, issuer := c.theirs("rootcertbundle"), c.theirs("issuer")
	switch {
	case forged == client.Unnamed:
		return providers.Faultf(issuer, "it trusts the root, and its issuer is not %q; write issuer: %[1]q there, or its issuer as %s here", c.probe.Issuer, c.ourKey("issuer"))
	case c.registry.Kind == registry.Distribution3 || c.registry.Kind == registry.Zot:
		return providers.Faultf(bundle, "it does not trust the root of the service %q; give it %s, and restart it", c.service, c.rootFile())
	}
	return providers.Faultf(bundle, "it refuses every token: it does not have %s, or its issuer (%s) is not %q; its log says which, with %q for the root and %q for the issuer",
		c.rootFile(), issuer, c.probe.Issuer, "unable to verify certificate chain", "token from untrusted issuer")
}
