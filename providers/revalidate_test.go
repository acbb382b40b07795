package providers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
)

func TestRevalidate(t *testing.T) {
	d := &directory{takes: []Kind{IDToken}, catches: true}
	c := one(t, d, func(cfg *Config) { cfg.Prefix, cfg.RequireGroups = pointer("x:"), []string{"x:devs"} })
	then := time.Unix(1, 0)
	identity := func(method Method) *Identity {
		return &Identity{Provider: "corp", Subject: "1", User: "x:bob", Groups: []string{"x:old"}, Method: method, AuthTime: then, RefreshToken: secret.New("old")}
	}
	answer := func(subject string, groups ...string) func(*Identity) (*Identity, error) {
		return func(id *Identity) (*Identity, error) {
			if id.RefreshToken.Reveal() != "old" || id.Subject != "1" {
				t.Errorf("the provider was asked about %q with the refresh token %q", id.Subject, id.RefreshToken.Reveal())
			}
			return &Identity{Subject: subject, User: "robert", Groups: groups, Method: MethodRefresh, AuthTime: time.Now(), RefreshToken: secret.New("new"), Stamp: "2"}, nil
		}
	}
	for _, test := range []struct {
		name   string
		method Method
		again  func(*Identity) (*Identity, error)
		groups string
		want   string
	}{
		{"password", MethodPassword, answer("1", "devs", "authenticated"), "authenticated x:devs", "200"},
		{"id token", MethodIDToken, answer("1", "devs"), "x:devs", "200"},
		{"left the required group", MethodPassword, answer("1", "ops"), "", "401"},
		{"another subject", MethodPassword, answer("2", "devs"), "", "401"},
		{"ended", MethodPassword, func(*Identity) (*Identity, error) { return nil, errors.Join(ErrRejected, ErrEnded) }, "", "401"},
		{"down", MethodPassword, func(*Identity) (*Identity, error) { return nil, errors.New("down") }, "", "503"},
	} {
		d.again = test.again
		id, err := c.Revalidate(t.Context(), identity(test.method))
		if got := outcome(err); got != test.want || errors.Is(err, ErrEnded) != (test.name == "ended") {
			t.Errorf("%s: Revalidate = %v, want %s", test.name, err, test.want)
		}
		if err != nil {
			continue
		}
		if got := strings.Join(id.Groups, " "); got != test.groups || id.User != "x:robert" || id.Method != test.method || !id.AuthTime.Equal(then) || id.RefreshToken.Reveal() != "new" {
			t.Errorf("%s: Revalidate gave %+v, want x:robert in %q", test.name, id, test.groups)
		}
	}
	other := identity(MethodPassword)
	other.Provider = "gone"
	if _, err := c.Revalidate(t.Context(), other); !errors.Is(err, ErrRejected) || errors.Is(err, ErrEnded) {
		t.Errorf("Revalidate at a provider that is not configured = %v, want ErrRejected and not ErrEnded", err)
	}
	if c.Fingerprint("corp") == "" || c.Fingerprint("gone") != "" || !c.PerSignIn("corp") || c.PerSignIn("gone") {
		t.Error("Fingerprint and PerSignIn know a provider that is not configured, or not the one that is")
	}
	if d.one = true; c.PerSignIn("corp") || c.RevokeWhen("corp") != RevokeLast || c.RevokeWhen("gone") != RevokeSignIn {
		t.Error("PerSignIn and RevokeWhen do not return the options of the provider")
	}
	if c.Reauthenticate("corp") != time.Hour || c.Reauthenticate("gone") != 0 {
		t.Error("Reauthenticate does not return the option of the provider")
	}
	if err := c.RevokeRefreshToken(t.Context(), "corp", secret.New("r")); err != nil || len(d.revoked) != 1 {
		t.Errorf("RevokeRefreshToken = %v with %d revoked, want one", err, len(d.revoked))
	}
	if err := errors.Join(c.RevokeRefreshToken(t.Context(), "gone", secret.New("r")), c.RevokeRefreshToken(t.Context(), "corp", secret.Text{})); err != nil || len(d.revoked) != 1 {
		t.Errorf("RevokeRefreshToken without provider or token = %v with %d revoked, want one still", err, len(d.revoked))
	}
}

func TestCannotRevalidate(t *testing.T) {
	type onlyLogin struct{ Provider }
	c := chainOf(t, newThrottle(t), Member{onlyLogin{&directory{}}, Config{Name: "corp"}})
	if _, err := c.Revalidate(t.Context(), &Identity{Provider: "corp", Subject: "1"}); !errors.Is(err, ErrCannotRevalidate) {
		t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
	}
}

// TestRefusedLoginRevokes: the refresh token of a login that require_groups refuses is
// revoked, unless that would end the person's other logins, or is not wanted.
func TestRefusedLoginRevokes(t *testing.T) {
	for revoke, want := range map[RevokeWhen]int{RevokeSignIn: 1, RevokeLast: 0, RevokeNever: 0} {
		d := &directory{accounts: map[Login]fakeAccount{"bob": {password: "pw", subject: "1", user: "bob", groups: []string{"devs"}}}, revoke: revoke}
		c, err := NewChain([]Member{{d, Config{Name: "corp", Kind: "ldap", RequireGroups: []string{"ops"}}.WithDefaults()}}, newThrottle(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Authenticate(t.Context(), c.Recognize(Credential{Login: "bob", Secret: secret.New("pw"), Offline: true})); ReasonOf(err) != RefusedByConfig {
			t.Errorf("Authenticate = %v, want refused by the configuration", err)
		}
		if len(d.revoked) != want {
			t.Errorf("revoke = %q: %d revocations, want %d", revoke, len(d.revoked), want)
		}
	}
}
