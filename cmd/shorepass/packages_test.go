package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport lists which packages of ours each package may import. A package
// that is not a key may import internal/… alone, as every package may.
var mayImport = map[string][]string{
	"internal/tlsconf":       {"internal/durable"},
	"providers":              {"throttle"},
	"providers/file":         {"providers"},
	"providers/ldap":         {"providers"},
	"providers/oidc":         {"providers"},
	"providers/providertest": {"providers", "throttle"},
	"policy":                 {"registry"}, // not providers: it decides about names, not about how they were proved
	"session":                {"providers"},
	"session/sqlite":         {"session", "throttle"},
	"session/postgres":       {"session", "throttle"},
	"session/storetest":      {"session", "throttle"},
	"server":                 {"providers", "policy", "registry", "session", "throttle"}, // not config: it is handed its options
	"config":                 {"server", "providers", "policy", "registry", "session"},
	"cmd/shorepass":          {"*"}, // it wires
	"bench":                  {"*"}, // it measures
}

func TestPackagesImportOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, "shorepass/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	checked := 0
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ": ")
		importer := strings.TrimPrefix(path, "shorepass/")
		allowed := mayImport[importer]
		checked++
		for imported := range strings.FieldsSeq(imports) {
			ours, ok := strings.CutPrefix(imported, "shorepass/")
			if strings.HasPrefix(ours, "internal/") && !strings.HasPrefix(importer, "internal/") {
				continue
			}
			if ok && !slices.Contains(allowed, "*") && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s; it may import only %v", importer, ours, allowed)
			}
		}
	}
	if checked < len(mayImport) {
		t.Errorf("go list found %d packages, fewer than the %d of mayImport", checked, len(mayImport))
	}
}

// homes are the libraries that carry a protocol, and where each is at home: the
// packages of one folder, and bench, whose bare loops are what is compared with.
var homes = map[string]string{
	"github.com/golang-jwt/jwt/v5": "registry",       // our own tokens; those of others are go-jose's
	"github.com/coreos/go-oidc/v3": "providers/oidc", // discovery and ID tokens
	"github.com/go-ldap/ldap/v3":   "providers/ldap",
}

// TestLibrariesStayInTheirPackages: what a library hands out, such as its claims and its
// errors, does not leak out of the package that speaks the protocol.
func TestLibrariesStayInTheirPackages(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}`, "shorepass/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ": ")
		importer := strings.TrimPrefix(path, "shorepass/")
		for imported := range strings.FieldsSeq(imports) {
			for library, home := range homes {
				if imported != library && !strings.HasPrefix(imported, library+"/") {
					continue
				}
				found[library] = true
				if importer != home && !strings.HasPrefix(importer, home+"/") && importer != "bench" {
					t.Errorf("%s imports %s, which only %s may", importer, imported, home)
				}
			}
		}
	}
	for library := range homes {
		if !found[library] {
			t.Errorf("nothing imports %s; take it out of this test", library)
		}
	}
}
