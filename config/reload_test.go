package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNeedRestart(t *testing.T) {
	const tls = "[server]\ntls = { certificate = \"a.crt\", key = \"a.key\" }\n"
	const postgres = "[session]\nstore = \"postgres://u:p@h/d\"\n"
	for _, tt := range []struct {
		name, old, new string
		want           string
	}{
		{"nothing", "", "", ""},
		{"a default that is written", "", "[server]\nlisten = \"127.0.0.1:5001\"\n", ""},
		{"listen", "", "[server]\nlisten = \":5001\"\n", "server.listen"},
		{"log level", "", "[server]\nlog_level = \"debug\"\n", "server.log_level"},
		{"TLS on", "", tls, "server.tls"},
		{"TLS off", tls, "", "server.tls"},
		{"another certificate", tls, strings.ReplaceAll(tls, "a.", "b."), ""},
		{"audit", "", "[audit]\nto = \"off\"\n", "audit.to"},
		{"audit required", "", "[audit]\nrequired = true\n", "audit.required"},
		{"store", "", postgres, "session.store"},
		{"password of the store", postgres, strings.Replace(postgres, "u:p", "u:q", 1), "session.store"},
		{"TLS of the store", postgres, postgres + "tls = { ca = \"ca.crt\" }\n", "session.tls"},
		{"connection to the store", postgres, postgres + "connections = 5\nconnect_timeout = \"1s\"\nquery_timeout = \"1s\"\n",
			"session.connections session.connect_timeout session.query_timeout"},
		{"sealing key", "", "[session]\nseal_key = \"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\n", "session.seal_key"},
		{"keys that take effect at a reload", "", "[server]\noperators = [\"ops\"]\n[session]\nidle = \"30d\"\n" + demo + rule, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var loaded [2]*Config
			for i, text := range []string{tt.old, tt.new} {
				l := newLoader("shorepass.toml", "/", kinds)
				l.text.data = []byte(minimal + text)
				cfg, err := l.load()
				if err != nil {
					t.Fatal(err)
				}
				loaded[i] = cfg
			}
			if got := strings.Join(NeedRestart(loaded[0], loaded[1]), " "); got != tt.want {
				t.Errorf("NeedRestart = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestEveryKeyReloads: every key of a table that a reload does not rebuild has a reload
// tag, or takes effect at a reload by the code that is named here.
func TestEveryKeyReloads(t *testing.T) {
	reloads := map[string]string{
		"server.tls.certificate": "daemon.apply reads it for the next handshake",
		"server.tls.key":         "daemon.apply reads it for the next handshake",
		"server.tls.ca":          "daemon.apply reads it for the next handshake",
		"server.tls.server_name": "daemon.apply reads it for the next handshake",
		"server.public_urls":     "server.Reload builds the realms from it",
		"server.paths":           "server.Reload builds the routes from it",
		"server.trusted_proxies": "server.Reload parses it for the address of each request",
		"server.contact":         "wireError and explainDenial read it for each error",
		"server.explain_denials": "explainDenial reads it for each request",
		"server.metrics_from":    "server.Reload parses it for each request of /metrics",
		"server.operators":       "server.Reload swaps it for each request of an operator",

		"session.remember_people":    "the sweeper reads the generation of each sweep",
		"session.revalidate":         "session.Reload swaps it for each redemption",
		"session.grace":              "session.Reload swaps it for each redemption",
		"session.idle":               "session.Reload swaps it for each redemption and sweep",
		"session.lifetime":           "session.Reload swaps it for each new session",
		"session.unused":             "session.Reload swaps it for each redemption and sweep",
		"session.unchecked_lifetime": "session.Reload swaps it for each new session",
		"session.ci_lifetime":        "session.Reload swaps it for each new session",
		"session.browser_idle":       "session.Reload swaps it for each redemption and sweep",
		"session.browser_lifetime":   "session.Reload swaps it for each new session",
		"session.pat_lifetime":       "session.Reload swaps it for each new session",
		"session.robot_lifetime":     "session.Reload swaps it for each new session",
		"session.per_person":         "session.Reload swaps it for each new session",
	}
	got := make(map[string]string)
	var walk func(at, tag string, typ reflect.Type)
	walk = func(at, tag string, typ reflect.Type) {
		if isTable(typ) {
			for _, f := range fields(typ) {
				if f.reloadTag != "" && f.reloadTag != tagRestart && f.reloadTag != tagSwitch {
					t.Errorf("%s.%s: unknown reload tag %q", at, f.name, f.reloadTag)
				}
				if tag == "" || tag == tagSwitch {
					walk(at+"."+f.name, f.reloadTag, f.typ)
				}
			}
		} else if tag != tagRestart {
			got[at] = reloads[at]
		}
	}
	for _, f := range fields(reflect.TypeFor[Config]()) {
		switch f.name {
		case "server", "audit", "session":
			walk(f.name, "", f.typ)
		}
	}
	if diff := cmp.Diff(reloads, got); diff != "" {
		t.Errorf("keys that take effect at a reload (-named here +without a reload tag):\n%s", diff)
	}
}

// TestNoReloadTagInListsOfTables: NeedRestart does not descend into lists of tables, so
// that a reload tag there would have no effect.
func TestNoReloadTagInListsOfTables(t *testing.T) {
	var walk func(at string, typ reflect.Type)
	walk = func(at string, typ reflect.Type) {
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if !isTable(typ) {
			return
		}
		for _, f := range fields(typ) {
			if f.reloadTag != "" {
				t.Errorf("%s.%s has a reload tag, which has no effect there", at, f.name)
			}
			walk(at+"."+f.name, f.typ)
		}
	}
	for _, f := range fields(reflect.TypeFor[Config]()) {
		if f.typ.Kind() == reflect.Slice {
			walk(f.name, f.typ)
		}
	}
	for name, kind := range kinds {
		walk("provider "+name, reflect.TypeOf(kind.options()).Elem())
	}
}
