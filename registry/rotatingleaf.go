package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The life of a leaf. It signs for leafTurn, and outlives by an hour the
// longest token that it can have signed last.
const (
	leafRotation = 24 * time.Hour
	leafLifetime = leafRotation + maxLifetime + time.Hour

	// leafBackdate is how long ago a leaf begins, for registries whose clock is
	// behind ours: they give certificates no leeway.
	leafBackdate = time.Hour
)

// rotatingLeaf signs with a key made here and certified by the root, another one
// every day. It makes them when they are needed, so that nothing runs beside
// the requests.
type rotatingLeaf struct {
	root *keyPair
	leaf atomic.Pointer[leaf]
	mu   sync.Mutex // held while another leaf is made
}

// leaf is one day's key.
type leaf struct {
	signer   *signer
	rotateAt time.Time // when another takes its place
}

// newRotatingLeaf makes the first leaf too, so that a root which cannot certify, or
// has ended, is found out at load.
func newRotatingLeaf(root *keyPair, now time.Time) (*rotatingLeaf, error) {
	c := root.certificate
	switch {
	case !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New(`the root certificate is not a CA and can certify no other key; write signing = "kid", or "libtrust" for distribution 2.8, to let its key sign itself, or make a root with openssl req -x509 or shorepass keys init`)
	case !now.Before(c.NotAfter):
		return nil, fmt.Errorf("the root certificate ended at %s; make another and give it to the registry", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return nil, fmt.Errorf("the root certificate is valid only from %s on; wait until then, or set the clock right", c.NotBefore.UTC().Format(time.RFC3339))
	}
	l := &rotatingLeaf{root: root}
	first, err := l.issueLeaf(now)
	if err != nil {
		return nil, err
	}
	l.leaf.Store(first)
	return l, nil
}

func (l *rotatingLeaf) current(now time.Time) (*signer, error) {
	last := l.leaf.Load()
	if last.signsAt(now) {
		return last.signer, nil
	}
	if last.signer.checkValidity(now) != nil {
		// A process that slept for days. Nobody can sign before this is done.
		l.mu.Lock()
	} else if !l.mu.TryLock() {
		return last.signer, nil // somebody makes another; this one is good for an hour yet
	}
	defer l.mu.Unlock()
	if last = l.leaf.Load(); last.signsAt(now) {
		return last.signer, nil
	}
	next, err := l.issueLeaf(now)
	if err != nil {
		return nil, err
	}
	l.leaf.Store(next)
	return next.signer, nil
}

func (l *rotatingLeaf) end() time.Time { return l.root.certificate.NotAfter }

// signsAt reports whether the leaf signs at that time. One from the future was
// made before the clock was set back.
func (l *leaf) signsAt(now time.Time) bool {
	return now.Before(l.rotateAt) && !now.Before(l.signer.notBefore)
}

// issueLeaf draws a key and certifies it, for no longer than the root lasts.
func (l *rotatingLeaf) issueLeaf(now time.Time) (*leaf, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	root := l.root.certificate
	// Short, since it is sent along with each token.
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "shorepass"},
		NotBefore: later(now.Add(-leafBackdate), root.NotBefore),
		NotAfter:  earlier(now.Add(leafLifetime), root.NotAfter),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), l.root.key)
	if err != nil {
		return nil, fmt.Errorf("certify signing key: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certify signing key: %w", err)
	}
	chain := []*x509.Certificate{certificate}
	if _, err := verifyChain(chain, []*x509.Certificate{root}, now); err != nil {
		return nil, fmt.Errorf("registries would refuse what the root certificate certifies: %w", err)
	}
	s, err := newCertifiedSigner(key, chain, []*x509.Certificate{root})
	if err != nil {
		return nil, err
	}
	return &leaf{signer: s, rotateAt: now.Add(leafRotation)}, nil
}
