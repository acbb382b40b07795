package registry

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"shorepass/internal/durable"
)

// pollInterval is how often the files of a given leaf are looked at, at most. A
// leaf is renewed hours before it ends, so that seconds are soon enough; and
// somebody who waits for a token makes the look, on what may be a slow volume.
const pollInterval = 5 * time.Second

// reloadingLeaf signs with a leaf that somebody else certified and renews: cert-manager,
// a vault, a person with openssl.
type reloadingLeaf struct {
	certFile, keyFile string
	roots             []*x509.Certificate // to check with; empty where no root is configured
	report            func(error)         // told what is wrong with new files

	leaf     atomic.Pointer[signer]
	nextPoll atomic.Int64 // when to look again, in Unix nanoseconds

	mu           sync.Mutex       // held while looking
	loaded       [2]durable.State // of the two files that leaf is from
	lastReported string           // what was reported last, so that it is not repeated
}

// newReloadingLeaf reads the leaf for the first time. rootFile may be empty.
func newReloadingLeaf(certFile, keyFile, rootFile string, now time.Time, report func(error)) (*reloadingLeaf, error) {
	g := &reloadingLeaf{certFile: certFile, keyFile: keyFile, report: report}
	if rootFile != "" {
		roots, err := readCertificates(rootFile)
		if err != nil {
			return nil, fmt.Errorf("root_certificate: %w", err)
		}
		g.roots = roots
	}
	if err := g.load(g.fileStates(), now); err != nil {
		return nil, err
	}
	g.nextPoll.Store(now.Add(pollInterval).UnixNano())
	return g, nil
}

// current returns the leaf. Every few seconds one caller looks whether the
// files have changed; the others do not wait for it.
func (g *reloadingLeaf) current(now time.Time) (*signer, error) {
	if g.pollDue(now) && g.mu.TryLock() {
		defer g.mu.Unlock()
		g.nextPoll.Store(now.Add(pollInterval).UnixNano())
		g.reload(now)
	}
	return g.leaf.Load(), nil
}

// pollDue reports whether it is time to look. A time further off than lookEvery is
// from before the clock was set back.
func (g *reloadingLeaf) pollDue(now time.Time) bool {
	wait := g.nextPoll.Load() - now.UnixNano()
	return wait <= 0 || wait > int64(pollInterval)
}

// reload takes new files into use, or reports why it keeps the old ones. What
// was wrong is tried again, since the two files are rarely replaced at one
// time; it is reported once.
func (g *reloadingLeaf) reload(now time.Time) {
	seen := g.fileStates()
	if seen[0].Equal(g.loaded[0]) && seen[1].Equal(g.loaded[1]) {
		return
	}
	err := g.load(seen, now)
	if err == nil {
		g.lastReported = ""
		return
	}
	if err.Error() != g.lastReported {
		g.lastReported = err.Error()
		g.report(fmt.Errorf("take the new signing certificate into use; the old one stays until %s: %w",
			g.leaf.Load().notAfter.UTC().Format(time.RFC3339), err))
	}
}

// fileStates returns the state of both files.
func (g *reloadingLeaf) fileStates() [2]durable.State {
	return [2]durable.State{durable.StateOf(g.certFile), durable.StateOf(g.keyFile)}
}

// load reads both files, which were looked at before, so that no change slips
// in between.
func (g *reloadingLeaf) load(seen [2]durable.State, now time.Time) error {
	p, err := readKeyPair(g.certFile, g.keyFile)
	if err != nil {
		return err
	}
	if selfSigned(p.certificate) {
		return fmt.Errorf("the certificate in %s is signed by itself; give it as root_certificate and its key as root_key", g.certFile)
	}
	// Roots are known to registries, and would only make tokens longer.
	chain := append([]*x509.Certificate{p.certificate}, slices.DeleteFunc(p.others, selfSigned)...)
	s, err := newCertifiedSigner(p.key, chain, nil)
	if err != nil {
		return err
	}
	if err := s.checkValidity(now); err != nil {
		return fmt.Errorf("%s: %w", g.certFile, err)
	}
	if len(g.roots) > 0 {
		if s, err = g.limitToRoot(p, chain, now); err != nil {
			return err
		}
	}
	g.leaf.Store(s)
	g.loaded = seen
	return nil
}

// limitToRoot checks as a registry does that the chain ends in a root, and lets the
// leaf last no longer than that.
func (g *reloadingLeaf) limitToRoot(p *keyPair, chain []*x509.Certificate, now time.Time) (*signer, error) {
	found, err := verifyChain(chain, g.roots, now)
	if err != nil {
		return nil, fmt.Errorf("the certificate in %s does not lead to root_certificate: %w", g.certFile, err)
	}
	return newCertifiedSigner(p.key, chain, found[len(found)-1:])
}

func (g *reloadingLeaf) end() time.Time { return g.leaf.Load().notAfter }

// selfSigned reports whether the certificate is a root: issued in its own
// name. No signature is checked, since a false claim harms only its maker.
func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// verifyChain checks a chain, leaf first, as distribution does, and returns it
// with the root that it ends in.
func verifyChain(chain, roots []*x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, c := range roots {
		options.Roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := chain[0].Verify(options)
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, errors.New("no chain")
	}
	return chains[0], nil
}
