package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTLSCertificates: every tls table of the configuration is found, by its key (F6), and
// the certificate of a client at an OpenID provider.
func TestTLSCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	client := filepath.Join(t.TempDir(), "client.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(client, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tls := fmt.Sprintf("tls = { certificate = %q, key = %[1]q, ca = %[1]q }\n", ca)
	cfg, err := loadText(t, minimal+"[server]\n"+tls+
		"[session]\nstore = \"postgres://u@db.corp.example/s\"\nseal_key = \"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\n"+tls+demo+
		"[[provider]]\nname = \"corp\"\nkind = \"ldap\"\nprefix = \"\"\npreset = \"openldap\"\nurls = [\"ldaps://ldap.corp.example\"]\nusers = { base = \"dc=corp\" }\ngroups = { base = \"dc=corp\" }\n"+tls+
		"[[provider]]\nname = \"sso\"\nkind = \"oidc\"\nprefix = \"sso-\"\nissuer = \"https://sso.corp.example\"\nclient_id = \"r\"\ngrants = [\"password\"]\nclient_key = \""+client+"\"\n"+tls, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	files, err := cfg.TLSCertificates()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Key)
	}
	const want = "server.tls.certificate server.tls.ca session.tls.certificate session.tls.ca provider[1].tls.certificate provider[1].tls.ca provider[2].tls.certificate provider[2].tls.ca provider[2].client_key"
	if strings.Join(got, " ") != want {
		t.Errorf("TLSCertificates = %q, want %s", got, want)
	}
}
