package server

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/internal/certwatch"
	"shorepass/registry"
)

// TestCertificateGauges: each file has one gauge, whatever keys name it, read at the
// scrape (F6).
func TestCertificateGauges(t *testing.T) {
	file := func(key, name string, left time.Duration) certwatch.File {
		return certwatch.File{Key: key, Name: name, Certificates: []*x509.Certificate{{NotAfter: time.Now().Add(left)}}}
	}
	files := []certwatch.File{
		file("server.tls.certificate", "a.crt", -time.Hour), file("provider[0].tls.ca", "b.crt", time.Hour),
		file("provider[1].tls.ca", "b.crt", time.Hour),
	}
	m := NewMetrics()
	m.AddCertificates(func() []certwatch.File { return files })
	read := func() string {
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, family := range families {
			if family.GetName() != "shorepass_certificate_expiry_seconds" {
				continue
			}
			for _, metric := range family.GetMetric() {
				all = append(all, fmt.Sprintf("%s %.0fm", metric.GetLabel()[0].GetValue(), metric.GetGauge().GetValue()/60))
			}
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	if got := read(); got != "a.crt -60m, b.crt 60m" {
		t.Errorf("gauges = %s", got)
	}
	files = files[:1]
	if got := read(); got != "a.crt -60m" {
		t.Errorf("gauges after a reload = %s", got)
	}
}

// TestEndedRootMessage: where no key can sign, the answer says that trying again does not
// help, and whom to ask (E7).
func TestEndedRootMessage(t *testing.T) {
	gen := &Generation{Config: Config{Contact: "help@corp.example"}}
	got := gen.wireError(fmt.Errorf("mint: %w", registry.ErrNoValidKey))
	if got.status != 503 || strings.Contains(got.message, "in a moment") || !strings.HasSuffix(got.message, "trying again does not help, ask help@corp.example") {
		t.Errorf("ErrNoValidKey = %d %q", got.status, got.message)
	}
}
