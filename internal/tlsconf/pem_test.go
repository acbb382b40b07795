package tlsconf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"shorepass/internal/tlsconf"
)

func certificate(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestReadCertificates: a bundle with a malformed block is an error.
func TestReadCertificates(t *testing.T) {
	a, b := certificate(t, "a"), certificate(t, "b")
	const bom = "\ufeff"
	params := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	for _, test := range []struct{ name, text, want, fault string }{
		{"one", a, "a", ""},
		{"two", a + b, "a b", ""},
		{"a byte order mark", bom + a + b, "a b", ""},
		{"Windows' line ends", strings.ReplaceAll(a+b, "\n", "\r\n"), "a b", ""},
		{"comments between", "# the old one\n" + a + "\n# the new one\n" + b + "end\n", "a b", ""},
		{"other blocks", params + a, "a", ""},
		{"an empty file", "", "", "holds no PEM certificate"},
		{"no PEM", "MIIB", "", "holds no PEM certificate"},
		{"no CERTIFICATE block", params, "", "holds no PEM certificate"},
		{"a byte order mark in the middle", a + bom + b, "", "the PEM block that begins on line " + lineAfter(a)},
		{"the first cut short", a[:len(a)/2] + "\n" + b, "", "the PEM block that begins on line 1 "},
		{"the last cut short", a + b[:len(b)/2], "", "the PEM block that begins on line " + lineAfter(a)},
		{"invalid base64", strings.Replace(a, "M", "!", 1) + b, "", "the PEM block that begins on line 1 "},
		{"indented", a + " " + strings.ReplaceAll(b, "\n", "\n "), "", "the PEM block that begins on line " + lineAfter(a)},
		{"a CERTIFICATE block without one", a + "-----BEGIN CERTIFICATE-----\nMTIz\n-----END CERTIFICATE-----\n", "", "x509"},
	} {
		name := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(name, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := tlsconf.ReadCertificates(name)
		var names []string
		for _, c := range found {
			names = append(names, c.Subject.CommonName)
		}
		switch {
		case test.fault == "" && (err != nil || strings.Join(names, " ") != test.want):
			t.Errorf("%s: %q, %v, want %q", test.name, names, err, test.want)
		case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault) || !strings.Contains(err.Error(), name)):
			t.Errorf("%s: %q, %v, want an error with %q and the file's name", test.name, names, err, test.fault)
		}
		if _, err := (tlsconf.Config{CA: name}).Client(); (err != nil) != (test.fault != "") {
			t.Errorf("%s as tls.ca: %v", test.name, err)
		}
	}
}

// lineAfter returns the number of the line after a text, and a blank.
func lineAfter(text string) string { return strconv.Itoa(strings.Count(text, "\n")+1) + " " }
