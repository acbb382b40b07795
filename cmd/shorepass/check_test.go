package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"shorepass/registry"
)

// TestCheckBeforeFirstStart: check and registry-config report every fault with which the
// first start of serve would fail. Only the root that serve makes may be missing (E5).
func TestCheckBeforeFirstStart(t *testing.T) {
	const (
		token     = "[token]\nissuer = \"i\"\nservices = [\"a\", \"b\"]\n"
		service   = token + "[[service]]\nname = \"b\"\n"
		server    = token + "[server]\nlisten = \"127.0.0.1:0\"\n"
		session   = token + "[session]\n"
		directory = token + `
[[provider]]
name   = "corp"
kind   = "ldap"
preset = "openldap"
urls   = ["ldaps://ldap.corp.example"]
users  = { base = "dc=corp,dc=example" }
groups = { base = "dc=corp,dc=example" }
`
		local = token + "[[provider]]\nname = \"local\"\nkind = \"file\"\n"
	)
	root := func(certificate, key string) string {
		return fmt.Sprintf("root_certificate = %q\nroot_key = %q\n", certificate, key)
	}
	signing := func(certificate, key string) string {
		return fmt.Sprintf("signing_certificate = %q\nsigning_key = %q\n", certificate, key)
	}
	secure := func(certificate, key, ca string) string {
		var keys []string
		for key, file := range map[string]string{"certificate": certificate, "key": key, "ca": ca} {
			if file != "" {
				keys = append(keys, fmt.Sprintf("%s = %q", key, file))
			}
		}
		return "tls = { " + strings.Join(keys, ", ") + " }\n"
	}
	check, registryConfig := []string{"check"}, []string{"check", "registry-config"}
	for _, tt := range []struct {
		name     string
		config   string
		want     string // a regular expression for the output of serve and of the commands
		commands []string
	}{
		{"service: no root", service + root("none.crt", "one.key"), `keys of service "b": .*none\.crt: no such file`, registryConfig},
		{"service: no root key", service + root("one.crt", "none.key"), `keys of service "b": .*none\.key: no such file`, registryConfig},
		{"service: key of another root", service + root("one.crt", "two.key"), `keys of service "b": the key in .*two\.key is not the one of`, registryConfig},
		{"service: root is not PEM", service + root("text", "one.key"), `keys of service "b": .*text holds no PEM certificate`, registryConfig},
		{"service: root key is not PEM", service + root("one.crt", "text"), `keys of service "b": .*text holds no PEM private key`, registryConfig},
		{"service: world-readable root key", service + root("one.crt", "open.key"), `keys of service "b": .*everybody on this machine can read`, registryConfig},
		{"service: root is a folder", service + root("folder", "one.key"), `keys of service "b": .*folder is not a regular file`, registryConfig},
		{"service: root is not a CA", service + root("leaf.crt", "leaf.key"), `keys of service "b": .*leaf\.crt: .*not a CA`, registryConfig},
		{"service: root has ended", service + root("ended.crt", "ended.key"), `keys of service "b": .*ended\.crt: the root certificate ended at .*make another`, registryConfig},
		{"service: root is not valid yet", service + root("early.crt", "early.key"), `keys of service "b": .*early\.crt: the root certificate is valid only from`, registryConfig},
		{"service: root key is encrypted", service + root("one.crt", "encrypted.key"), `keys of service "b": .*the key is encrypted`, registryConfig},
		{"token: no root", token + root("none.crt", "one.key"), `root_certificate: .*none\.crt: no such file`, registryConfig},
		{"token: no signing certificate", token + signing("none.crt", "one.key"), `none\.crt: no such file`, registryConfig},
		{"token: no signing key", token + signing("one.crt", "none.key"), `signing_key: .*none\.key: no such file`, registryConfig},
		{"token: signing key of another certificate", token + signing("leaf.crt", "one.key"), `one\.key is not the one of`, registryConfig},
		{"token: no root of the signing certificate", token + signing("leaf.crt", "leaf.key") + "root_certificate = \"none.crt\"", `root_certificate: .*none\.crt: no such file`, registryConfig},
		{"root key of a killed start is not PEM", session + "store = \"sqlite:killed/s.db\"", `killed/RootCA\.key holds no PEM private key`, registryConfig},

		{"server: no certificate", server + secure("none.crt", "one.key", ""), `none\.crt: no such file`, check},
		{"server: certificate is not PEM", server + secure("text", "one.key", ""), `read tls\.certificate and tls\.key: .*PEM`, check},
		{"server: key of another certificate", server + secure("one.crt", "two.key", ""), `private key does not match`, check},
		{"server: certificate and key swapped", server + secure("one.key", "one.crt", ""), `one\.key holds a private key and .*one\.crt a certificate; swap the two`, check},
		{"server: certificate in place of the key", server + secure("one.crt", "one.crt", ""), `one\.crt holds a certificate and no private key; name the key's file`, check},
		{"server: key in place of the certificate", server + secure("one.key", "one.key", ""), `one\.key holds a private key and no certificate; name the certificate's file`, check},
		{"server: key in place of the CA", server + secure("one.crt", "one.key", "one.key"), `read tls\.ca: .*one\.key holds a private key and no PEM certificate`, check},
		{"token: root and root key swapped", token + root("one.key", "one.crt"), `one\.key holds a private key and no PEM certificate; name the certificate's file`, registryConfig},
		{"token: root in place of the root key", token + root("one.crt", "one.crt"), `root_key: read key: .*one\.crt holds a certificate and no PEM private key; name the key's file`, registryConfig},
		{"server: address of another machine", token + "[server]\nlisten = \"192.0.2.1:5001\"\n", `192\.0\.2\.1`, check},
		{"server: impossible port", token + "[server]\nlisten = \":99999\"\n", `server\.listen: ":99999" has the port "99999"`, check},
		{"audit: no syslog", token + "[audit]\nto = \"syslog\"\n", `no syslog daemon listens on this machine; start one .*, or write to = "stdout"`, check},
		{"audit: pipe without a reader", token + "[audit]\nto = \"file:pipe\"\n", `pipe": no program reads from this pipe; start its reader first`, check},
		{"world-readable key of the server", server + secure("one.crt", "open.key", ""), `read tls\.certificate and tls\.key: everybody on this machine can read .*open\.key`, check},
		{"world-writable certificate of the server", server + secure("loose.crt", "one.key", ""), `everybody on this machine can change .*loose\.crt`, check},
		{"server: no CA of clients", server + secure("one.crt", "one.key", "none.crt"), `read tls\.ca: .*none\.crt: no such file`, check},
		{"server: CA of clients is not PEM", server + secure("one.crt", "one.key", "text"), `read tls\.ca: .*text holds no PEM`, check},
		{"provider: no CA", directory + secure("", "", "none.crt"), `provider "corp": .*tls\.ca: .*none\.crt: no such file`, check},
		{"provider: CA is not PEM", directory + secure("", "", "text"), `provider "corp": .*tls\.ca: .*text holds no PEM`, check},
		{"provider: key of another certificate", directory + secure("one.crt", "two.key", ""), `provider "corp": .*private key does not match`, check},
		{"provider: no htpasswd", local + "htpasswd = \"none\"", `provider "local": .*none: no such file`, check},
		{"world-writable htpasswd file", local + "htpasswd = \"loose.crt\"", `provider "local": .*everybody on this machine can change .*loose\.crt`, check},
		{"provider: not an htpasswd file", local + "htpasswd = \"one.key\"", `provider "local": .*one\.key`, check},
		{"sealing key is missing", session + "seal_key = { file = \"none.key\" }", `session\.seal_key: .*none\.key`, check},
		{"sealing key is not a key", session + "seal_key = { file = \"one.key\" }", `session\.seal_key: key 1 is not base64`, check},
		{"store: no CA", token + root("one.crt", "one.key") + "[session]\nstore = \"postgres://u@db.corp.example/s\"\nseal_key = { file = \"seal.key\" }\n" + secure("", "", "none.crt"), `tls\.ca: .*none\.crt: no such file`, check},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := keyFiles(t, tt.config)
			for _, command := range append(tt.commands, "serve") {
				out, err := inFolder(t, dir, command)
				if err == nil || !regexp.MustCompile(tt.want).Match(out) {
					t.Errorf("%s: %v, want a failure with %s:\n%s", command, err, tt.want, out)
				}
				if _, err := os.Stat(filepath.Join(dir, "data")); command != "serve" && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s has made the folder of the store (%v)", command, err)
				}
			}
		})
	}
	for name, config := range map[string]string{
		"the root":                        token,
		"the root of a service":           service + root("data/RootCA.crt", "data/RootCA.key"),
		"the root of a key set":           service + "signing = \"kid\"",
		"the root, not that of a service": service + root("one.crt", "one.key"),
	} {
		t.Run("only "+name+" is missing", func(t *testing.T) {
			t.Parallel()
			dir := keyFiles(t, config)
			if out, err := inFolder(t, dir, "check"); err != nil {
				t.Errorf("check: %v, want nil:\n%s", err, out)
			}
		})
	}
}

