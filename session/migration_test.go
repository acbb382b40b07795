package session_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// version1 writes a store with version 1 of the schema.
type version1 struct {
	t    *testing.T
	conn *zombiezen.Conn
	keys *session.Keys
}

func (v *version1) exec(query string, args ...any) {
	v.t.Helper()
	must(v.t, sqlitex.ExecuteTransient(v.conn, query, &sqlitex.ExecOptions{Args: args}))
}

// login writes the session of a login: on the row that the person's logins
// share, or on a row of its own with a sealed refresh token of the provider.
func (v *version1) login(person int64, id *providers.Identity, providerToken secret.Text, ended bool) secret.Text {
	v.t.Helper()
	token := session.ExportNewToken()
	hash, name := session.ExportHash(token)
	facts, provider, err := session.ExportIdentity(id)
	must(v.t, err)
	now, own := time.Now().UnixMilli(), ""
	if !id.RefreshToken.IsZero() {
		own = name
	}
	v.exec(`INSERT OR IGNORE INTO person (id, provider, provider_id, subject, own, user_name, version, stamp, checked, asked, answer, gone, lease)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)`, person, id.Provider, provider, id.Subject, own, id.User, facts.Version[:], id.Stamp, now, now)
	v.exec("INSERT OR IGNORE INTO facts (person, body) VALUES (?, ?)", person, facts.Body)
	at, why := int64(0), ""
	if ended {
		at, why = now, "revoked"
	}
	if own != "" {
		body, err := session.ExportSeal(v.keys, name, id.RefreshToken)
		must(v.t, err)
		v.exec("INSERT INTO renewal (person, token, body, ended, revoked) VALUES (?, ?, ?, ?, ?)", person, hash[:], body, at, ended)
	}
	var answers any
	if !providerToken.IsZero() {
		h := session.ExportProviderTokenHash(providerToken)
		answers = h[:]
	}
	v.exec(`INSERT INTO session (hash, person, kind, method, service, provider_id, stamp, created, expires, used, ended, why, who, upstream)
		VALUES (?, ?, 'refresh', 'password', ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)`,
		hash[:], person, service, provider, id.Stamp, now, now+365*day.Milliseconds(), now, at, why, answers)
	v.exec("INSERT INTO client (hash, address, id, agent) VALUES (?, '192.0.2.7', 'docker', 'docker/28')", hash[:])
	return token
}

// TestMigration: live sessions of the previous schema can be redeemed and
// revalidated with their sealed refresh tokens, and ended ones stay ended.
func TestMigration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cluster{t: t, providers: newFakeProviders(), file: filepath.Join(t.TempDir(), "data", "shorepass.db")}
		defer s.close()
		must(t, os.Mkdir(s.file[:len(s.file)-len("/shorepass.db")], 0o700))
		key := session.NewSealKey()
		keys, err := session.ParseKeys(key)
		must(t, err)
		conn, err := zombiezen.OpenConn(s.file, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
		must(t, err)
		schema, err := os.ReadFile("sqlite/migrations/0001.sql")
		must(t, err)
		must(t, sqlitex.ExecuteScript(conn, string(schema)+"PRAGMA application_id = 0x73687073; PRAGMA user_version = 1;", nil))
		v := &version1{t, conn, keys}

		alice, bob, carol, dora := s.providers.login("corp", "alice"), s.providers.login("sso", "bob"), s.providers.login("sso", "carol"), s.providers.login("sso", "dora")
		providerToken := secret.New("carol's own")
		first, second := v.login(1, alice, secret.Text{}, false), v.login(1, alice, secret.Text{}, false)
		revoked := v.login(1, alice, secret.Text{}, true)
		openID := v.login(2, bob, secret.Text{}, false)
		v.login(3, carol, providerToken, false)
		ended := v.login(4, dora, secret.Text{}, true)
		must(t, conn.Close())
		must(t, os.Chmod(s.file, 0o600))

		s.start(session.Config{SealKey: key})
		byProviderToken := func(when string) {
			t.Helper()
			found, made, err := s.replicas[0].RedeemProviderToken(t.Context(), providerToken, service, laptop, func(context.Context) (*providers.Identity, error) { return nil, providers.ErrGone })
			if err != nil || made || found.Identity.User != "carol" {
				t.Errorf("%s: RedeemProviderToken = %+v, %v, %v, want carol's session", when, found, made, err)
			}
		}
		for _, when := range []string{"at the start", "after a revalidation", "after another one"} {
			s.expect(when+": of a directory", first, "ok")
			s.expect(when+": another of the same person", second, "ok")
			s.expect(when+": of an OpenID provider", openID, "ok")
			byProviderToken(when)
			s.expect(when+": one that was revoked", revoked, "401")
			s.expect(when+": one that ended at an OpenID provider", ended, "401")
			time.Sleep(5 * time.Minute)
		}
		if s.providers.askCount() != 6 || s.providers.reused != 0 {
			t.Errorf("the providers were asked %d times, with %d reuses, want twice for each sign-in", s.providers.askCount(), s.providers.reused)
		}
		if want := "sso dora token 0"; len(s.providers.revoked) != 1 || s.providers.revoked[0] != want {
			t.Errorf("revoked refresh tokens = %q, want %q, whose session had ended", s.providers.revoked, want)
		}

		// A login shares the migrated sign-in: another stamp refuses the
		// earlier sessions.
		s.providers.change("alice", func(a *account) { a.stamp = "s2" })
		time.Sleep(time.Second)
		s.expect("a new login", s.issue("corp", "alice"), "ok")
		s.expect("a session of before", first, "401")
		if got := s.endReason(second); got != session.ReasonStamp {
			t.Errorf("another ends for %q, want %q", got, session.ReasonStamp)
		}
	})
}
