package server

import (
	"fmt"
	"strings"
	"testing"

	"shorepass/registry"
)

// TestEndedRootMessage: where no key can sign, the answer says that trying again does not
// help, and whom to ask (E7).
func TestEndedRootMessage(t *testing.T) {
	gen := &Generation{Config: Config{Contact: "help@corp.example"}}
	got := gen.wireError(fmt.Errorf("mint: %w", registry.ErrNoValidKey))
	if got.status != 503 || strings.Contains(got.message, "in a moment") || !strings.HasSuffix(got.message, "trying again does not help, ask help@corp.example") {
		t.Errorf("ErrNoValidKey = %d %q", got.status, got.message)
	}
}
