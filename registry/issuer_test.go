package registry

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/internal/certwatch"
)

// TestService: a request that names no service gets the only one; an unknown or
// disabled one is refused.
func TestService(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	one := newTestIssuer(t, cfg)
	off := newTestIssuer(t, cfg, Service{Name: "container_registry", Disabled: true})
	cfg.Services = []string{"container_registry", "other"}
	two := newTestIssuer(t, cfg, Service{Name: "other", Disabled: true})
	for _, test := range []struct {
		name    string
		i       *Issuer
		request string
		want    string
		err     error
	}{
		{"the only service", one, "container_registry", "container_registry", nil},
		{"no name, one service", one, "", "container_registry", nil},
		{"an unknown service", one, "registry.example", "", ErrUnknownService},
		{"the name in another case", one, "Container_Registry", "", ErrUnknownService},
		{"the name with a blank", one, "container_registry ", "", ErrUnknownService},
		{"no name, two services", two, "", "", ErrUnknownService},
		{"one of two services", two, "container_registry", "container_registry", nil},
		{"a disabled service", two, "other", "", ErrDisabled},
		{"no name, one service, disabled", off, "", "", ErrDisabled},
		{"the only service, disabled", off, "container_registry", "", ErrDisabled},
	} {
		got, err := test.i.Service(test.request)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: Service(%q) = %q, %v, want %q, %v", test.name, test.request, got, err, test.want, test.err)
		}
		if test.request == "" {
			continue
		}
		if _, err := test.i.Mint(test.request, "alice", nil, At(time.Now())); !errors.Is(err, test.err) {
			t.Errorf("%s: Mint(%q): %v, want %v", test.name, test.request, err, test.err)
		}
	}
}

// TestServiceOverrides: a service has its own issuer, lifetime and key where
// its table says so.
func TestServiceOverrides(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	otherCert, otherKey := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	cfg.Services = []string{"container_registry", "far", "zot"}
	i := newTestIssuer(t, cfg,
		Service{Name: "far", Issuer: "other-issuer", Lifetime: time.Hour},
		Service{Name: "zot", RootCertificate: otherCert, RootKey: otherKey, Signing: "kid"})

	far := mint(t, i, "far", "alice")
	if _, claims := decode(t, far); claims.Issuer != "other-issuer" || claims.Audience != "far" || far.ExpiresIn != time.Hour || claims.Expiration-claims.IssuedAt != 3670 {
		t.Errorf("far: claims = %+v, ExpiresIn = %v, want its own issuer and lifetime", claims, far.ExpiresIn)
	}
	other, err := readKeyPair("root", otherCert, otherKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := keyVerifies(mint(t, i, "zot", "alice"), other.certificate.PublicKey); err != nil {
		t.Errorf("zot: its own key does not verify: %v", err)
	}
	if keyVerifies(mint(t, i, "container_registry", "alice"), other.certificate.PublicKey) == nil {
		t.Error("a token for another service verifies with zot's key")
	}
}

// TestNewIssuerFaults: each fault of the configuration or its key files is an
// error that names it.
func TestNewIssuerFaults(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	_, otherKey := newRootFiles(t)
	good := testConfig(certFile, keyFile)
	with := func(change func(*Config)) Config {
		cfg := good
		change(&cfg)
		return cfg
	}
	missing := filepath.Join(t.TempDir(), "none")
	for _, test := range []struct {
		name     string
		cfg      Config
		services []Service
		want     string // part of the error
	}{
		{"an empty configuration", Config{}, nil, "token.issuer: is missing"},
		{"no root", with(func(c *Config) { c.RootCertificate, c.RootKey = "", "" }), nil, "shorepass keys init"},
		{"no certificate file", with(func(c *Config) { c.RootCertificate = missing }), nil, "no such file"},
		{"no key file", with(func(c *Config) { c.RootKey = missing }), nil, "no such file"},
		{"the certificate for the key", with(func(c *Config) { c.RootKey = certFile }), nil, "holds a certificate and no PEM private key"},
		{"the key for the certificate", with(func(c *Config) { c.RootCertificate = keyFile }), nil, "holds a private key and no PEM certificate"},
		{"another key", with(func(c *Config) { c.RootKey = otherKey }), nil, "the key in " + otherKey + " is not the one of the certificate in " + certFile},
		{"a folder for the key", with(func(c *Config) { c.RootKey = t.TempDir() }), nil, "is not a regular file"},
		{"an unknown service", good, []Service{{Name: "x"}}, `service[0].name: "x" is not in token.services`},
		{"a service twice", good, []Service{{Name: "container_registry"}, {Name: "container_registry"}}, `service[1].name: "container_registry" has a table already`},
		{"a short lifetime", with(func(c *Config) { c.Lifetime = 59 * time.Second }), nil, "token.lifetime: 59s is too short"},
		{"a short lifetime of a service", good, []Service{{Name: "container_registry", Lifetime: time.Second}}, "service[0].lifetime: 1s is too short"},
		{"a service with another key", good, []Service{{Name: "container_registry", RootCertificate: certFile, RootKey: otherKey}}, `keys of service "container_registry": the key in`},
	} {
		i, err := NewIssuer(test.cfg, test.services, nil)
		if err == nil || i != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: NewIssuer = %v, %v, want nil and an error with %q", test.name, i, err, test.want)
		}
	}
}

// TestWorldReadableKeyIsRefused: a key that everybody on the machine can read
// is a fault; in Kubernetes a mounted secret is, unless its mode is set.
func TestWorldReadableKeyIsRefused(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := NewIssuer(testConfig(certFile, keyFile), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "everybody on this machine can read "+keyFile) {
		t.Errorf("NewIssuer with a key that all can read: %v, want an error", err)
	}
	if err := os.Chmod(keyFile, 0o440); err != nil {
		t.Fatal(err)
	}
	newTestIssuer(t, testConfig(certFile, keyFile))
}

// timeLeft returns the time until the first certificate of the issuer ends.
func timeLeft(i *Issuer) time.Duration {
	first := time.Duration(math.MaxInt64)
	for _, f := range i.Certificates() {
		first = min(first, time.Until(f.Next(time.Now()).NotAfter))
	}
	return first
}

// TestCertificates: each file to watch is named by its key, once, with its use.
func TestCertificates(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	cfg.Services = []string{"container_registry", "own", "shared", "zot"}
	own, zot := Service{Name: "own"}, Service{Name: "zot", Signing: SigningKID}
	own.RootCertificate, own.RootKey = newRootFiles(t)
	zot.RootCertificate, zot.RootKey = newRootFiles(t)
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	leaf := a.config()
	for _, tt := range []struct {
		issuer *Issuer
		want   string
	}{
		{newTestIssuer(t, cfg, zot, own), "token.root_certificate service[1].root_certificate"},
		{newTestIssuer(t, leaf), "token.signing_certificate token.root_certificate"},
	} {
		var got []string
		for _, f := range tt.issuer.Certificates() {
			got = append(got, f.Key)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("Certificates = %q, want %q", got, tt.want)
		}
	}
	uses := newTestIssuer(t, leaf).Certificates()
	if uses[0].Use != certwatch.Chain || len(uses[0].Certificates) != 2 || uses[1].Use != certwatch.Authorities {
		t.Errorf("Certificates = %+v, want a chain of two and authorities", uses)
	}
}
