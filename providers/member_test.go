package providers

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"shorepass/internal/share"
)

// TestBusyIsNotDown: a provider is not down because one account has used up its share of
// connections.
func TestBusyIsNotDown(t *testing.T) {
	m := newMember(nil, Config{Name: "corp", Kind: "ldap"}.WithDefaults())
	m.log = slog.New(slog.DiscardHandler)
	busy := fmt.Errorf("wait for a connection: %w: %w", share.ErrBusy, context.DeadlineExceeded)
	for _, err := range []error{busy, NotCounted(busy)} {
		if _ = m.recordAnswer(err); m.down.Load() {
			t.Errorf("after %v the provider is down, want that it is not", err)
		}
	}
}
