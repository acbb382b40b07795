package tlsconf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
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

// der returns the DER form of a PEM certificate.
func der(text string) string {
	block, _ := pem.Decode([]byte(text))
	return string(block.Bytes)
}

// TestReadCertificates: a bundle with a malformed block is an error, and so is a file in
// another format, which the error names (C11).
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
		{"trailing garbage", a + b + "garbage\x00\xff\n", "a b", ""},
		{"UTF-16", "\xff\xfe" + strings.ReplaceAll(a, "", "\x00"), "", "is UTF-16 text: save it as UTF-8"},
		{"UTF-16, big endian", "\xfe\xff" + strings.ReplaceAll(a, "", "\x00"), "", "is UTF-16 text"},
		{"DER", der(a), "", "is DER, not PEM: convert it with openssl x509 -inform der"},
		{"PKCS #7", "0\x0f\x06\x09*\x86H\x86\xf7\r\x01\x07\x02\xa0\x02\x30\x00", "", "openssl pkcs7 -inform der -print_certs"},
		{"PKCS #12", "0\x05\x02\x01\x03\x30\x00", "", "openssl pkcs12"},
		{"another DER", "0\x03\x02\x01\x01", "", "is DER, not PEM"},
		{"PKCS #7 in PEM, after a certificate", a + "-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n", "", "openssl pkcs7 -print_certs"},
		{"OpenSSL's own form, after a certificate", a + strings.ReplaceAll(b, "CERTIFICATE", "TRUSTED CERTIFICATE"), "", "openssl x509 -in"},
		{"a key", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "", "holds a private key and no PEM certificate"},
		{"a request", strings.ReplaceAll(a, "CERTIFICATE", "CERTIFICATE REQUEST"), "", `but a PEM block "CERTIFICATE REQUEST"`},
		{"blanks", " \n", "", "it is empty"},
		{"garbage in the block", "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString([]byte(der(a)+"x")) + "\n-----END CERTIFICATE-----\n", "", "certificate 1: x509: trailing data"},
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

// TestKeyPairFaults: an error says which file of tls.certificate and tls.key is wrong, and
// quotes nothing of the key.
func TestKeyPairFaults(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	block := func(kind string) string {
		return "-----BEGIN " + kind + "-----\n" + secret + "\n-----END " + kind + "-----\n"
	}
	for _, test := range []struct{ name, certificate, key, fault string }{
		{"DER certificate", der(certificate(t, "a")), block("PRIVATE KEY"), "cert.pem holds no PEM certificate: it is DER"},
		{"certificate after a byte order mark", "\ufeff" + certificate(t, "a"), block("PRIVATE KEY"), "cert.pem and"},
		{"encrypted key", certificate(t, "a"), block("ENCRYPTED PRIVATE KEY"), "key.pem is encrypted"},
		{"DER key", certificate(t, "a"), "0\x03\x02\x01\x01", "key.pem is DER, not PEM: convert it with openssl pkey"},
		{"no key", certificate(t, "a"), certificate(t, "a"), "key.pem holds a certificate and no private key"},
		{"key cut short", certificate(t, "a"), block("PRIVATE KEY")[:40], "key.pem cannot be read"},
		{"another key", certificate(t, "a"), block("PRIVATE KEY"), "comes first"},
	} {
		folder := t.TempDir()
		cfg := tlsconf.Config{Certificate: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
		for name, text := range map[string]string{cfg.Certificate: test.certificate, cfg.Key: test.key} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := cfg.Client(); err == nil || !strings.Contains(err.Error(), test.fault) || strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%s: Client() = %v, want an error with %q", test.name, err, test.fault)
		}
	}
}
