package tlsconf

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// TestTLSVersions: versions below TLS 1.2 are refused, by the server and the
// client.
func TestTLSVersions(t *testing.T) {
	made := httptest.NewTLSServer(nil) // for its certificate, which is self-signed
	made.Close()
	pair := made.TLS.Certificates[0]
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	ours, err := Config{CA: ca, ServerName: "example.com"}.Client()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		version uint16
		good    bool
	}{{tls.VersionTLS10, false}, {tls.VersionTLS11, false}, {tls.VersionTLS12, true}, {tls.VersionTLS13, true}} {
		theirs := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: test.version, InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}
		asServer := ours.Clone() // as Server returns for the same table, without key pair files
		asServer.Certificates = []tls.Certificate{pair}
		for what, ends := range map[string][2]*tls.Config{"a peer": {theirs, ours}, "a client": {asServer, theirs}} {
			if err := handshake(ends[0], ends[1]); (err == nil) != test.good {
				t.Errorf("%s with at most %s: %v, want success = %v", what, tls.VersionName(test.version), err, test.good)
			}
		}
	}
	other := ours.Clone()
	other.ServerName = "another.example"
	if err := handshake(&tls.Config{Certificates: []tls.Certificate{pair}}, other); err == nil {
		t.Error("a peer with a certificate for another name was accepted")
	}
}

// handshake performs a TLS handshake between two ends.
func handshake(server, client *tls.Config) error {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	served := make(chan error, 1)
	go func() {
		defer a.Close()
		served <- tls.Server(a, server).Handshake()
	}()
	err := tls.Client(b, client).Handshake()
	b.Close()
	if serveErr := <-served; err == nil {
		err = serveErr
	}
	return err
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost":             true,
		"127.0.0.1":             true,
		"127.1.2.3":             true,
		"::1":                   true,
		"::ffff:127.0.0.1":      true,
		"":                      false,
		"0.0.0.0":               false,
		"192.0.2.1":             false,
		"localhost.example":     false,
		"127.0.0.1.example":     false,
		"::ffff:192.0.2.1":      false,
		"registry.corp.example": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("IsLoopback(%q) = %v, want %v", host, got, want)
		}
	}
}
