package providertest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"shorepass/providers"
)

// revalidator logs the first account in as for a session, and returns who it
// is and whom to ask again. It returns nil where there is nobody to ask.
func (h Harness) revalidator(t *testing.T) (*providers.Identity, providers.Revalidator) {
	t.Helper()
	r, ok := h.Provider.(providers.Revalidator)
	if !ok {
		return nil, nil
	}
	id := h.mustLogin(t, true)
	if r.PerSession() && id.RefreshToken.IsZero() {
		t.Fatal("each session is to be asked for on its own, and yet an offline login gave no RefreshToken")
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

// testRevalidate asks twice, each time with what the last answer gave.
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
			t.Errorf("Revalidate gave subject %q and stamp %q, want %q and %q as before", again.Subject, again.Stamp, id.Subject, id.Stamp)
		}
		if !id.RefreshToken.IsZero() && again.RefreshToken.IsZero() {
			t.Error("Revalidate gave no RefreshToken, so that nobody can ask again")
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
	// An OpenID provider says invalid_grant to both, and cannot be blamed.
	if r.PerSession() && errors.Is(err, providers.ErrGone) {
		return
	}
	wants(t, "Revalidate of one who was disabled", err, providers.ErrRejected)
	if !errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of one who was disabled = %v, want ErrEnded too", err)
	}
}

func testRevalidateDeleted(t *testing.T, h Harness) {
	id, r := h.revalidator(t)
	if r == nil || h.Delete == nil {
		return
	}
	h.Delete(t, h.Accounts[0])
	_, err := revalidate(t, r, id)
	wants(t, "Revalidate of one who was deleted", err, providers.ErrGone)
	if errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of one who was deleted = %v, want no ErrEnded: a lost read right looks the same", err)
	}
}

func testRevalidatePassword(t *testing.T, h Harness) {
	id, r := h.revalidator(t)
	if r == nil || h.ChangePassword == nil {
		return
	}
	h.ChangePassword(t, h.Accounts[0])
	again, err := revalidate(t, r, id)
	if r.PerSession() && errors.Is(err, providers.ErrGone) {
		return // it ended the grant itself
	}
	if err != nil {
		t.Fatalf("Revalidate after another password = %v, want an identity", err)
	}
	if again.Stamp == id.Stamp {
		t.Errorf("Revalidate after another password gave the stamp %q of before", again.Stamp)
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
		t.Fatalf("Revalidate after other groups = %v, want an identity", err)
	}
	if got := slices.Sorted(slices.Values(again.Groups)); !slices.Equal(got, want) {
		t.Errorf("Revalidate after other groups gave %q, want %q: replaced, not added", got, want)
	}
}
