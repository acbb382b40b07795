package registry

import (
	"errors"
	"testing"
	"time"
)

// TestProbe: a probe differs from an access token in what it says, is valid for a minute
// whatever the lifetime of the service is, and grants what it is given.
func TestProbe(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	cfg.Lifetime = 12 * time.Hour
	i := newTestIssuer(t, cfg)
	plain, err := i.Probe("container_registry")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Probe)
		bad    bool // distribution refuses it
		header string
	}{
		{"like an access token", func(*Probe) {}, false, "x5c"},
		{"another issuer", func(p *Probe) { p.Issuer = "other" }, true, "x5c"},
		{"another service", func(p *Probe) { p.Service = "other" }, true, "x5c"},
		{"forged", func(p *Probe) { p.Forged = true }, true, "x5c"},
		{"by kid", func(p *Probe) { p.Signing = SigningKID }, true, "kid"},
		{"by libtrust", func(p *Probe) { p.Signing = SigningLibtrust }, true, "kid"},
	} {
		p := plain
		tt.change(&p)
		token, err := i.MintProbe(p, nil, At(time.Now()))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if _, err := registryVerifies(token, certFile); (err != nil) != tt.bad {
			t.Errorf("%s: a registry verifies it: %v, want an error = %v", tt.name, err, tt.bad)
		}
		header, claims := decode(t, token)
		if header[tt.header] == nil || claims.Issuer != p.Issuer || claims.Audience != p.Service || *claims.Subject != probeSubject || len(claims.Access) != 0 {
			t.Errorf("%s: header %v, claims %+v, want %+v", tt.name, header, claims, p)
		}
		if claims.Expiration-claims.IssuedAt != 130 { // a minute, a minute more, ten seconds back
			t.Errorf("%s: valid for %d s, want a minute", tt.name, claims.Expiration-claims.IssuedAt)
		}
	}
	if _, err := i.Probe("other"); !errors.Is(err, ErrUnknownService) {
		t.Errorf("Probe of an unknown service: %v", err)
	}
	if _, err := i.MintProbe(Probe{KeyOf: "other"}, nil, At(time.Now())); !errors.Is(err, ErrUnknownService) {
		t.Errorf("MintProbe with the key of an unknown service: %v", err)
	}
}

// TestProbeWithoutRootKey: a configured leaf signs by x5c alone, and a root that is no CA
// certifies no leaf.
func TestProbeWithoutRootKey(t *testing.T) {
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	leaf := newTestIssuer(t, a.config())
	p, err := leaf.Probe("container_registry")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.MintProbe(p, nil, At(time.Now())); err != nil {
		t.Errorf("MintProbe by a configured leaf: %v", err)
	}
	p.Signing = SigningKID
	if _, err := leaf.MintProbe(p, nil, At(time.Now())); !errors.Is(err, ErrNoProbe) {
		t.Errorf("MintProbe by kid without a root key: %v, want ErrNoProbe", err)
	}
	cfg := testConfig(writeKeyPair(t, issue(t, ca("root"), newEdKey(t), nil)))
	cfg.Signing = SigningKID
	own := newTestIssuer(t, cfg)
	p.Signing = SigningX5C
	if _, err := own.MintProbe(p, nil, At(time.Now())); err != nil {
		t.Errorf("MintProbe by x5c with a root that signs by kid: %v", err)
	}
}
