package session_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

const day = 24 * time.Hour

func TestRedeem(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	id := s.providers.login("corp", "alice")
	token, made, err := s.replicas[0].Issue(t.Context(), id, service, laptop)
	must(t, err)
	found, err := s.redeem(token)
	must(t, err)
	if found.ID != made.ID || found.Service != service || found.Kind != session.KindRefresh || !found.Token.IsZero() {
		t.Errorf("Redeem = %+v, want what Issue returned, %+v", found, made)
	}
	got := found.Identity
	if got.User != "alice" || got.Provider != "corp" || got.Subject != "alice" || !slices.Equal(got.Groups, id.Groups) ||
		got.Claims["mail"] != "alice@corp.example" || got.Method != providers.MethodPassword || !got.RefreshToken.IsZero() {
		t.Errorf("the identity = %+v, want that of %+v", got, id)
	}
	text := token.Reveal()
	for _, tc := range []struct {
		name, token, service string
		kinds                []session.Kind
	}{
		{"another service", text, "other", []session.Kind{session.KindRefresh}},
		{"no service", text, "", []session.Kind{session.KindRefresh}},
		{"another kind is wanted", text, service, []session.Kind{session.KindPAT, session.KindRobot}},
		{"no kind is wanted", text, service, nil},
		{"empty", "", service, []session.Kind{session.KindRefresh}},
		{"of another kind", "sp_p_" + text[5:], service, []session.Kind{session.KindRefresh, session.KindPAT}},
		{"one letter less", text[:len(text)-1], service, []session.Kind{session.KindRefresh}},
	} {
		if _, err := s.replicas[0].Redeem(t.Context(), secret.New(tc.token), tc.service, laptop, tc.kinds...); outcome(err) != "401" {
			t.Errorf("%s: Redeem = %v, want 401", tc.name, err)
		}
	}
	for kind, method := range map[session.Kind]providers.Method{session.KindPAT: providers.MethodPAT, session.KindRobot: providers.MethodRobot} {
		made, err := session.ExportIssue(t.Context(), s.replicas[0], kind, id, service)
		must(t, err)
		if _, err := s.redeem(made.Token); outcome(err) != "401" {
			t.Errorf("a %s as a refresh token: %v, want 401", kind, err)
		}
		found, err := s.replicas[0].Redeem(t.Context(), made.Token, service, laptop, session.KindRefresh, session.KindPAT, session.KindRobot)
		if err != nil || found.Identity.Method != method || found.Kind != kind {
			t.Errorf("a %s as a password: %+v, %v", kind, found, err)
		}
	}
}

