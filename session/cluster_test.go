package session_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

const service = "registry"

var laptop = session.Client{ID: "docker", UserAgent: "docker/28"}

// cluster is replicas that share one store.
type cluster struct {
	t         *testing.T
	providers *fakeProviders
	file      string
	replicas  []*session.Sessions
}

func newCluster(t *testing.T, replicas int, cfg session.Config) *cluster {
	t.Helper()
	s := &cluster{t: t, providers: newFakeProviders(), file: newStoreFile(t)}
	for range replicas {
		s.start(cfg)
	}
	return s
}

// emptyStore returns the file of an empty store. Tests copy it, since making
// the tables takes a second under the race detector.
var emptyStore = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "session")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "data", "shorepass.db")
	store, err := sqlite.Open(context.Background(), file)
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// newStoreFile makes an empty store, and returns its file.
func newStoreFile(t *testing.T) string {
	t.Helper()
	text, err := emptyStore()
	must(t, err)
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	must(t, os.Mkdir(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file, text, 0o600))
	return file
}

// start adds a replica. close closes it.
func (c *cluster) start(cfg session.Config) *session.Sessions {
	c.t.Helper()
	store, err := sqlite.Open(c.t.Context(), c.file)
	must(c.t, err)
	return c.startOn(store, cfg)
}

// startWithClock adds a replica whose store's clock has an offset.
func (c *cluster) startWithClock(ahead time.Duration) *session.Sessions {
	c.t.Helper()
	store, err := sqlite.Open(c.t.Context(), c.file)
	must(c.t, err)
	return c.startOn(clock{store, ahead}, session.Config{})
}

// clock is a store whose clock has an offset.
type clock struct {
	*sqlite.Store
	ahead time.Duration
}

func (c clock) Now(context.Context) (time.Time, error) { return time.Now().Add(c.ahead), nil }

// startOn adds a replica on a store.
func (c *cluster) startOn(store session.Store, cfg session.Config) *session.Sessions {
	c.t.Helper()
	return c.startFor(store, cfg, c.providers)
}

// startFor adds a replica on a store, with these providers.
func (c *cluster) startFor(store session.Store, cfg session.Config, p session.Providers) *session.Sessions {
	c.t.Helper()
	sessions, err := session.New(c.t.Context(), cfg.WithDefaults(), store, p, slog.New(slog.NewTextHandler(c.t.Output(), nil)))
	must(c.t, err)
	c.replicas = append(c.replicas, sessions)
	return sessions
}

// rekey runs Rekey while the replicas run.
func (c *cluster) rekey(ring secret.Text) (int, error) {
	c.t.Helper()
	store, err := sqlite.Open(c.t.Context(), c.file)
	must(c.t, err)
	defer store.Close()
	keys, err := session.ParseKeys(ring)
	must(c.t, err)
	return session.Rekey(c.t.Context(), store, keys)
}

// close closes all replicas. In a synctest bubble it must be called before the
// bubble ends.
func (c *cluster) close() {
	for _, r := range c.replicas {
		if err := r.Close(); err != nil {
			c.t.Error(err)
		}
	}
	c.replicas = nil
}

// issue logs a person in at the first replica.
func (c *cluster) issue(provider, subject string) secret.Text {
	c.t.Helper()
	token, _, err := c.replicas[0].Issue(c.t.Context(), c.providers.login(provider, subject), service, laptop)
	must(c.t, err)
	return token
}

// redeem redeems a refresh token at the first replica.
func (c *cluster) redeem(token secret.Text) (*session.Session, error) {
	return c.replicas[0].Redeem(c.t.Context(), token, service, laptop, session.KindRefresh)
}

// outcome returns the status that a client sees: "ok", "401" or "503".
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, providers.ErrUnavailable):
		return "503"
	case errors.Is(err, session.ErrRefused):
		return "401"
	}
	return err.Error()
}

// expect redeems a token and checks the outcome.
func (c *cluster) expect(when string, token secret.Text, want string) {
	c.t.Helper()
	if _, err := c.redeem(token); outcome(err) != want {
		c.t.Errorf("%s: Redeem = %v, want %s", when, err, want)
	}
}

// endReason returns why a session ended, or "".
func (c *cluster) endReason(token secret.Text) session.Reason {
	c.t.Helper()
	all, err := c.replicas[0].Admin().List(c.t.Context(), session.Selector{Ended: true})
	must(c.t, err)
	for _, one := range all {
		if one.ID == session.ExportID(token) {
			return one.Reason
		}
	}
	c.t.Fatal("the session is not in the list")
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
