package ldap

import (
	"context"
	"slices"
)

// features are what a server announces in its root DSE (RFC 4512, section 5.1). A
// control that a server does not announce is not sent: small servers refuse or drop
// requests with any control.
type features struct {
	controls []string // supportedControl
	epoch    int      // of the server when they were read
}

// hasControl reports whether the server is known to announce a control.
func (s *server) hasControl(oid string) bool {
	f := s.features.Load()
	return f != nil && slices.Contains(f.controls, oid)
}

// featuresKnown reports whether the features were read since the server last failed: it
// may be another one since.
func (s *server) featuresKnown() bool {
	f := s.features.Load()
	return f != nil && f.epoch == s.currentEpoch()
}

// readFeatures reads the features of a connection's server. The error means that the
// server gave no answer, or is busy; a root DSE that is hidden announces nothing.
func (c *conn) readFeatures(ctx context.Context, d *directory) error {
	root, err := c.rootDSE(ctx, d.timeout, "supportedControl")
	if err != nil && (!answered(err) || busyOrUnavailable(err)) {
		return err
	}
	c.server.features.Store(&features{root.texts("supportedControl"), c.epoch})
	return nil
}
