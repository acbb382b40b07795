package providertest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"shorepass/providers"
)

// revalidator logs the first account in with an offline token, and returns its
// identity and the revalidator. It returns nil if the provider is none.
func (h Harness) revalidator(t *testing.T) (*providers.Identity, providers.Revalidator) {
	t.Helper()
	r, ok := h.Provider.(providers.Revalidator)
	if !ok {
		return nil, nil
	}
	id := h.mustLogin(t, true)
	if r.PerSignIn() && id.RefreshToken.IsZero() {
		t.Fatal("PerSignIn is true, but an offline login returned no RefreshToken")
	}
	return id, r
}

func revalidate(t *testing.T, r providers.Revalidator, id *providers.Identity) (*providers.Identity, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	again, err := r.Revalidate(ctx, id)
	if (again == nil) == (err == nil) {
		t.Fatalf("Revalidate = %v, %v, want either an identity or an error", again, err)
	}
	return again, err
}

// testRevalidate revalidates twice, each time with the last identity.
func testRevalidate(t *testing.T, h Harness) {
	id, r := h.revalidator(t)
	if r == nil {
		return
	}
	for range 2 {
		again, err := revalidate(t, r, id)
		if err != nil {
			t.Fatalf("Revalidate = %v, want an identity", err)
		}
		h.checkIdentity(t, "revalidated", again, h.Accounts[0])
		if again.Subject != id.Subject || again.Stamp != id.Stamp {
			t.Errorf("Revalidate returned subject %q and stamp %q, want %q and %q as before", again.Subject, again.Stamp, id.Subject, id.Stamp)
		}
		if !id.RefreshToken.IsZero() && again.RefreshToken.IsZero() {
			t.Error("Revalidate returned no RefreshToken, so the next one is impossible")
		}
		id = again
	}
}

func testRevalidateDisabled(t *testing.T, h Harness) {
	id, r := h.revalidator(t)
	if r == nil || h.Disable == nil {
		return
	}
	h.Disable(t, h.Accounts[0])
	_, err := revalidate(t, r, id)
	// An OpenID provider answers invalid_grant for a disabled and a deleted
	// account.
	if r.PerSignIn() && errors.Is(err, providers.ErrGone) {
		return
	}
	checkOutcome(t, "Revalidate of a disabled account", err, providers.ErrRejected)
	if !errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of a disabled account = %v, want ErrEnded too", err)
	}
}

func testRevalidateDeleted(t *testing.T, h Harness) {
	id, r := h.revalidator(t)
	if r == nil || h.Delete == nil {
		return
	}
	h.Delete(t, h.Accounts[0])
	_, err := revalidate(t, r, id)
	checkOutcome(t, "Revalidate of a deleted account", err, providers.ErrGone)
	if errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of a deleted account = %v, want no ErrEnded: a lost read permission looks the same", err)
	}
}

func testRevalidatePassword(t *testing.T, h Harness) {
	id, r := h.revalidator(t)
	if r == nil || h.ChangePassword == nil {
		return
	}
	h.ChangePassword(t, h.Accounts[0])
	again, err := revalidate(t, r, id)
	if r.PerSignIn() && errors.Is(err, providers.ErrGone) {
		return // the provider ended the grant
	}
	if err != nil {
		t.Fatalf("Revalidate after a password change = %v, want an identity", err)
	}
	if again.Stamp == id.Stamp {
		t.Errorf("Revalidate after a password change returned the old stamp %q", again.Stamp)
	}
}

func testRevalidateGroups(t *testing.T, h Harness) {
	id, r := h.revalidator(t)
	if r == nil || h.ChangeGroups == nil {
		return
	}
	want := slices.Sorted(slices.Values(h.ChangeGroups(t, h.Accounts[0])))
	again, err := revalidate(t, r, id)
	if err != nil {
		t.Fatalf("Revalidate after a group change = %v, want an identity", err)
	}
	if got := slices.Sorted(slices.Values(again.Groups)); !slices.Equal(got, want) {
		t.Errorf("Revalidate after a group change returned %q, want %q: replaced, not added", got, want)
	}
}
