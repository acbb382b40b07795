package server

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"shorepass/internal/acmecert"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
)

// Config is the [server] table.
type Config struct {
	// Listen is the host and port to listen on. Default "127.0.0.1:5001".
	Listen string `toml:"listen" reload:"restart"`

	// TLS to serve with. Optional: the server speaks plain HTTP without it and
	// or acme, needs a proxy in front of it that speaks TLS.
	TLS tlsconf.Config `toml:"tls" reload:"switch"`

	// ACME obtains the certificate from an ACME directory, in place of a
	// certificate in tls. Optional.
	ACME acmecert.Config `toml:"acme" reload:"restart"`

	// PublicURLs are the URLs at which people and registries reach this server;
	// the first is the default. Their host and port must lead to listen, and with
	// tls they must be https. Default: listen, with the scheme "http://" or
	// "https://".
	PublicURLs []string `toml:"public_urls"`

	// Paths of the token endpoint. Default ["/jwt/auth"]; "/token", "/auth"
	// and "/auth/token" are common aliases.
	Paths []string `toml:"paths"`

	// TrustedProxies are the addresses and networks of the proxies that forward
	// the client's address, in Forwarded or X-Forwarded-For. Any host in them can
	// claim any client address, so list the proxies alone. If a proxy forwards no
	// address, the client's address is unknown. Default: none.
	TrustedProxies []string `toml:"trusted_proxies"`

	// MetricsFrom are the addresses and networks that may read /metrics. A
	// trusted proxy itself cannot read them: a request that it does not forward
	// has no known address. Default ["127.0.0.0/8", "::1"].
	MetricsFrom []string `toml:"metrics_from"`

	// Operators are the groups whose members may inspect and end everyone's
	// sessions, at /oauth/introspect and /oauth/revoke. Write full names with the
	// provider's prefix, as rules see them, and no globs. Optional: without it
	// only the command line can.
	Operators []string `toml:"operators"`

	// ExplainDenials answers a person who is granted nothing of what was asked
	// with 403 and a sentence that names the person and the repository. Without it
	// the answer is a token that grants nothing, and clients print the registry's
	// words: the repository does not exist or may require a login. Default true.
	ExplainDenials *bool `toml:"explain_denials"`

	// Contact is whom people ask about a refusal, as it ends the sentence "check
	// the name, or ask …": "the container team, +49 30 1234". One line of at most
	// 200 bytes. Default "the operators of this registry".
	Contact string `toml:"contact"`

	// LogLevel is the lowest level that is logged, on standard error: "debug",
	// "info", "warn" or "error". Default "info".
	LogLevel string `toml:"log_level" reload:"restart"`

	// noPublicURL says that PublicURLs were left out while Listen is every
	// address: their default then names a host that is another one for each client.
	noPublicURL bool
}

// AuditConfig is the [audit] table: the audit log has one line for each decision.
type AuditConfig struct {
	// To is the target of the audit log: "stdout" (default), "file:PATH",
	// "syslog" (the daemon of this machine; not on Windows), "syslog+tcp://HOST:601"
	// or "syslog+tls://HOST:6514" (a collector), or "off".
	To string `toml:"to" path:"write,file:" reload:"restart"`

	// TLS is for the connection to a "syslog+tls" collector, which is always
	// verified. Its files are read again for each connection.
	TLS tlsconf.Config `toml:"tls" reload:"restart"`

	// Groups are the groups of the person that a line contains: "watched"
	// (default), those that an entry of a rule or of server.operators matches, at
	// most 64; or "all", so that decisions can be replayed under other rules.
	Groups string `toml:"groups" reload:"restart"`

	// Required makes a request fail with 503 if its line cannot be written.
	// Without it the request is answered, and shorepass_audit_failures_total
	// counts the lost line. Default false.
	Required bool `toml:"required" reload:"restart"`
}

// The values of AuditConfig.Groups.
const (
	groupsWatched = "watched"
	groupsAll     = "all"
)

// WithDefaults returns a copy with the defaults of the keys that were left out.
func (c Config) WithDefaults() Config {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:5001"
	}
	if len(c.PublicURLs) == 0 {
		scheme := "http://"
		if c.ServesTLS() {
			scheme = "https://"
		}
		local := c.ConnectAddress()
		c.PublicURLs, c.noPublicURL = []string{scheme + local}, local != c.Listen
	}
	c.ACME = c.ACME.WithDefaults()
	if len(c.Paths) == 0 {
		c.Paths = []string{"/jwt/auth"}
	}
	if c.MetricsFrom == nil {
		c.MetricsFrom = []string{"127.0.0.0/8", "::1"}
	}
	if c.ExplainDenials == nil {
		c.ExplainDenials = new(true)
	}
	if c.Contact == "" {
		c.Contact = defaultContact
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	return c
}