// TestWhatEndsASession: each row is what happens to one session, and the
// outcomes that its client gets.
func TestWhatEndsASession(t *testing.T) {
	type at struct {
		after  time.Duration // since the row before
		change func(*account)
		down   bool
		want   string
	}
	keep := func(*account) {}
	set := func(missing, disabled, locked bool, stamp string) func(*account) {
		return func(a *account) { a.missing, a.disabled, a.locked, a.stamp = missing, disabled, locked, stamp }
	}
	fine := set(false, false, false, "s1")
	for _, tc := range []struct {
		name, provider string
		method         providers.Method
		life           []at
		why            session.Reason
	}{
		{"used each hour until its end", "corp", providers.MethodPassword, repeat(at{time.Hour, keep, false, "ok"}, 5), ""},
		{"after its lifetime", "corp", providers.MethodPassword, append(repeat(at{time.Hour, keep, false, "ok"}, 5), at{time.Hour, keep, false, "401"}), session.ReasonExpired},
		{"never used", "corp", providers.MethodPassword, []at{{2 * time.Hour, keep, false, "401"}}, session.ReasonUnused},
		{"used just in time", "corp", providers.MethodPassword, []at{{2*time.Hour - time.Second, keep, false, "ok"}, {3*time.Hour - time.Second, keep, false, "ok"}}, ""},
		{"idle", "corp", providers.MethodPassword, []at{{time.Second, keep, false, "ok"}, {3 * time.Hour, keep, false, "401"}}, session.ReasonIdle},
		{"of a provider that cannot be asked", "file", providers.MethodPassword, []at{{time.Second, keep, false, "ok"}, {time.Hour, keep, false, "ok"}, {2*time.Hour - 2*time.Second, keep, false, "ok"}, {time.Second, keep, false, "401"}}, session.ReasonExpired},
		{"of a CI job", "sso", providers.MethodIDToken, []at{{time.Second, set(true, false, false, ""), false, "ok"}, {time.Hour - 2*time.Second, keep, true, "ok"}, {time.Second, keep, false, "401"}}, session.ReasonExpired},

		{"disabled", "corp", providers.MethodPassword, []at{{4 * time.Minute, set(false, true, false, "s1"), false, "ok"}, {time.Minute, keep, false, "401"}, {14 * time.Minute, keep, false, "401"}}, session.ReasonEnded},
		{"disabled for longer than it takes to be final", "corp", providers.MethodPassword, []at{{4 * time.Minute, set(false, true, false, "s1"), false, "ok"}, {time.Minute, keep, false, "401"}, {20 * time.Minute, fine, false, "401"}}, session.ReasonEnded},
		{"disabled by mistake", "corp", providers.MethodPassword, []at{{4 * time.Minute, set(false, true, false, "s1"), false, "ok"}, {time.Minute, keep, false, "401"}, {29 * time.Second, fine, false, "401"}, {time.Second, keep, false, "ok"}, {time.Hour, keep, false, "ok"}}, ""},
		{"disabled, then locked", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(false, true, false, "s1"), false, "401"}, {time.Minute, set(false, false, true, "s1"), false, "401"}}, session.ReasonEnded},
		{"disabled, then down", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(false, true, false, "s1"), false, "401"}, {time.Minute, keep, true, "401"}}, session.ReasonEnded},
		{"disabled at an OpenID provider", "sso", providers.MethodPassword, []at{{4 * time.Minute, set(false, true, false, "s1"), false, "ok"}, {time.Minute, keep, false, "401"}, {time.Minute, fine, false, "401"}}, session.ReasonEnded},
		{"password changed", "corp", providers.MethodPassword, []at{{4 * time.Minute, set(false, false, false, "s2"), false, "ok"}, {time.Minute, keep, false, "401"}}, session.ReasonStamp},
		{"stamp cannot be read any more", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(false, false, false, ""), false, "ok"}, {5 * time.Minute, fine, false, "ok"}}, ""},
		{"stamp changed while it could not be read", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(false, false, false, ""), false, "ok"}, {5 * time.Minute, set(false, false, false, "s2"), false, "401"}}, session.ReasonStamp},
		{"a lock that lifts by itself", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(false, false, true, "s1"), false, "401"}, {29 * time.Second, fine, false, "401"}, {time.Second, keep, false, "ok"}}, ""},
		{"a lock at a provider that rotates", "sso", providers.MethodPassword, []at{{5 * time.Minute, set(false, false, true, "s1"), false, "401"}, {time.Hour, fine, false, "ok"}}, ""},

		{"gone, and back", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(true, false, false, "s1"), false, "401"}, {30 * time.Minute, keep, false, "401"}, {10 * time.Minute, fine, false, "ok"}}, ""},
		{"gone for longer than grace", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(true, false, false, "s1"), false, "401"}, {59 * time.Minute, keep, false, "401"}, {time.Minute, keep, false, "401"}, {16 * time.Minute, fine, false, "401"}}, session.ReasonGone},
		{"gone for little longer than grace", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(true, false, false, "s1"), false, "401"}, {time.Hour, keep, false, "401"}, {time.Minute, fine, false, "ok"}}, ""},
		{"gone twice, each for less than grace", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(true, false, false, "s1"), false, "401"}, {50 * time.Minute, fine, false, "ok"}, {50 * time.Minute, set(true, false, false, "s1"), false, "401"}, {time.Minute, fine, false, "ok"}}, ""},
		{"gone, then down", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(true, false, false, "s1"), false, "401"}, {time.Minute, keep, true, "503"}, {90 * time.Minute, keep, true, "503"}, {time.Minute, fine, false, "ok"}}, ""},
		{"refused, then down", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(false, false, true, "s1"), false, "401"}, {31 * time.Second, keep, true, "503"}, {40 * time.Minute, keep, true, "503"}, {time.Minute, fine, false, "ok"}, {5 * time.Minute, keep, true, "ok"}}, ""},
		{"grant revoked", "sso", providers.MethodPassword, []at{{5 * time.Minute, set(true, false, false, "s1"), false, "401"}, {time.Hour, keep, false, "401"}}, session.ReasonGone},

		{"down for less than grace", "corp", providers.MethodPassword, []at{{5 * time.Minute, keep, true, "ok"}, {59 * time.Minute, keep, true, "ok"}, {time.Minute, keep, false, "ok"}}, ""},
		{"down for longer", "corp", providers.MethodPassword, []at{{5 * time.Minute, keep, true, "ok"}, {time.Hour, keep, true, "503"}, {time.Second, keep, true, "503"}, {time.Minute, keep, false, "ok"}}, ""},
		{"down when it was disabled", "corp", providers.MethodPassword, []at{{5 * time.Minute, set(false, true, false, "s1"), true, "ok"}, {time.Hour, keep, false, "401"}}, session.ReasonEnded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newCluster(t, 1, session.Config{Lifetime: 6 * time.Hour, Idle: 3 * time.Hour, Unused: 2 * time.Hour, UncheckedLifetime: 3 * time.Hour})
				defer s.close()
				id := s.providers.login(tc.provider, "alice")
				id.Method = tc.method
				token, _, err := s.replicas[0].Issue(t.Context(), id, service, laptop)
				must(t, err)
				for i, step := range tc.life {
					s.providers.change("alice", step.change)
					s.providers.setDown(step.down)
					time.Sleep(step.after)
					s.expect(fmt.Sprintf("step %d", i), token, step.want)
					synctest.Wait() // for revalidations in the background
				}
				if got := s.endReason(token); got != tc.why {
					t.Errorf("it ended for %q, want %q", got, tc.why)
				}
			})
		})
	}
}

