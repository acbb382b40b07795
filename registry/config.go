package registry

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"shorepass/internal/duration"
	"shorepass/internal/hostport"
)

// The values of signing: how a registry finds the key that signed a token.
const (
	SigningX5C      = "x5c"
	SigningKID      = "kid"
	SigningLibtrust = "libtrust"
)

// Bounds of a token's lifetime. Clients treat less than a minute as a minute, and
// a token cannot be revoked.
const (
	minLifetime     = time.Minute
	maxLifetime     = 24 * time.Hour
	defaultLifetime = 5 * time.Minute
)

// Config is the [token] table: the settings of all services. A [[service]]
// table overrides them for one service.
type Config struct {
	// Issuer is the iss claim, equal to the registry's auth.token.issuer.
	// Required.
	Issuer string `toml:"issuer"`

	// Services are the registries to issue tokens for, each by its
	// auth.token.service. A request for any other is refused. Required.
	Services []string `toml:"services"`

	// Lifetime of an access token, sent to clients as expires_in. At least
	// "1m", at most "24h". Default "5m".
	Lifetime time.Duration `toml:"lifetime"`

	// RootCertificate is the certificate that the registry trusts (its
	// rootcertbundle), a PEM file. Default: made on first start, with RootKey,
	// next to a SQLite store.
	RootCertificate string `toml:"root_certificate" path:"read"`

	// RootKey is the private key of RootCertificate, a PEM file. Omit it with
	// SigningCertificate.
	RootKey string `toml:"root_key" path:"read"`

	// SigningCertificate is a leaf certificate under the root with its chain, a
	// PEM file, so that the root key need not be on this machine. Reread when
	// it changes. Optional.
	SigningCertificate string `toml:"signing_certificate" path:"reread"`

	// SigningKey is the private key of SigningCertificate, a PEM file.
	// Required with it.
	SigningKey string `toml:"signing_key" path:"reread"`

	// Signing is how a registry finds the key that verifies a token: "x5c" (a
	// leaf certificate under the root), "kid" (the root's own key, by its RFC
	// 7638 thumbprint) or "libtrust" (the same, by the key id of distribution
	// 2.8). Default "x5c" where the root is a CA; required where it is not one.
	Signing string `toml:"signing"`
}

// Service is a [[service]] table: the settings of one registry, which override
// those of [token].
type Service struct {
	// Name of the service, one of token.services. Required.
	Name string `toml:"name"`

	// Hosts are what people call this registry, as in docker login HOST, each with
	// its port unless that is 443. The sign-in page names these and no other, so
	// that no other registry can have people log in to it here. Required to sign in
	// with a browser.
	Hosts []string `toml:"hosts"`

	// UIOrigins are the origins of web pages that may request tokens for this
	// registry by scripts in a browser (CORS), such as a page that lists its
	// images: "https://ui.corp.example". Such a page sees what people type into
	// it. Default: none.
	UIOrigins []string `toml:"ui_origins"`

	// Disabled refuses every request for this service. Default false.
	Disabled bool `toml:"disabled"`

	// Issuer is the iss claim. Default: token.issuer.
	Issuer string `toml:"issuer"`

	// Lifetime of an access token. For zot write "1h" or more: a push that takes
	// longer fails there. Default: token.lifetime.
	Lifetime time.Duration `toml:"lifetime"`

	// RootCertificate is the certificate that this registry trusts, a PEM
	// file. Default: the keys of [token].
	RootCertificate string `toml:"root_certificate" path:"read"`

	// RootKey is the private key of RootCertificate, a PEM file. Required
	// with it.
	RootKey string `toml:"root_key" path:"read"`

	// Signing is how this registry finds the key that verifies a token: "x5c",
	// "kid" or "libtrust". Default: token.signing.
	Signing string `toml:"signing"`
}

// WithDefaults returns the configuration with its defaults. The root files stay
// empty, because only the caller knows where a root is made on first start, and
// so does Signing, because only [NewIssuer] reads whether the root is a CA.
func (c Config) WithDefaults() Config {
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	return c
}