// ConnectAddress returns the host and port at which this machine reaches Listen:
// localhost where the server listens on every address.
func (c Config) ConnectAddress() string {
	host, port, err := net.SplitHostPort(c.Listen)
	if addr, parseErr := netip.ParseAddr(host); err == nil && (host == "" || parseErr == nil && addr.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return c.Listen
}

// WithDefaults returns a copy with the defaults of the keys that were left out.
func (c AuditConfig) WithDefaults() AuditConfig {
	if c.To == "" {
		c.To = "stdout"
	}
	if c.Groups == "" {
		c.Groups = groupsWatched
	}
	return c
}

// logLevels are the values of LogLevel.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// NewLogger returns a logger that writes JSON lines of LogLevel and above to w.
// The configuration must have passed Validate.
func (c Config) NewLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: logLevels[c.LogLevel], ReplaceAttr: withUnits}))
}

// withUnits writes a duration with its unit, "1.5s", where slog writes nanoseconds.
func withUnits(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// Validate reports the faults of the [server] table, defaults applied.
func (c Config) Validate(fault func(key, problem string)) {
	if problem := listenProblem(c.Listen); problem != "" {
		fault("listen", problem)
	}
	c.TLS.Validate(fault)
	c.validateACME(fault)
	for i, u := range c.PublicURLs {
		isDefault := strings.HasSuffix(u, "://"+c.ConnectAddress()) // its problem is that of listen
		if problem := c.publicURLProblem(u); problem != "" && !isDefault {
			fault(fmt.Sprintf("public_urls[%d]", i), problem)
		}
	}
	for i, p := range c.Paths {
		key := fmt.Sprintf("paths[%d]", i)
		switch {
		case !strings.HasPrefix(p, "/") || p == "/" || path.Clean(p) != p:
			fault(key, fmt.Sprintf("%q is not a plain absolute path such as %q", p, "/jwt/auth"))
		case isReserved(p):
			fault(key, fmt.Sprintf("%q is the server's own; choose another such as %q", p, "/jwt/auth"))
		case slices.Index(c.Paths, p) != i:
			fault(key, fmt.Sprintf("%q is listed twice; name it once", p))
		}
	}
	c.validateOperators(fault)
	c.validateContact(fault)
	validateNetworks("trusted_proxies", c.TrustedProxies, fault)
	validateNetworks("metrics_from", c.MetricsFrom, fault)
	if _, ok := logLevels[c.LogLevel]; !ok {
		fault("log_level", fmt.Sprintf("%q is not one of \"debug\", \"info\", \"warn\", \"error\"", c.LogLevel))
	}
}

// Warn reports valid values that are probably mistakes. The configuration must have
// passed Validate.
func (c Config) Warn(warn func(key, problem string)) {
	if err := c.CheckRealm(); err != nil {
		warn("public_urls", err.Error())
	}
	c.warnURLs(warn)
	c.warnACME(warn)
	proxies, _ := parseNetworks(c.TrustedProxies)
	for i, proxy := range proxies {
		if least := minProxyBits(proxy.Addr()); proxy.Bits() < least {
			warn(fmt.Sprintf("trusted_proxies[%d]", i), fmt.Sprintf("every host in %s can claim any client address, to rules and to the rate limit of wrong passwords; name the proxies alone, or their network of /%d or longer", proxy, least))
		}
	}
	readers, _ := parseNetworks(c.MetricsFrom)
	for i, reader := range readers {
		if slices.ContainsFunc(proxies, reader.Overlaps) {
			warn(fmt.Sprintf("metrics_from[%d]", i), fmt.Sprintf("%s contains a trusted proxy, which cannot read metrics, since its own address is unknown; have the proxy forward the client's address, or read metrics from another address", reader))
		}
	}
}

// minProxyBits is the shortest prefix length of a network that may hold proxies
// alone.
func minProxyBits(addr netip.Addr) int {
	if addr.Is4() {
		return 24
	}
	return 64
}

// validateOperators refuses entries that match more people than the members of one
// group.
func (c Config) validateOperators(fault func(key, problem string)) {
	for i, group := range c.Operators {
		key := fmt.Sprintf("operators[%d]", i)
		switch {
		case strings.TrimSpace(group) == "":
			fault(key, fmt.Sprintf("%q names no group; write one such as %q", group, "registry-admins"))
		case strings.EqualFold(group, providers.GroupAnonymous), strings.EqualFold(group, providers.GroupAuthenticated):
			fault(key, fmt.Sprintf("%q would let everyone end everyone's sessions; name a group of operators", group))
		case strings.Contains(group, "*"):
			fault(key, fmt.Sprintf("%q looks like a glob; write the full name of a group", group))
		}
	}
}

// defaultContact is the Contact of a configuration without one. Pages say it in the person's
// language.
const defaultContact = "the operators of this registry"

// maxContact bounds Config.Contact, in bytes: it is part of a sentence in a terminal.
const maxContact = 200

// validateContact refuses a text that would break the sentence that it ends.
func (c Config) validateContact(fault func(key, problem string)) {
	unprintable := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	switch {
	case len(c.Contact) > maxContact:
		fault("contact", fmt.Sprintf("it has %d bytes; write one line of at most %d", len(c.Contact), maxContact))
	case strings.ContainsFunc(c.Contact, unprintable):
		fault("contact", fmt.Sprintf("%q holds a character that cannot be printed, such as a line break; write one line of plain text", c.Contact))
	case strings.TrimSpace(c.Contact) != c.Contact || c.Contact == "":
		fault("contact", fmt.Sprintf("%q begins or ends with a blank, or is empty; write whom people ask, such as %q", c.Contact, "the container team, +49 30 1234"))
	}
}

// Validate reports the faults of the [audit] table, defaults applied.
func (c AuditConfig) Validate(fault func(key, problem string)) {
	file, isFile := strings.CutPrefix(c.To, "file:")
	switch {
	case isFile && file != "":
	case c.To == "syslog" && !hasLocalSyslog:
		fault("to", "\"syslog\" is the daemon of this machine, and Windows has none; write \"stdout\" or \"file:PATH\"")
	case slices.Contains([]string{"stdout", "syslog", "off"}, c.To), c.IsRemote():
	case strings.HasPrefix(c.To, "syslog"):
		fault("to", fmt.Sprintf("%q is not \"syslog\" nor a collector such as \"syslog+tcp://logs.corp.example:601\" or \"syslog+tls://logs.corp.example:6514\"", c.To))
	default:
		fault("to", fmt.Sprintf("%q is not one of \"stdout\", \"file:PATH\", \"syslog\", \"syslog+tcp://HOST\", \"syslog+tls://HOST\", \"off\"", c.To))
	}
	if c.TLS.Validate(fault); c.TLS != (tlsconf.Config{}) && !strings.HasPrefix(c.To, schemeSyslogTLS+":") {
		fault("tls", "is for to = \"syslog+tls://HOST\" alone; leave it out, or write that")
	}
	if c.Groups != groupsWatched && c.Groups != groupsAll {
		fault("groups", fmt.Sprintf("%q is not one of %q, %q", c.Groups, groupsWatched, groupsAll))
	}
	if c.Required && c.To == "off" {
		fault("required", "with to = \"off\" no line is written; leave one of the two out")
	}
}

func validateNetworks(key string, networks []string, fault func(key, problem string)) {
	for i, n := range networks {
		if _, err := parseNetwork(n); err != nil {
			fault(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q is neither an address nor a network such as %q", n, "10.0.0.0/8"))
		}
	}
}

// parseNetwork parses an address or a network in CIDR notation.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96) // client addresses are unmapped too
	}
	return prefix.Masked(), nil
}

