package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport has the packages of ours that each package may import. Every package may
// import internal/… too; one that is not a key may import nothing else of ours.
var mayImport = map[string][]string{
	"internal/acmecert":      {"internal/certwatch", "internal/durable", "internal/secret", "internal/tlsconf"},
	"internal/tlsconf":       {"internal/certwatch", "internal/durable"},
	"providers":              {"throttle"},
	"providers/file":         {"providers"},
	"providers/ldap":         {"providers"},
	"providers/oidc":         {"providers"},
	"providers/providertest": {"providers", "throttle"},
	"client":                 {"registry"},
	"policy":                 {"registry"}, // not providers: it decides about names, however they were authenticated
	"session":                {"providers"},
	"session/sqlite":         {"session", "throttle"},
	"session/postgres":       {"session", "throttle"},
	"session/storetest":      {"session", "throttle"},
	"server/pages":           {"providers", "policy", "session", "throttle"},                             // not server, which calls it
	"server":                 {"server/pages", "providers", "policy", "registry", "session", "throttle"}, // not config: its options are passed to it
	"importer/dockerauth":    {"config", "policy", "providers"},                                          // providers: which names people can have
	"config":                 {"server", "server/pages", "providers", "policy", "registry", "session"},
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

// homes maps a library of a protocol to the one folder whose packages may import it.
// bench may, for its baselines.
var homes = map[string]string{
	"github.com/golang-jwt/jwt/v5":  "registry",       // access tokens; for ID tokens there is go-jose
	"github.com/coreos/go-oidc/v3":  "providers/oidc", // discovery and ID tokens
	"github.com/go-jose/go-jose/v4": "providers/oidc", // key sets, and the signatures of ID tokens
	"github.com/go-ldap/ldap/v3":    "providers/ldap",
	"golang.org/x/crypto/acme":      "internal/acmecert",
	"golang.org/x/oauth2":           "providers/oidc", // grants
}

// TestLibrariesStayInTheirPackages: types of a library, such as its claims and errors, do
// not leak out of the package that implements the protocol.
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
			t.Errorf("nothing imports %s; remove it from this test", library)
		}
	}
}
