package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"shorepass/deploy/internal/sbom"
)

// rootsModule has the roots that Mozilla trusts for web servers.
const rootsModule = "golang.org/x/crypto/x509roots/fallback"

// rootCertificates returns the public certificate authorities as PEM, and the module that
// they are from. It leaves out those that Mozilla trusts with a constraint, such as only
// for certificates made before a date: PEM cannot say so.
func rootCertificates() ([]byte, sbom.Component, error) {
	component, err := rootsComponent()
	if err != nil {
		return nil, component, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Roots that Mozilla trusts for web servers, without constraints.\n# From %s %s.\n", component.Name, component.Version)
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, component, fmt.Errorf("parse a root of %s: %w", rootsModule, err)
		}
		fmt.Fprintf(&out, "\n# %s\n", certificate.Subject)
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, component, err
		}
	}
	return out.Bytes(), component, nil
}

// rootsComponent returns the version of the roots that this program was built with.
func rootsComponent() (sbom.Component, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return sbom.Component{}, errors.New("this program has no build information")
	}
	for _, m := range info.Deps {
		if m.Path == rootsModule {
			return sbom.Component{Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version}, nil
		}
	}
	return sbom.Component{}, fmt.Errorf("this program was built without %s", rootsModule)
}