// WithDefaults returns the service unchanged: what it leaves out comes from
// [token], in [NewIssuer].
func (s Service) WithDefaults() Service { return s }

// Validate reports the faults of the [token] table with its defaults.
func (c Config) Validate(fault func(key, problem string)) {
	if c.Issuer == "" {
		fault("issuer", `is missing; write what the registry has as auth.token.issuer, such as "gitlab-issuer"`)
	} else {
		validateName("issuer", c.Issuer, fault)
	}
	if len(c.Services) == 0 {
		fault("services", `is missing; name the registries served, such as ["container_registry"]`)
	}
	for i, name := range c.Services {
		key := fmt.Sprintf("services[%d]", i)
		switch {
		case name == "":
			fault(key, "is empty; write what the registry has as auth.token.service")
		case slices.Index(c.Services, name) != i:
			fault(key, fmt.Sprintf("%q is listed twice; name it once", name))
		default:
			validateName(key, name, fault)
		}
	}
	validateLifetime(c.Lifetime, fault)
	validateSigning(c.Signing, fault)
	c.validateKeys(fault)
}

// validateKeys checks which key files are named. Without a root certificate and
// key both are made on first start.
func (c Config) validateKeys(fault func(key, problem string)) {
	if c.SigningCertificate == "" && c.SigningKey == "" {
		validatePair(c.RootCertificate, c.RootKey, fault)
		return
	}
	switch {
	case c.SigningKey == "":
		fault("signing_key", "is missing; name the private key of signing_certificate")
	case c.SigningCertificate == "":
		fault("signing_certificate", "is missing; name the certificate of signing_key")
	}
	if c.RootKey != "" {
		fault("root_key", "is set together with signing_certificate, and only one of the two can sign; leave one out")
	}
	if c.Signing == SigningKID || c.Signing == SigningLibtrust {
		fault("signing", fmt.Sprintf("%q signs with root_key, and signing_certificate is configured instead; write %q or leave it out", c.Signing, SigningX5C))
	}
}

// Validate reports the faults of a [[service]] table by itself.
// [ValidateServices] checks it against [token].
func (s Service) Validate(fault func(key, problem string)) {
	if s.Name == "" {
		fault("name", "is missing; write one of token.services")
	}
	if s.Issuer != "" {
		validateName("issuer", s.Issuer, fault)
	}
	if s.Lifetime != 0 {
		validateLifetime(s.Lifetime, fault)
	}
	validateSigning(s.Signing, fault)
	validatePair(s.RootCertificate, s.RootKey, fault)
	for i, host := range s.Hosts {
		if problem := hostProblem(host); problem != "" {
			fault(fmt.Sprintf("hosts[%d]", i), problem)
		}
	}
	for i, origin := range s.UIOrigins {
		if problem := originProblem(origin); problem != "" {
			fault(fmt.Sprintf("ui_origins[%d]", i), problem)
		}
	}
}

// ValidateServices reports the faults of [[service]] tables together with
// [token]. Keys are whole paths: "service[0].signing".
func ValidateServices(c Config, services []Service, fault func(key, problem string)) {
	hosts := make(map[string]string) // the name of the service by each host
	for i, s := range services {
		key := fmt.Sprintf("service[%d]", i)
		switch {
		case s.Name == "": // reported by Service.Validate
		case !slices.Contains(c.Services, s.Name):
			fault(key+".name", fmt.Sprintf("%q is not in token.services; add it there", s.Name))
		case slices.ContainsFunc(services[:i], func(other Service) bool { return other.Name == s.Name }):
			fault(key+".name", fmt.Sprintf("%q has a table already; make one of the two", s.Name))
		}
		ownKey := s.Signing == SigningKID || s.Signing == SigningLibtrust
		if ownKey && s.RootKey == "" && c.SigningCertificate != "" {
			fault(key+".signing", fmt.Sprintf("%q signs with a root_key, and [token] has only signing_certificate; give this service root_certificate and root_key", s.Signing))
		}
		for n, host := range s.Hosts {
			plain := strings.TrimSuffix(host, ":443")
			if first, ok := hosts[plain]; ok {
				fault(fmt.Sprintf("%s.hosts[%d]", key, n), fmt.Sprintf("%q is a host of the service %q already; a login can be for one service alone, so remove one of the two", host, first))
			}
			hosts[plain] = s.Name
		}
	}
}

