// Package certwatch says which certificates are not valid or end soon. It is one rule for
// every certificate of the process: the ones that sign tokens, the server's own, the ones
// shown to providers and the store, and the authorities trusted there.
//
//	for _, found := range certwatch.Check(files, time.Now()) {
//		log.Warn(found.Text, "key", found.Key)
//	}
package certwatch

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Use is what the certificates of a file are for, which decides how many of them have to
// be valid.
type Use int

const (
	// Chain is a certificate with its chain, all of which have to be valid.
	Chain Use = iota

	// Root certifies a leaf for each day. A leaf never outlives it.
	Root

	// Authorities are trusted to certify peers. One valid authority is enough.
	Authorities

	// Obtained is a certificate that this process obtains and replaces by itself. It
	// may be missing.
	Obtained
)

func (u Use) String() string {
	return [...]string{Chain: "chain", Root: "root", Authorities: "authorities", Obtained: "obtained"}[u]
}

// File is a file of certificates.
type File struct {
	Key          string // the configuration key that names it: "server.tls.certificate"
	Name         string // its path
	Use          Use
	Certificates []*x509.Certificate // at least one, except of Obtained
}

// thresholds are the times before the end at which a certificate is reported. A
// certificate whose whole validity is less than three thresholds is replaced more often
// than that, and the threshold does not count for it.
var thresholds = []time.Duration{30 * day, 7 * day, day}

const day = 24 * time.Hour

// State is what is wrong with a certificate.
type State string

// The states of a finding.
const (
	Ending State = "ends soon"
	Ended  State = "has ended"
	Early  State = "is not valid yet"

	Missing State = "is missing" // of Obtained alone
)

// Finding is a certificate that is not valid, or ends within a threshold.
type Finding struct {
	Key      string // of the file
	File     string
	NotAfter time.Time
	State    State
	Within   time.Duration // the smallest threshold that is reached; 0 for an invalid certificate
	Fault    bool          // something does not work now, or will not tomorrow
	Text     string        // what ends when, and what to do
}

// Check returns a finding for each certificate that is not valid or ends within a
// threshold, in the order of the files.
func Check(files []File, now time.Time) []Finding {
	var all []Finding
	for _, f := range files {
		if len(f.Certificates) == 0 {
			all = append(all, Finding{Key: f.Key, File: f.Name, State: Missing, Fault: true,
				Text: fmt.Sprintf("the certificate in %s (%s) is missing; %s", f.Name, f.Key, f.cure())})
		}
		for _, c := range f.Certificates {
			if found, ok := f.check(c, now); ok {
				all = append(all, found)
			}
		}
	}
	return all
}

// check returns the finding for one certificate of the file, if there is one.
func (f File) check(c *x509.Certificate, now time.Time) (Finding, bool) {
	found := Finding{Key: f.Key, File: f.Name, NotAfter: c.NotAfter}
	left := c.NotAfter.Sub(now)
	what := ""
	switch within := reached(left, c.NotAfter.Sub(c.NotBefore)); {
	case left <= 0:
		found.State, what = Ended, fmt.Sprintf("ended at %s; %s", inUTC(c.NotAfter), f.cure())
	case now.Before(c.NotBefore):
		found.State, what = Early, fmt.Sprintf("is valid only from %s on; set the clock right, or wait until then", inUTC(c.NotBefore))
	case f.Use == Root && left <= day: // today's leaf cannot be certified for its whole day
		found.State, found.Within = Ending, day
	case within > 0:
		found.State, found.Within = Ending, within
	default:
		return Finding{}, false
	}
	if found.State == Ending {
		what = fmt.Sprintf("ends at %s, in %s; %s", inUTC(c.NotAfter), inDays(left), f.cure())
	}
	found.Fault = f.isFault(found, now)
	found.Text = fmt.Sprintf("the certificate %q in %s (%s) %s", c.Subject, f.Name, f.Key, what)
	return found, true
}

// isFault reports whether a finding keeps the file from its use, today or tomorrow.
func (f File) isFault(found Finding, now time.Time) bool {
	switch {
	case found.State == Ending:
		return f.Use == Root && found.Within == day
	case f.Use == Authorities:
		return !slices.ContainsFunc(f.Certificates, func(c *x509.Certificate) bool { return !now.Before(c.NotBefore) && now.Before(c.NotAfter) })
	}
	return true
}

func inUTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// reached returns the smallest threshold that is reached, 0 for none.
func reached(left, validity time.Duration) time.Duration {
	within := time.Duration(0)
	for _, threshold := range thresholds {
		if left <= threshold && validity >= 3*threshold {
			within = threshold
		}
	}
	return within
}

// cure says what to do about a certificate that ends.
func (f File) cure() string {
	switch f.Use {
	case Root:
		return "make another root and give it to every registry first, with the old one in the same bundle"
	case Authorities:
		return "replace it by the authority that peers use now, or take it out"
	case Obtained:
		return "the log says why no other was obtained"
	}
	return "replace it"
}

// Next returns the certificate of the file that ends next, for metrics. Of authorities
// it passes over those that have ended, as long as one is valid. It is nil where the file
// is missing.
func (f File) Next(now time.Time) *x509.Certificate {
	var next *x509.Certificate
	for _, c := range f.Certificates {
		switch {
		case next == nil, c.NotAfter.Before(next.NotAfter) && (f.Use != Authorities || now.Before(c.NotAfter)):
			next = c
		case f.Use == Authorities && !now.Before(next.NotAfter) && c.NotAfter.After(next.NotAfter):
			next = c
		}
	}
	return next
}

// inDays formats a time that is left, for people.
func inDays(left time.Duration) string {
	if days := int(left / day); days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	return left.Round(time.Minute).String()
}