// keyFiles returns a new folder with a configuration and files for it: two roots, a leaf,
// and files that are neither.
func keyFiles(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := registry.CreateRoot(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]x509.Certificate{
		"leaf":  {DNSNames: []string{"leaf.example"}},
		"ended": {IsCA: true, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)},
		"early": {IsCA: true, NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)},
	} {
		writeCertificate(t, filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), c)
	}
	open, err := os.ReadFile(filepath.Join(dir, "one.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"folder", "killed"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"shorepass.toml":    config,
		"text":              "no PEM",
		"encrypted.key":     "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMTIz\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"open.key":          string(open),
		"killed/RootCA.key": "no PEM",
		"seal.key":          "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	loose := filepath.Join(dir, "loose.crt")
	certificate, err := os.ReadFile(filepath.Join(dir, "one.crt"))
	err = errors.Join(err, os.WriteFile(loose, certificate, 0o600), os.Chmod(loose, 0o666), os.Chmod(filepath.Join(dir, "open.key"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// inFolder runs a command of the binary in dir and returns its output. After twenty
// seconds it kills it.
func inFolder(t *testing.T, dir, command string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "shorepass", command)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

// writeCertificate writes a self-signed certificate and its key. Without dates it is
// valid for an hour.
func writeCertificate(t *testing.T, certFile, keyFile string, c x509.Certificate) {
	t.Helper()
	if err := writeCertificateFiles(certFile, keyFile, c); err != nil {
		t.Fatal(err)
	}
}

func writeCertificateFiles(certFile, keyFile string, c x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c.SerialNumber, c.BasicConstraintsValid = big.NewInt(1), true
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &c, &c, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: certificate}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
