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

// Times of a leaf. It signs for leafRotation, and is valid for an hour longer than
// the longest token that it may sign at the end of that time.
const (
	leafRotation = 24 * time.Hour
	leafLifetime = leafRotation + maxLifetime + time.Hour

	// leafBackdate is how long before now a leaf begins, for registries whose
	// clock is behind ours: they allow a certificate no leeway.
	leafBackdate = time.Hour
)

// rotatingLeaf signs with a key made in this process and certified by the root,
// and rotates it daily. It issues a leaf when a request finds one due, and has
// no goroutine.
type rotatingLeaf struct {
	root *keyPair
	leaf atomic.Pointer[leaf]
	mu   sync.Mutex // held while a leaf is issued
}

// leaf is the key of one day.
type leaf struct {
	signer   *signer
	rotateAt time.Time // when the next leaf is due
}

// newRotatingLeaf issues the first leaf at load, to find out then whether the
// root can certify and is valid.
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

// current returns the leaf. One caller issues the next leaf when it is due; the
// others go on with the last one, which is valid for longer.
func (l *rotatingLeaf) current(now time.Time) (*signer, error) {
	last := l.leaf.Load()
	if last.signsAt(now) {
		return last.signer, nil
	}
	if last.signer.checkValidity(now) != nil {
		// The process slept for days: every caller waits for a valid leaf.
		l.mu.Lock()
	} else if !l.mu.TryLock() {
		return last.signer, nil // another caller issues the next leaf; the last one is still valid
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

// signsAt reports whether the leaf is the one to sign with at that time. A leaf
// from the future was issued before the clock was set back.
func (l *leaf) signsAt(now time.Time) bool {
	return now.Before(l.rotateAt) && !now.Before(l.signer.notBefore)
}

// issueLeaf generates a key and certifies it until the end of the root at the
// latest.
func (l *rotatingLeaf) issueLeaf(now time.Time) (*leaf, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	root := l.root.certificate
	// The certificate is small, because every token contains it.
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
