package pages

import (
	"strings"

	"shorepass/session"
)

// describeClient says what sent a request, as far as its User-Agent and client_id tell:
// "docker 28.5 on Linux". Both are the client's own words, and prove nothing.
func (t *texts) describeClient(client session.Client) string {
	name, system := program(client.UserAgent), operatingSystem(client.UserAgent)
	if name == "" {
		name = client.ID
	}
	switch {
	case name == "":
		return t.get("me.client.unknown")
	case system == "":
		return name
	}
	return t.get("me.client.on", name, system)
}

// browsers are the products of browsers. A browser names others beside itself, those
// further down.
var browsers = []struct{ product, name string }{
	{"Edg", "Edge"}, {"EdgA", "Edge"}, {"EdgiOS", "Edge"}, {"OPR", "Opera"}, {"SamsungBrowser", "Samsung Internet"},
	{"Firefox", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"}, {"HeadlessChrome", "Chrome"}, {"Chrome", "Chrome"}, {"Version", "Safari"},
}

// products are the names of programs whose product is called otherwise.
var products = map[string]string{
	"containers":     "podman, skopeo or buildah", // where they say no more than their library
	"libpod":         "podman",
	"regclient":      "regctl",
	"go-http-client": "",
}

// program returns the program that a User-Agent names (RFC 9110, section 10.1.5), with the
// first two numbers of its version, or "".
func program(agent string) string {
	all := strings.Fields(agent)
	if len(all) == 0 {
		return ""
	}
	product, version, _ := strings.Cut(all[0], "/")
	if product == "Mozilla" {
		return browserOf(all)
	}
	name := strings.ToLower(product)
	if known, ok := products[name]; ok {
		return known
	}
	return withVersion(name, version, 2)
}

// browserOf returns the browser that the products of a User-Agent name, or "".
func browserOf(all []string) string {
	for _, known := range browsers {
		for _, one := range all {
			if product, version, ok := strings.Cut(one, "/"); ok && product == known.product {
				return withVersion(known.name, version, 1)
			}
		}
	}
	return ""
}

// withVersion appends the first numbers of a version to a name, if it has any.
func withVersion(name, version string, numbers int) string {
	version = strings.TrimPrefix(version, "v")
	end := 0
	for end < len(version) && (version[end] >= '0' && version[end] <= '9' || version[end] == '.' && numbers > 1) {
		if version[end] == '.' {
			numbers--
		}
		end++
	}
	if version = strings.TrimSuffix(version[:end], "."); version == "" {
		return name
	}
	return name + " " + version
}

// systems are operating systems by a text that a User-Agent has of each, those that name
// another too first.
var systems = []struct{ text, name string }{
	{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"},
	{"os/linux", "Linux"}, {"os/windows", "Windows"}, {"os/darwin", "macOS"}, {"Linux", "Linux"},
}

// operatingSystem returns the operating system that a User-Agent names, or "".
func operatingSystem(agent string) string {
	// docker's daemon names its own system, and in UpstreamClient(…) the one of the command
	// line, where the person is.
	if _, client, ok := strings.Cut(agent, "UpstreamClient(Docker-Client/"); ok {
		switch {
		case strings.Contains(client, "(darwin"):
			return "macOS"
		case strings.Contains(client, "(windows"):
			return "Windows"
		case strings.Contains(client, "(linux"):
			return "Linux"
		}
	}
	for _, system := range systems {
		if strings.Contains(agent, system.text) {
			return system.name
		}
	}
	return ""
}
