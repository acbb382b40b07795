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

// pollInterval is the shortest time between two checks of the files of a
// reloadingLeaf. A leaf is renewed hours before it ends, so seconds are soon
// enough; and the check delays a request, on what may be a slow volume.
const pollInterval = 5 * time.Second

// reloadingLeaf signs with a leaf from files that another party certifies and
// renews: cert-manager, Vault, an operator with openssl. It reloads the files
// when they change.
type reloadingLeaf struct {
	certFile, keyFile string
	roots             []*x509.Certificate // to verify the leaf with; empty where no root is configured
	report            func(error)         // called with the fault of new files

	leaf     atomic.Pointer[signer]
	nextPoll atomic.Int64 // when to check the files again, in Unix nanoseconds

	mu           sync.Mutex       // held during a check of the files; guards the fields below
	loaded       [2]durable.State // the state of the two files that leaf was loaded from
	lastReported string           // the last fault reported, so that it is not repeated
}

// newReloadingLeaf loads the leaf for the first time. rootFile may be empty.
func newReloadingLeaf(certFile, keyFile, rootFile string, now time.Time, report func(error)) (*reloadingLeaf, error) {
	l := &reloadingLeaf{certFile: certFile, keyFile: keyFile, report: report}
	if rootFile != "" {
		roots, err := readCertificates(rootFile)
		if err != nil {
			return nil, fmt.Errorf("root_certificate: %w", err)
		}
		l.roots = roots
	}
	if err := l.load(l.fileStates(), now); err != nil {
		return nil, err
	}
	l.nextPoll.Store(now.Add(pollInterval).UnixNano())
	return l, nil
}

// current returns the leaf. Every few seconds one caller checks whether the
// files have changed; the others do not wait for it.
func (l *reloadingLeaf) current(now time.Time) (*signer, error) {
	if l.pollDue(now) && l.mu.TryLock() {
		defer l.mu.Unlock()
		l.nextPoll.Store(now.Add(pollInterval).UnixNano())
		l.reload(now)
	}
	return l.leaf.Load(), nil
}

// pollDue reports whether the files are due for a check. A time further away
// than pollInterval was set before the clock was set back.
func (l *reloadingLeaf) pollDue(now time.Time) bool {
	wait := l.nextPoll.Load() - now.UnixNano()
	return wait <= 0 || wait > int64(pollInterval)
}

// reload loads changed files, or reports why it retains the old leaf. Faulty
// files are tried again at the next check, since the two files are rarely
// replaced at the same time; the same fault is reported once.
func (l *reloadingLeaf) reload(now time.Time) {
	states := l.fileStates()
	if states[0].Equal(l.loaded[0]) && states[1].Equal(l.loaded[1]) {
		return
	}
	err := l.load(states, now)
	if err == nil {
		l.lastReported = ""
		return
	}
	if err.Error() != l.lastReported {
		l.lastReported = err.Error()
		l.report(fmt.Errorf("load the new signing certificate; the old one signs until %s: %w",
			l.leaf.Load().notAfter.UTC().Format(time.RFC3339), err))
	}
}

// fileStates returns the state of both files.
func (l *reloadingLeaf) fileStates() [2]durable.State {
	return [2]durable.State{durable.StateOf(l.certFile), durable.StateOf(l.keyFile)}
}

// load loads both files. states is from before, so that a change during the
// load is found by the next check.
func (l *reloadingLeaf) load(states [2]durable.State, now time.Time) error {
	p, err := readKeyPair("signing", l.certFile, l.keyFile)
	if err != nil {
		return err
	}
	if selfSigned(p.certificate) {
		return fmt.Errorf("the certificate in %s is signed by itself; give it as root_certificate and its key as root_key", l.certFile)
	}
	// Registries have the roots, which would only make tokens longer.
	chain := append([]*x509.Certificate{p.certificate}, slices.DeleteFunc(p.others, selfSigned)...)
	s, err := newCertifiedSigner(p.key, chain, nil)
	if err != nil {
		return err
	}
	if err := s.checkValidity(now); err != nil {
		return fmt.Errorf("%s: %w", l.certFile, err)
	}
	if len(l.roots) > 0 {
		if s, err = l.limitToRoot(p, chain, now); err != nil {
			return err
		}
	}
	l.leaf.Store(s)
	l.loaded = states
	return nil
}

// limitToRoot verifies, as a registry does, that the chain ends in a root, and
// ends the leaf with that root at the latest.
func (l *reloadingLeaf) limitToRoot(p *keyPair, chain []*x509.Certificate, now time.Time) (*signer, error) {
	found, err := verifyChain(chain, l.roots, now)
	if err != nil {
		return nil, fmt.Errorf("the certificate in %s does not lead to root_certificate: %w", l.certFile, err)
	}
	return newCertifiedSigner(p.key, chain, found[len(found)-1:])
}

// selfSigned reports whether the certificate is a root: its issuer is its
// subject. The signature is not checked, since a false one harms only its
// maker.
func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// verifyChain verifies a chain, leaf first, as distribution does, and returns
// it with the root that it ends in.
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