func repeat[T any](one T, times int) []T { return slices.Repeat([]T{one}, times) }

// TestOldStampIsRefused: a login with a new password does not keep a session
// alive that was created with the old one.
func TestOldStampIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		old := s.issue("corp", "alice")
		s.providers.change("alice", func(a *account) { a.stamp = "s2" })
		time.Sleep(time.Second)
		fresh := s.issue("corp", "alice")
		s.expect("the new one", fresh, "ok")
		s.expect("the old one", old, "401")
		if got := s.endReason(old); got != session.ReasonStamp {
			t.Errorf("the old one ended for %q", got)
		}
		if n := s.providers.askCount(); n != 0 {
			t.Errorf("the directory was asked %d times, want 0", n)
		}
	})
}

// TestStampThatAppears: an entry shows no stamp before its password is first
// changed. That change cannot be told from a newly granted right to read, and
// ends nothing; the next one does.
func TestStampThatAppears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		s.providers.change("alice", func(a *account) { a.stamp = "" })
		token := s.issue("corp", "alice")
		for _, step := range []struct{ stamp, want string }{{"", "ok"}, {"s1", "ok"}, {"s1", "ok"}, {"s2", "401"}} {
			s.providers.change("alice", func(a *account) { a.stamp = step.stamp })
			time.Sleep(5 * time.Minute)
			s.expect(fmt.Sprintf("with the stamp %q", step.stamp), token, step.want)
		}
		if got := s.endReason(token); got != session.ReasonStamp {
			t.Errorf("it ended for %q, want %q", got, session.ReasonStamp)
		}
	})
}

func TestGroupsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		for _, provider := range []string{"corp", "sso"} {
			token := s.issue(provider, "alice at "+provider)
			for _, groups := range [][]string{{"a", "b"}, {"c"}, nil, {"a"}} {
				s.providers.change("alice at "+provider, func(a *account) { a.groups = groups })
				time.Sleep(5 * time.Minute)
				found, err := s.redeem(token)
				must(t, err)
				if !slices.Equal(found.Identity.Groups, groups) {
					t.Errorf("%s: groups = %q, want %q", provider, found.Identity.Groups, groups)
				}
			}
		}
	})
}

// TestJobsOfOneSubject: two CI jobs with one subject and different claims each
// keep their own claims.
func TestJobsOfOneSubject(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	id := s.providers.login("sso", "repo:org/app")
	id.Method, id.RefreshToken = providers.MethodIDToken, secret.Text{}
	tokens := make(map[string]secret.Text)
	for _, workflow := range []string{"release", "test"} {
		id.Claims = map[string]any{"workflow": workflow}
		token, _, err := s.replicas[0].Issue(t.Context(), id, service, laptop)
		must(t, err)
		tokens[workflow] = token
	}
	for workflow, token := range tokens {
		found, err := s.redeem(token)
		must(t, err)
		if got := found.Identity.Claims["workflow"]; got != workflow {
			t.Errorf("the job %q is %v now", workflow, got)
		}
	}
}

