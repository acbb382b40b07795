package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"shorepass/providers"
)

// TestRefreshNameIsExplained: the error for "$refresh:ssoo" says how the user name is written.
func TestRefreshNameIsExplained(t *testing.T) {
	got := new(Generation).wireError(fmt.Errorf("%w: no provider has that name: %w", providers.ErrRefreshName, providers.ErrRejected))
	if got.status != http.StatusUnauthorized || got.oauth != "invalid_grant" || !strings.Contains(got.message, "$refresh:PROVIDER") {
		t.Errorf("new(Generation).wireError(ErrRefreshName) = %d %s %q, want 401 and a sentence with $refresh:PROVIDER", got.status, got.oauth, got.message)
	}
}
