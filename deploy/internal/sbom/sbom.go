// Package sbom writes the software bill of materials of a Go binary: SPDX 2.3 as JSON,
// made from the build information that the toolchain wrote into it.
package sbom

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
)

// Component is a part of a product that is no Go module of its binary.
type Component struct{ Name, Version, PURL string }

// document, pkg and the others are the parts of SPDX 2.3 that are written.
type (
	document struct {
		SPDXVersion   string         `json:"spdxVersion"`
		DataLicense   string         `json:"dataLicense"`
		SPDXID        string         `json:"SPDXID"`
		Name          string         `json:"name"`
		Namespace     string         `json:"documentNamespace"`
		CreationInfo  creationInfo   `json:"creationInfo"`
		Packages      []pkg          `json:"packages"`
		Relationships []relationship `json:"relationships"`
	}
	creationInfo struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	pkg struct {
		SPDXID           string        `json:"SPDXID"`
		Name             string        `json:"name"`
		Version          string        `json:"versionInfo,omitempty"`
		DownloadLocation string        `json:"downloadLocation"`
		FilesAnalyzed    bool          `json:"filesAnalyzed"`
		LicenseConcluded string        `json:"licenseConcluded"`
		LicenseDeclared  string        `json:"licenseDeclared"`
		Copyright        string        `json:"copyrightText"`
		Checksums        []checksum    `json:"checksums,omitempty"`
		ExternalRefs     []externalRef `json:"externalRefs,omitempty"`
	}
	checksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	externalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	relationship struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

const noAssertion = "NOASSERTION"

// OfBinary returns the document for a binary and further components: a package for the
// binary with its SHA-256, and one for the standard library, for each module that is
// linked in and for each component. It depends on nothing but the arguments and the file.
func OfBinary(file, version string, created time.Time, more ...Component) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the build information of %s: %w", file, err)
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	name := info.Main.Path
	product := newPackage(Component{name, version, purl(name, version)})
	product.Checksums = []checksum{{"SHA256", digest}}
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: name + " " + version,
		Namespace:     "https://spdx.org/spdxdocs/" + name + "-" + digest,
		CreationInfo:  creationInfo{created.UTC().Format(time.RFC3339), []string{"Tool: " + name + "-sbom"}},
		Packages:      []pkg{product},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", product.SPDXID}},
	}
	for _, c := range append(components(info), more...) {
		p := newPackage(c)
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, relationship{product.SPDXID, "CONTAINS", p.SPDXID})
	}
	return json.MarshalIndent(d, "", "  ")
}

// components returns the standard library and the modules that are linked in.
func components(info *debug.BuildInfo) []Component {
	toolchain := strings.TrimPrefix(strings.Fields(info.GoVersion)[0], "go")
	all := []Component{{"stdlib", toolchain, purl("stdlib", toolchain)}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, Component{m.Path, m.Version, purl(m.Path, m.Version)})
	}
	return all
}

// purl returns the package URL of a Go module, which scanners look up.
func purl(module, version string) string {
	return "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func newPackage(c Component) pkg {
	return pkg{
		SPDXID: "SPDXRef-" + notInID.ReplaceAllString(c.Name+"-"+c.Version, "-"), Name: c.Name, Version: c.Version,
		DownloadLocation: noAssertion, LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
		ExternalRefs: []externalRef{{"PACKAGE-MANAGER", "purl", c.PURL}},
	}
}
