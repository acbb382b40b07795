package pages

import (
	"net/netip"
	"os"
	"regexp"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

// TestLoginView: what the list shows of one session.
func TestLoginView(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	ci := session.Client{Address: netip.MustParseAddr("2001:db8::9"), UserAgent: "Helm/4.3"}
	web := &session.Session{ID: "web", Identity: &providers.Identity{User: "alice"}}
	p := &Pages{Options: Options{Providers: &fakeProviders{}, Session: session.Config{}.WithDefaults(), Services: []Service{{Name: "registry", Hosts: []string{"registry.corp.example"}}, {Name: "hostless"}}}}
	base := session.Session{ID: "one", Identity: web.Identity, Kind: session.KindRefresh, Service: "registry", Client: laptop, Created: now.Add(-2 * day), Expires: now.Add(100 * day)}
	for _, tc := range []struct {
		name   string
		change func(*session.Session)
		check  func(loginView) bool
	}{
		{"the host of its service", func(s *session.Session) {}, func(l loginView) bool { return l.Where == "registry.corp.example" && l.Used == nil }},
		{"a service without a host", func(s *session.Session) { s.Service = "hostless" }, func(l loginView) bool { return l.Where == "hostless" }},
		{"a service that was removed", func(s *session.Session) { s.Service = "old" }, func(l loginView) bool { return l.Where == "old" }},
		{"every service", func(s *session.Session) { s.Service = "" }, func(l loginView) bool { return l.Where == "" }},
		{"used by what made it", func(s *session.Session) { s.LastUsed, s.Last = now, laptop }, func(l loginView) bool { return l.Used != nil && l.UsedBy == "" }},
		{"used by another", func(s *session.Session) { s.LastUsed, s.Last = now, ci }, func(l loginView) bool { return l.UsedBy == "helm 4.3, 2001:db8::9" }},
		{"used from an unknown address", func(s *session.Session) { s.LastUsed, s.Last.UserAgent = now, "Helm/4.3" }, func(l loginView) bool { return l.UsedBy == "helm 4.3" }},
		{"of this browser", func(s *session.Session) { s.ID = "web" }, func(l loginView) bool { return l.Current && l.Used.Relative == "just now" }},
		{"ends in a week", func(s *session.Session) { s.LastUsed, s.Expires = now, now.Add(7*day) }, func(l loginView) bool { return l.Soon }},
		{"ends in more than a week", func(s *session.Session) { s.LastUsed, s.Expires = now, now.Add(7*day+time.Second) }, func(l loginView) bool { return !l.Soon }},
		{"made for a week", func(s *session.Session) { s.Created, s.Expires = now, now.Add(7*day) }, func(l loginView) bool { return !l.Soon }},
		{"never used", func(s *session.Session) { s.Created = now }, func(l loginView) bool { return l.Unused && l.Ends.Relative == "in 7 days" && !l.Soon }},
		{"used", func(s *session.Session) { s.LastUsed = now }, func(l loginView) bool { return l.Unused && l.Ends.Relative == "in 90 days" && !l.Soon }},
		{"not used for long", func(s *session.Session) { s.LastUsed = now.Add(-84 * day) }, func(l loginView) bool { return l.Unused && l.Ends.Relative == "in 6 days" && l.Soon }},
		{"used, and about to expire", func(s *session.Session) { s.Created, s.LastUsed, s.Expires = now.Add(-99*day), now, now.Add(day) }, func(l loginView) bool { return !l.Unused && l.Ends.Relative == "in 24 hours" && l.Soon }},
		{"a token", func(s *session.Session) { s.Kind, s.Created = session.KindPAT, now }, func(l loginView) bool { return !l.Unused && l.Ends.Relative == "in 3 months" }},
		{"about to end", func(s *session.Session) { s.Reason = session.ReasonStamp }, func(l loginView) bool { return l.Pending == "your password changed" && l.Why == "" }},
		{"ended by itself", func(s *session.Session) { s.Ended, s.Reason = now, session.ReasonIdle }, func(l loginView) bool { return l.Why == "not used for too long" && l.Pending == "" && !l.Soon }},
		{"ended by the person", func(s *session.Session) { s.Ended, s.Reason, s.By = now, session.ReasonRevoked, "alice" }, func(l loginView) bool { return l.Why == "ended by you" }},
		{"ended by signing out", func(s *session.Session) { s.Ended, s.Reason, s.By = now, session.ReasonRevoked, bySignOut }, func(l loginView) bool { return l.Why == "you signed out" }},
		{"ended by an operator", func(s *session.Session) {
			s.Ended, s.Reason, s.By = now, session.ReasonRevoked, "bob"+session.ByOperator
		}, func(l loginView) bool { return l.Why == "ended by bob, an operator" }},
		{"ended at the provider", func(s *session.Session) {
			s.Ended, s.Reason, s.By = now, session.ReasonRevoked, session.ByBackChannelLogout
		}, func(l loginView) bool { return l.Why == "your account provider ended your session" }},
		{"ended with its token", func(s *session.Session) { s.Ended, s.Reason, s.By = now, session.ReasonRevoked, session.ByTokenHolder }, func(l loginView) bool { return l.Why == "ended with its token" }},
		{"ended at the command line", func(s *session.Session) {
			s.Ended, s.Reason, s.By = now, session.ReasonRevoked, "root at the command line"
		}, func(l loginView) bool { return l.Why == "ended by root at the command line" }},
	} {
		one := base
		tc.change(&one)
		if got := p.login(english, &one, web, now); !tc.check(got) {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

// Each reason for which sessions end has a text.
func TestReasons(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../session/life.go")
	must(t, err)
	declared := regexp.MustCompile(`Reason += "(.+)"`).FindAllStringSubmatch(string(source), -1)
	if len(declared) < len(reasonKeys) {
		t.Errorf("session/life.go declares %d reasons, and there are texts for %d", len(declared), len(reasonKeys))
	}
	for _, one := range declared {
		if english.get(reasonKeys[session.Reason(one[1])]) == "" {
			t.Errorf("the reason %q has no text", one[1])
		}
	}
}
