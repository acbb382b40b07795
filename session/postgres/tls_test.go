package postgres_test

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
	"strings"
	"testing"
	"time"

	"shorepass/internal/tlsconf"
	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
)

// certificate returns a self-signed certificate for a name, and its key.
func certificate(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// TestTLS: the server must prove its name unless the URL says otherwise. A server (or
// an attacker in between) that offers no TLS gets no query in clear.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	cert, key := certificate(t, "db.corp.example")
	ca, other := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "other.pem")
	must(t, os.WriteFile(ca, cert, 0o600))
	otherCert, _ := certificate(t, "db.corp.example")
	must(t, os.WriteFile(other, otherCert, 0o600))

	trusted := tlsconf.Config{CA: ca, ServerName: "db.corp.example"}
	with := func(dsn string, tls tlsconf.Config) session.Config {
		cfg := config(dsn)
		cfg.TLS = tls
		return cfg
	}
	refuses(t, with(dsn, trusted), "server refused TLS connection")

	server.AddSettings("ssl=on", "ssl_cert_file="+server.WriteFile(t, "server.crt", cert), "ssl_key_file="+server.WriteFile(t, "server.key", key))
	server.Stop(t)
	server.StartAgain(t)
	encrypted := func(cfg session.Config, want string) {
		t.Helper()
		s, err := postgres.Open(t.Context(), cfg)
		if err != nil {
			t.Errorf("Open = %v", err)
			return
		}
		defer s.Close()
		if got := server.SQL(t, dsn, "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'shorepass'"); got != want {
			t.Errorf("connections are encrypted: %s, want %s", got, want)
		}
	}
	encrypted(with(dsn, trusted), "t")
	encrypted(with(dsn, tlsconf.Config{}), "f") // loopback
	encrypted(with(dsn+"?sslmode=verify-ca&sslrootcert="+ca, tlsconf.Config{}), "t")
	encrypted(with(dsn+"?sslmode=disable", tlsconf.Config{}), "f")

	refuses(t, with(dsn, tlsconf.Config{CA: other, ServerName: "db.corp.example"}), "name it in session.tls.ca")
	refuses(t, with(dsn, tlsconf.Config{CA: ca}), "write that name in session.tls.server_name")
	refuses(t, with(dsn, tlsconf.Config{CA: ca, ServerName: "db.other.example"}), "db.other.example")
	refuses(t, with(dsn, tlsconf.Config{CA: filepath.Join(t.TempDir(), "none.pem")}), "session.read tls.ca")
	refuses(t, with(dsn+"?sslmode=require", trusted), "leave one of them out")

	// Any host but a loopback address must prove its name by default.
	remote := strings.Replace(dsn, "127.0.0.1", "127.0.0.1.nip.invalid", 1)
	for url, want := range map[string]string{remote: "127.0.0.1.nip.invalid", dsn: "", remote + "?sslmode=disable": ""} {
		if got := postgres.ExportServerName(with(url, tlsconf.Config{})); got != want {
			t.Errorf("the name that %s must prove = %q, want %q", url, got, want)
		}
	}
	two := strings.Replace(dsn, "127.0.0.1", "127.0.0.1:1,db2.corp.example", 1)
	if got := postgres.ExportServerName(with(two, tlsconf.Config{})); got != "db2.corp.example" {
		t.Errorf("the name that the second host must prove = %q", got)
	}
}
