package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// BenchmarkSign is the signature alone, the lower bound of the cost of a token.
func BenchmarkSign(b *testing.B) {
	b.ReportAllocs()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("token"))
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, sum[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMint should take less than 5 µs more than BenchmarkSign.
func BenchmarkMint(b *testing.B) {
	b.ReportAllocs()
	i := newTestIssuer(b, testConfig(newRootFiles(b)))
	access := []Access{{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}}}
	for b.Loop() {
		if _, err := i.Mint("container_registry", "alice", access, At(time.Now())); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMintParallel mints in as many goroutines as there are processors.
func BenchmarkMintParallel(b *testing.B) {
	i := newTestIssuer(b, testConfig(newRootFiles(b)))
	access := []Access{{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}}}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := i.Mint("container_registry", "alice", access, At(time.Now())); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkJWT makes the same token with golang-jwt from a header and claims:
// the reason why Mint writes both by hand.
func BenchmarkJWT(b *testing.B) {
	b.ReportAllocs()
	i := newTestIssuer(b, testConfig(newRootFiles(b)))
	s, err := i.services["container_registry"].keys.current(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	header, _ := decode(b, mint(b, i, "container_registry", "alice"))
	type claims struct {
		jwt.RegisteredClaims
		Access []Access `json:"access"`
	}
	access := []Access{{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}}}
	for b.Loop() {
		now := time.Now()
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims{jwt.RegisteredClaims{Issuer: "gitlab-issuer", Subject: "alice",
			Audience: jwt.ClaimStrings{"container_registry"}, ID: rand.Text(), IssuedAt: jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute))}, access})
		token.Header["x5c"] = header["x5c"]
		if _, err := token.SignedString(s.key); err != nil {
			b.Fatal(err)
		}
	}
}
