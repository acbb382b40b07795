package dockerauth

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"shorepass/internal/duration"
)

// Bounds of an access token's lifetime here.
const (
	minLifetime = time.Minute
	maxLifetime = 24 * time.Hour
)

// serverRows translates server.
func (t *translation) serverRows() []row {
	s := &t.file.server
	t.listenText = t.listen()
	rows := []row{{key: "listen", value: quote(t.listenText)}}
	rows = append(rows, t.tlsRows()...)
	rows = append(rows, t.publicURL())
	prefix := strings.TrimRight(s.pathPrefix.text, "/")
	if prefix != "" && (!strings.HasPrefix(prefix, "/") || strings.Contains(prefix, "//") || strings.ContainsAny(prefix, "?#%{}") || slices.Contains(strings.Split(prefix, "/"), "..") || slices.Contains(strings.Split(prefix, "/"), ".")) {
		t.r.add(s.pathPrefix.line, Refused, "server.path_prefix %q is no plain absolute path", s.pathPrefix.text)
		prefix = ""
	}
	rows = append(rows, row{key: "paths", value: list([]string{prefix + "/auth"}), comment: "where docker_auth has it: the realm of the registries stays"})
	rows = append(rows, t.proxyRows()...)
	if len(s.tuning) > 0 {
		for _, key := range s.tuning {
			t.r.add(key.line, Lost, "server.%s has no equal: the server speaks TLS 1.2 and 1.3 with the suites and curves of Go's standard library; a proxy in front can ask for more", key.text)
		}
	}
	return rows
}

// hostPattern matches a host name or an IPv4 address.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// listen returns server.listen.
func (t *translation) listen() string {
	s := &t.file.server
	const fallback = ":5001"
	if s.net.text == "unix" {
		t.r.add(s.net.line, Lost, "the server does not listen on a Unix socket; it listens on %s, so have the proxy connect there", fallback)
		return fallback
	}
	host, port, err := net.SplitHostPort(s.addr.text)
	number, portErr := strconv.ParseUint(port, 10, 16)
	addr, addrErr := netip.ParseAddr(host)
	switch {
	case s.addr.text == "":
		t.r.add(s.addr.line, Noted, "docker_auth does not start without server.addr; listen is %s here", fallback)
		return fallback
	case err != nil || portErr != nil || number == 0 || host != "" && (addrErr != nil || addr.Zone() != "") && !hostPattern.MatchString(host):
		t.r.add(s.addr.line, Changed, "server.addr %q is no host and port in numbers; listen is %s here", s.addr.text, fallback)
		return fallback
	}
	return s.addr.text
}

// tlsRows translates the certificate of the server.
func (t *translation) tlsRows() []row {
	s := &t.file.server
	if t.pairProblem("server", s.certificate, s.key) {
		return nil
	}
	if s.certificate.text != "" {
		if s.acmeEmail.text != "" {
			t.r.add(s.letsEncrypt.line, Noted, "docker_auth presents server.certificate and asks Let's Encrypt for nothing, and so does the translation")
		}
		return []row{{key: "tls", value: inline("certificate", t.path(s.certificate), "key", t.path(s.key))}}
	}
	switch {
	case !s.usesACME():
		return nil
	case hostPattern.MatchString(s.letsEncrypt.text):
		t.r.add(s.letsEncrypt.line, Changed, "the server obtains its certificate from Let's Encrypt as docker_auth does, with an account of its own. docker_auth agreed to the terms of service for you, and so does terms_agreed: read them. Port 443 of %s must lead to server.listen", s.letsEncrypt.text)
		return []row{{key: "acme", value: inline("terms_agreed", "true", "email", quote(s.acmeEmail.text)), comment: "docs/acme.md"}}
	}
	t.r.add(s.letsEncrypt.line, Lost, "CHANGE server.tls: docker_auth obtains a certificate from Let's Encrypt for any name that a client asks for; write public_urls, and acme = { terms_agreed = true } in place of tls, so that it is one for these names. As it stands the server does not start without TLS")
	return []row{{key: "tls", value: inline("certificate", quote("server.crt"), "key", quote("server.key")), comment: "CHANGE"}}
}

// pairProblem reports a certificate without a key, or a key without a certificate.
func (t *translation) pairProblem(table string, certificate, key setting) bool {
	if (certificate.text == "") == (key.text == "") {
		return false
	}
	t.r.add(max(certificate.line, key.line), Refused, "docker_auth does not start: %s has only one of certificate and key", table)
	return true
}

// path formats the path of a file.
func (t *translation) path(s setting) string {
	if s.text != "" && !strings.HasPrefix(s.text, "/") {
		t.r.add(s.line, Changed, "the path %q is relative to the folder in which docker_auth was started; here it is relative to the folder of the configuration", s.text)
	}
	if strings.HasPrefix(s.text, "$") {
		return quote("./" + s.text) // docker_auth fills in no variable
	}
	return quote(s.text)
}

// publicURL returns the row of public_urls: the file does not say what registries call
// the server, unless Let's Encrypt knows it.
func (t *translation) publicURL() row {
	s := &t.file.server
	scheme, port := "http://", ""
	if s.certificate.text != "" || s.usesACME() {
		scheme = "https://"
	}
	if _, p, err := net.SplitHostPort(t.listenText); err == nil {
		port = ":" + p
	}
	if host := s.letsEncrypt.text; s.usesACME() && hostPattern.MatchString(host) {
		return row{key: "public_urls", value: list([]string{scheme + host + port}), comment: "the host of server.letsencrypt"}
	}
	t.r.add(0, Noted, "CHANGE server.public_urls: write scheme, host and port of the realm that the registries have")
	return row{key: "public_urls", value: list([]string{scheme + "registry-auth.corp.example" + port}), comment: "CHANGE: that of the registries' realm", off: true}
}

