package session_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/session"
	"shorepass/session/sqlite"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*session.Config)
		want   []string
	}{
		{"the defaults", func(*session.Config) {}, nil},
		{"a file", func(c *session.Config) { c.Store = secret.New("sqlite:/var/lib/shorepass/shorepass.db") }, nil},
		{"PostgreSQL", func(c *session.Config) { c.Store = secret.New("postgres://u:c4nary@h/db") }, nil},
		{"PostgreSQL, by its other name", func(c *session.Config) { c.Store = secret.New("postgresql://h/db") }, nil},
		{"two keys", func(c *session.Config) {
			c.SealKey = secret.New(session.NewSealKey().Reveal() + "\n" + session.NewSealKey().Reveal() + "\n")
		}, nil},
		{"no file", func(c *session.Config) { c.Store = secret.New("sqlite:") }, []string{`store: names no file; write one such as "sqlite:data/shorepass.db"`}},
		{"another store", func(c *session.Config) { c.Store = secret.New("mysql://u:c4nary@h/db") }, []string{`store: is neither "sqlite:FILE" nor "postgres://…"`}},
		{"no key", func(c *session.Config) { c.SealKey = secret.New("c4nary") }, []string{`seal_key: key 1 is not base64 of 32 bytes, as "shorepass keys init --seal-key FILE" writes it`}},
		{"times", func(c *session.Config) { c.Revalidate, c.Idle = time.Millisecond, -time.Hour }, []string{
			`revalidate: 1ms is not between "1s" and "36500d"`, `idle: -1h is not between "1s" and "36500d"`,
		}},
		{"an idle time below the resolution of uses", func(c *session.Config) { c.Idle = time.Minute }, []string{
			`idle: 1m0s is less than "10m": the last use is known to about a minute`,
		}},
		{"for ever", func(c *session.Config) { c.Lifetime = 1 << 62 }, []string{`lifetime: 1281023h53m38.427387904s is not between "1s" and "36500d"`}},
		{"less than one token", func(c *session.Config) { c.PerPerson = -1 }, []string{"per_person: -1 is not between 1 and 1000000"}},
	} {
		cfg := session.Config{}.WithDefaults()
		tc.change(&cfg)
		var got []string
		cfg.Validate(func(key, problem string) { got = append(got, key+": "+problem) })
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if strings.Contains(fmt.Sprint(got), "c4nary") {
			t.Errorf("%s shows a secret: %q", tc.name, got)
		}
	}
}

// startAt starts sessions on a file, and closes them.
func startAt(t *testing.T, file string, key secret.Text) error {
	t.Helper()
	store, err := sqlite.Open(t.Context(), file)
	must(t, err)
	cfg := session.Config{SealKey: key}.WithDefaults()
	s, err := session.New(t.Context(), cfg, store, newFakeProviders(), slog.New(slog.DiscardHandler))
	if err == nil {
		must(t, s.Close())
	}
	return err
}

// elsewhere is a store without a folder.
type elsewhere struct{ session.Store }

func TestSealKeyFile(t *testing.T) {
	var none secret.Text
	file := filepath.Join(t.TempDir(), "new", "shorepass.db")
	name := filepath.Join(filepath.Dir(file), session.SealKeyFile)
	refused := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: New = %v, want %q in it", what, err, want)
		}
	}
	must(t, startAt(t, file, none))
	info, err := os.Stat(name)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the sealing key's mode is %v", info.Mode())
	}
	key, err := os.ReadFile(name)
	must(t, err)
	must(t, startAt(t, file, none))
	must(t, startAt(t, file, secret.New(string(key))))
	refused("another key", startAt(t, file, session.NewSealKey()), "session.seal_key is not the sealing key that the sessions in the store were sealed with")
	must(t, startAt(t, file, secret.New(session.NewSealKey().Reveal()+" "+string(key))))

	must(t, os.Remove(name))
	refused("a key that is missing", startAt(t, file, none), name+" is missing, and the sessions in the store were sealed with it")
	must(t, session.WriteSealKey(name, session.NewSealKey()))
	refused("another file", startAt(t, file, none), name+" is not the sealing key")
	if err := session.WriteSealKey(name, session.NewSealKey()); err == nil {
		t.Error("WriteSealKey replaces a file")
	}
	must(t, os.WriteFile(name, key, 0o600))
	must(t, os.Chmod(name, 0o640))
	refused("a key that others may read", startAt(t, file, none), "chmod 600 "+name)
	must(t, os.Chmod(name, 0o600))
	must(t, startAt(t, file, none))

	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "data", "shorepass.db"))
	must(t, err)
	_, err = session.New(t.Context(), session.Config{}.WithDefaults(), elsewhere{store}, newFakeProviders(), slog.New(slog.DiscardHandler))
	refused("a store of several machines", err, "keys init --seal-key seal.key")
}

// TestRekey: the keys of a ring can be replaced one after the other, and no
// session ends.
func TestRekey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	one, two := session.NewSealKey().Reveal(), session.NewSealKey().Reveal()
	s := &cluster{t: t, providers: newFakeProviders(), file: file}
	cfg := session.Config{SealKey: secret.New(one), Revalidate: time.Second}
	s.start(cfg)
	token := s.issue("sso", "alice")
	s.close()

	cfg.SealKey = secret.New(two + " " + one)
	s.start(cfg)
	time.Sleep(time.Second)
	s.expect("sealed with the old key", token, "ok") // and rotated, so sealed with the new one
	other := s.issue("sso", "bob")
	if n, err := s.rekey(cfg.SealKey); n != 0 || err != nil {
		t.Errorf("Rekey = %d, %v, want 0", n, err)
	}
	s.close()

	cfg.SealKey = secret.New(one + " " + two)
	s.start(cfg)
	if n, err := s.rekey(cfg.SealKey); n != 2 || err != nil {
		t.Errorf("Rekey = %d, %v, want 2", n, err)
	}
	s.close()

	cfg.SealKey = secret.New(one)
	s.start(cfg)
	defer s.close()
	time.Sleep(time.Second)
	s.expect("after the other key is gone", token, "ok")
	s.expect("after the other key is gone", other, "ok")
	if s.providers.reused != 0 {
		t.Errorf("the provider saw %d reuses", s.providers.reused)
	}
}

// TestStoreShowsNoSecret: the store's files contain no token of ours and no
// provider's refresh token in clear.
func TestStoreShowsNoSecret(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	token := s.issue("sso", "alice")
	s.expect("use", token, "ok")
	must(t, session.ExportFlush(t.Context(), s.replicas[0]))
	s.providers.mu.Lock()
	providerToken := s.providers.accounts["alice"].providerToken
	s.providers.mu.Unlock()
	for range 2 { // with its journal, and without
		names, err := filepath.Glob(s.file + "*")
		must(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			must(t, err)
			info, err := os.Stat(name)
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("the mode of %s is %v", name, info.Mode())
			}
			for _, secret := range []string{token.Reveal(), token.Reveal()[5:30], providerToken} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s shows a secret", name)
				}
			}
		}
		s.close()
	}
}
