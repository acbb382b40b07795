package ldap

import (
	"context"
	"slices"

	ldap "github.com/go-ldap/ldap/v3"
)

// features are what a server announces in its root DSE (RFC 4512, section 5.1). A
// control that a server does not announce is not sent: small servers refuse or drop
// requests with any control.
type features struct {
	controls   []string // supportedControl
	extensions []string // supportedExtension
	epoch      int      // of the server when they were read
}

// Object identifiers of extended operations.
const extensionWhoAmI = ldap.ControlTypeWhoAmI // RFC 4532

// announced returns what the server announces, or nothing where it is not known yet, or
// hidden.
func (s *server) announced() features {
	if f := s.features.Load(); f != nil {
		return *f
	}
	return features{}
}

// hasControl reports whether the server announces a control.
func (s *server) hasControl(oid string) bool { return slices.Contains(s.announced().controls, oid) }

// hasExtension reports whether the server announces an extended operation.
func (s *server) hasExtension(oid string) bool { return slices.Contains(s.announced().extensions, oid) }

// featuresKnown reports whether the features were read since the server last failed: it
// may be another one since.
func (s *server) featuresKnown() bool {
	f := s.features.Load()
	return f != nil && f.epoch == s.currentEpoch()
}

// readFeatures reads the features of a connection's server. The error means that the
// server gave no answer, or is busy; a root DSE that is hidden announces nothing.
func (c *conn) readFeatures(ctx context.Context, d *directory) error {
	root, err := c.rootDSE(ctx, d.timeout, "supportedControl", "supportedExtension")
	if err != nil && (!answered(err) || busyOrUnavailable(err)) {
		return err
	}
	c.server.features.Store(&features{root.texts("supportedControl"), root.texts("supportedExtension"), c.epoch})
	return nil
}