// proxyRows translates real_ip_header.
func (t *translation) proxyRows() []row {
	s := &t.file.server
	if s.realIPHeader.text == "" {
		return nil
	}
	t.r.add(s.realIPHeader.line, Changed, "CHANGE server.trusted_proxies: docker_auth takes the client's address from the header %q of everybody; here only that of a trusted proxy counts, and it must be Forwarded or X-Forwarded-For. Until trusted_proxies has the addresses of the proxies, rules with an address allow nothing and deny everybody", s.realIPHeader.text)
	if s.realIPPos.line != 0 {
		t.r.add(s.realIPPos.line, Changed, "real_ip_pos has no equal: the client's address is the right-most one that is no trusted proxy's, so that a client cannot choose it")
	}
	return []row{{key: "trusted_proxies", value: list([]string{"10.20.0.5"}), comment: "CHANGE: the proxies alone", off: true}}
}

// tokenRows translates token.
func (t *translation) tokenRows() []row {
	token := &t.file.token
	if token.issuer.text == "" {
		t.r.add(token.issuer.line, Refused, "docker_auth does not start: token.issuer is missing; write what the registries have as auth.token.issuer")
	}
	rows := []row{
		{key: "issuer", value: quote(token.issuer.text)},
		t.serviceRow(),
		{key: "lifetime", value: quote(duration.Format(t.lifetime()))},
	}
	return append(rows, t.keyRows()...)
}

// serviceNames returns the services: those of the command line and those that entries name
// without a pattern, else "CHANGE".
func (t *translation) serviceNames() []string {
	services := slices.Clone(t.services)
	for _, e := range t.file.entries {
		if s := e.Match.Service; s != nil && *s != "" && !strings.ContainsAny(*s, `*?[]\/$`) && !slices.Contains(services, *s) {
			services = append(services, *s)
		}
	}
	if len(services) == 0 {
		return []string{noService}
	}
	return services
}

// noService stands for the services that the file does not name.
const noService = "CHANGE"

func (t *translation) serviceRow() row {
	services := t.serviceNames()
	if services[0] != noService {
		t.r.add(0, Changed, "docker_auth issues tokens for any service, and shorepass for those of token.services alone: it must name what each registry has as auth.token.service (--service NAME)")
		return row{key: "services", value: list(services)}
	}
	t.r.add(0, Changed, "CHANGE token.services: docker_auth issues tokens for any service; name what each registry has as auth.token.service (--service NAME), or no registry gets a token")
	return row{key: "services", value: list(services), comment: "CHANGE: each registry's auth.token.service"}
}

// lifetime returns the lifetime of an access token, which docker_auth has in seconds.
func (t *translation) lifetime() time.Duration {
	token := &t.file.token
	if token.expiration <= 0 {
		t.r.add(token.expirationLine, Refused, "docker_auth does not start: token.expiration is missing or not positive")
		return minLifetime
	}
	lifetime := maxLifetime
	if token.expiration < int64(maxLifetime/time.Second) {
		lifetime = max(minLifetime, time.Duration(token.expiration)*time.Second)
	}
	if int64(lifetime/time.Second) != token.expiration {
		t.r.add(token.expirationLine, Changed, "token.expiration is %d s; the lifetime of an access token is from 1m to 24h, so it is %s", token.expiration, duration.Format(lifetime))
	} else if token.expirationLine != 0 {
		t.r.add(token.expirationLine, Noted, "token.expiration is kept: an access token lives %d s, and clients are now told so. None can be revoked, so write \"5m\" once all registries have moved", token.expiration)
	}
	return lifetime
}

// keyRows translates the key that signs, which registries trust: as docker_auth, by the
// key itself, so that no registry needs a change.
func (t *translation) keyRows() []row {
	token, server := &t.file.token, &t.file.server
	certificate, key := token.certificate, token.key
	if t.pairProblem("token", certificate, key) {
		return nil
	}
	if certificate.text == "" {
		certificate, key = server.certificate, server.key
		if certificate.text == "" || key.text == "" {
			t.r.add(0, Changed, "docker_auth does not start without a certificate in token or server; a root is made at the first start here, and registries must trust it")
			return nil
		}
		t.r.add(server.certificate.line, Noted, "the pair of server signs docker_auth's tokens too, since token has none: renewed, it must go to every registry. Once all have moved, give them a root of its own (\"shorepass keys init\")")
	}
	signing := "libtrust"
	if token.disableLegacyKeyID {
		signing = "kid"
		t.r.add(token.disableLine, Noted, "disable_legacy_key_id: tokens name the key by its RFC 7638 thumbprint, signing = \"kid\", which distribution 3 takes")
	} else {
		t.r.add(token.certificate.line, Noted, "tokens name the key as docker_auth's do, signing = \"libtrust\", which distribution 2.8 takes and distribution 3 does not")
	}
	return []row{
		{key: "root_certificate", value: t.path(certificate), comment: "the registries have it as rootcertbundle"},
		{key: "root_key", value: t.path(key)},
		{key: "signing", value: quote(signing), comment: `"x5c", the default, once the certificate is one of a CA`},
	}
}