func validatePair(certificate, key string, fault func(key, problem string)) {
	switch {
	case certificate != "" && key == "":
		fault("root_key", "is missing; name the private key of root_certificate")
	case certificate == "" && key != "":
		fault("root_certificate", "is missing; name the certificate of root_key, which the registry has as rootcertbundle")
	}
}

func validateLifetime(d time.Duration, fault func(key, problem string)) {
	switch {
	case d < minLifetime:
		fault("lifetime", fmt.Sprintf("%s is too short, since clients treat less than a minute as a minute; write at least \"1m\"", duration.Format(d)))
	case d > maxLifetime:
		fault("lifetime", fmt.Sprintf("%s is too long, since a token cannot be taken back; write at most \"24h\"", duration.Format(d)))
	case d%time.Second != 0:
		fault("lifetime", fmt.Sprintf("%s is not a whole number of seconds, and clients are told seconds; write one such as \"5m\"", duration.Format(d)))
	}
}

func validateSigning(signing string, fault func(key, problem string)) {
	switch signing {
	case "", SigningX5C, SigningKID, SigningLibtrust:
	default:
		fault("signing", fmt.Sprintf("%q is not one of %q, %q, %q", signing, SigningX5C, SigningKID, SigningLibtrust))
	}
}

// hostProblem says why docker login cannot be given a host, and what would be right.
func hostProblem(host string) string {
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
		return fmt.Sprintf("has a scheme, and docker login takes none; write %q", strings.ToLower(host))
	}
	if bare, _, ok := strings.Cut(host, "/"); ok && hostport.IsHost(bare) {
		return fmt.Sprintf("%q has a path, and docker login takes a registry; write %q", host, strings.ToLower(bare))
	}
	switch {
	case !hostport.IsHost(host):
		return fmt.Sprintf("%q is not a host such as %q or %q", host, "registry.corp.example", "registry.corp.example:5000")
	case strings.ToLower(host) != host:
		return fmt.Sprintf("%q has capitals; write %q", host, strings.ToLower(host))
	case host != "localhost" && !strings.ContainsAny(host, ".:"):
		return fmt.Sprintf("%q has neither a dot nor a port, so that docker takes %[2]s/app for a repository of Docker Hub; write the full name, such as %[2]s.corp.example, or %[2]s:443", host, host)
	}
	return ""
}

// originProblem says why no browser sends an origin (RFC 6454, section 6.2), and what
// would be right.
func originProblem(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !hostport.IsHost(u.Host) {
		return fmt.Sprintf("%q is not the origin of a page, such as %q; no wildcard stands for several", origin, "https://ui.corp.example")
	}
	sent := u.Scheme + "://" + strings.ToLower(u.Host)
	if u.Port() == hostport.Port(&url.URL{Scheme: u.Scheme}) {
		sent = strings.TrimSuffix(sent, ":"+u.Port())
	}
	if origin != sent {
		return fmt.Sprintf("%q is no origin as browsers send it; write %q", origin, sent)
	}
	return ""
}

// validateName refuses what cannot be in a registry's WWW-Authenticate header,
// in which the registry sends the service to clients.
func validateName(key, name string, fault func(key, problem string)) {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || r == '"' || r == '\\' || r == unicode.ReplacementChar }
	if strings.ContainsFunc(name, bad) {
		fault(key, fmt.Sprintf("%q holds a control character, a quote or a backslash; write it without", name))
	}
}
