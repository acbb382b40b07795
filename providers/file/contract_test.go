package file_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/file"
	"shorepass/providers/providertest"
)

// cheapHash returns a bcrypt hash of the lowest cost.
func cheapHash(t *testing.T, password string) string {
	t.Helper()
	line, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

// replaceFile replaces a file by a rename.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // atomic, as many tools do it
		t.Fatal(err)
	}
}

func open(t *testing.T, cfg file.Config) *file.Provider {
	t.Helper()
	cfg = cfg.WithDefaults()
	cfg.Validate(func(key, problem string) { t.Errorf("Validate: %s: %s", key, problem) })
	p, err := file.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestContractOfConfiguration(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		strong, err := file.Hash(secret.New("correct horse"))
		if err != nil {
			t.Fatal(err)
		}
		user := func(name, password string, groups ...string) file.User {
			return file.User{Name: name, Password: secret.New(cheapHash(t, password)), Groups: groups}
		}
		left := user("left", "right")
		left.Disabled = true
		p := open(t, file.Config{Users: []file.User{
			{Name: "Bob", Password: secret.New(strong), Groups: []string{"devs", "ops"}},
			user("josé", "pässwörd"),
			user("o(brien", "o(brien's"),
			user(`CN=Doe\, J`, "right"),
			user("a*", "star"),
			user(`dom\user`, " blank "),
			left,
		}})
		return providertest.Harness{
			Provider: p,
			Accounts: []providertest.Account{
				{Logins: []string{"bob", "BOB", " Bob ", "ｂｏｂ"}, Password: "correct horse", User: "bob", Groups: []string{"devs", "ops"}},
				{Logins: []string{"josé", "JOSÉ", "jose\u0301"}, Password: "pässwörd", User: "josé"},
				{Logins: []string{"o(brien"}, Password: "o(brien's", User: "o(brien"},
				{Logins: []string{`CN=Doe\, J`}, Password: "right", User: `cn=doe\, j`},
				{Logins: []string{"a*"}, Password: "star", User: "a*"},
				{Logins: []string{`DOM\user`}, Password: " blank ", User: `dom\user`},
			},
			Disabled:        &providertest.Account{Logins: []string{"left"}, Password: "right"},
			Unknown:         providers.ErrNotMine,
			SubjectAtLookup: true,
		}
	})
}

func TestContractOfHtpasswd(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		folder := t.TempDir()
		users, groups := filepath.Join(folder, "htpasswd"), filepath.Join(folder, "groups")
		jose := "josé:" + cheapHash(t, "pässwörd") + "\n"
		replaceFile(t, users, "# people\n\nBob:"+cheapHash(t, "right")+"\r\n"+jose)
		replaceFile(t, groups, "devs: bob josé\nops: BOB somebody-else\n")
		p := open(t, file.Config{Htpasswd: users, HtpasswdGroups: groups})
		return providertest.Harness{
			Provider: p,
			Accounts: []providertest.Account{
				{Logins: []string{"bob", "BOB"}, Password: "right", User: "bob", Groups: []string{"devs", "ops"}},
				{Logins: []string{"josé"}, Password: "pässwörd", User: "josé", Groups: []string{"devs"}},
			},
			Unknown:         providers.ErrNotMine,
			SubjectAtLookup: true,
			Delete: func(t *testing.T, _ providertest.Account) {
				replaceFile(t, users, jose)
				p.TestOnlyRecheck()
			},
			ChangePassword: func(t *testing.T, _ providertest.Account) {
				replaceFile(t, users, jose+"bob:"+cheapHash(t, "other")+"\n")
				p.TestOnlyRecheck()
			},
			ChangeGroups: func(t *testing.T, _ providertest.Account) []string {
				replaceFile(t, groups, "admins: bob\n")
				p.TestOnlyRecheck()
				return []string{"admins"}
			},
		}
	})
}