// Realm returns the URL of the token endpoint as registries should name it.
func (c Config) Realm() string {
	return c.realmAt(c.PublicURLs[0])
}

// CheckRealm returns an error for public_urls if registries and clients on other
// machines cannot reach the realm: it would send each of them to itself.
func (c Config) CheckRealm() error {
	if !c.noPublicURL {
		return nil
	}
	_, port, _ := net.SplitHostPort(c.Listen)
	return fmt.Errorf("is missing: with listen = %q the realm is %s, where a client on another machine reaches only itself; write the URL of this server, such as %q",
		c.Listen, c.Realm(), strings.Split(c.PublicURLs[0], "://")[0]+"://registry-auth.corp.example:"+port)
}

// publicURLs returns each of PublicURLs by its host, without a slash at the end.
func (c Config) publicURLs() (map[string]string, error) {
	byHost := make(map[string]string)
	for _, public := range c.PublicURLs {
		parsed, err := url.Parse(public)
		if err != nil {
			return nil, fmt.Errorf("public_urls: %w", err)
		}
		if host := strings.ToLower(parsed.Host); byHost[host] == "" {
			byHost[host] = strings.TrimSuffix(public, "/")
		}
	}
	return byHost, nil
}

func (c Config) realmAt(public string) string {
	return strings.TrimSuffix(public, "/") + c.Paths[0]
}