func TestProviderRenamedRemovedOrPointedElsewhere(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	token := s.issue("corp", "alice")
	for _, tc := range []struct{ name, print, want string }{
		{"as it was", "ldap", "ok"},
		{"pointed elsewhere", "ldap of another tenant", "401"},
		{"removed", "", "401"},
		{"put back", "ldap", "ok"},
	} {
		s.providers.mu.Lock()
		s.providers.prints["corp"] = tc.print
		s.providers.mu.Unlock()
		s.expect(tc.name, token, tc.want)
	}
	if got := s.endReason(token); got != "" {
		t.Errorf("it ended for %q", got)
	}
}

// TestReloadAppliesToLiveSessions: a shorter lifetime applies to existing
// sessions.
func TestReloadAppliesToLiveSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		token, other := s.issue("corp", "alice"), s.issue("corp", "bob")
		time.Sleep(time.Hour)
		s.expect("before", token, "ok")
		s.replicas[0].Reload(session.Config{Lifetime: time.Hour}.WithDefaults(), s.providers)
		s.expect("after", token, "401")
		s.replicas[0].Reload(session.Config{}.WithDefaults(), s.providers)
		s.expect("the ended one", token, "401")
		s.expect("the live one", other, "ok")
	})
}

func TestPerPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{PerPerson: 3})
		defer s.close()
		used := s.issue("sso", "alice")
		s.expect("used", used, "ok")
		synctest.Wait()
		var tokens []secret.Text
		for range 4 {
			time.Sleep(time.Second)
			tokens = append(tokens, s.issue("sso", "alice"))
		}
		s.expect("the one that was used, before the others were made", used, "401")
		for i, want := range []string{"401", "ok", "ok", "ok"} {
			s.expect(fmt.Sprint(i), tokens[i], want)
		}
	})
}

func TestShuttingDown(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	token := s.issue("corp", "alice")
	sessions := s.replicas[0]
	s.close()
	must(t, sessions.Close())
	if _, err := sessions.Redeem(context.Background(), token, service, laptop, session.KindRefresh); outcome(err) != "503" {
		t.Errorf("Redeem after Close: %v, want 503", err)
	}
	if err := sessions.Ping(context.Background()); outcome(err) != "503" {
		t.Errorf("Ping after Close: %v, want 503", err)
	}
}

// TestIdleEnd: when a session ends unless it is used, by its kind.
func TestIdleEnd(t *testing.T) {
	cfg := session.Config{}.WithDefaults()
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	used := created.Add(day)
	for _, tc := range []struct {
		session session.Session
		want    time.Time
	}{
		{session.Session{Kind: session.KindRefresh, Created: created}, created.Add(7 * day)},
		{session.Session{Kind: session.KindRefresh, Created: created, LastUsed: used}, used.Add(90 * day)},
		{session.Session{Kind: session.KindBrowser, Created: created}, created.Add(8 * time.Hour)},
		{session.Session{Kind: session.KindBrowser, Created: created, LastUsed: used}, used.Add(8 * time.Hour)},
		{session.Session{Kind: session.KindPAT, Created: created}, time.Time{}},
		{session.Session{Kind: session.KindPAT, Created: created, LastUsed: used}, time.Time{}},
		{session.Session{Kind: session.KindRobot, Created: created}, time.Time{}},
	} {
		if got := cfg.IdleEnd(&tc.session); !got.Equal(tc.want) {
			t.Errorf("IdleEnd(%s, last used %v) = %v, want %v", tc.session.Kind, tc.session.LastUsed, got, tc.want)
		}
	}
}

// TestHasProviderToken: a browser's session knows whether its sign-in got a refresh token.
func TestHasProviderToken(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	for provider, want := range map[string]bool{"corp": false, "file": false, "sso": true} {
		if got := s.logInBrowser(provider, "alice of "+provider).HasProviderToken(); got != want {
			t.Errorf("at %s: %v, want %v", provider, got, want)
		}
	}
}
