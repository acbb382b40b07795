package session

import (
	"testing"
	"time"

	"shorepass/providers"
)

// TestEndOfLife checks the timeouts of each kind.
func TestEndOfLife(t *testing.T) {
	cfg := Config{}.WithDefaults()
	for _, tc := range []struct {
		name    string
		kind    Kind
		method  providers.Method
		answer  Answer
		age     time.Duration
		used    time.Duration // ago; 0 is never
		chosen  time.Duration // its lifetime; 0 is the longest
		over    time.Duration // when it is over, after its making
		becomes Reason
	}{
		{"refresh, never used", KindRefresh, "password", 0, day, 0, 0, 7 * day, ReasonUnused},
		{"refresh, idle", KindRefresh, "password", 0, 100 * day, 10 * day, 0, 180 * day, ReasonIdle},
		{"refresh, in use", KindRefresh, "password", 0, 300 * day, day, 0, 365 * day, ReasonExpired},
		{"refresh, by an ID token", KindRefresh, providers.MethodIDToken, 0, time.Minute, 0, 0, time.Hour, ReasonExpired},
		{"refresh, cannot be asked again", KindRefresh, "password", AnswerNever, time.Hour, time.Minute, 0, 12 * time.Hour, ReasonExpired},
		{"browser, never used", KindBrowser, "password", 0, time.Hour, 0, 0, 8 * time.Hour, ReasonUnused},
		{"browser, idle", KindBrowser, "password", 0, 10 * time.Hour, 5 * time.Hour, 0, 13 * time.Hour, ReasonIdle},
		{"browser, in use", KindBrowser, "password", 0, 20 * time.Hour, time.Minute, 0, day, ReasonExpired},
		{"browser, cannot be asked again", KindBrowser, "password", AnswerNever, 10 * time.Hour, time.Minute, 0, 12 * time.Hour, ReasonExpired},
		{"PAT, never used", KindPAT, "password", 0, 80 * day, 0, 0, 90 * day, ReasonExpired},
		{"PAT, as chosen", KindPAT, "password", 0, day, 0, 10 * day, 10 * day, ReasonExpired},
		{"PAT, chosen too long", KindPAT, "password", 0, day, day, 400 * day, 90 * day, ReasonExpired},
		{"PAT, cannot be asked again", KindPAT, "password", AnswerNever, time.Hour, 0, 0, 12 * time.Hour, ReasonExpired},
		{"robot, never used", KindRobot, "robot", 0, 300 * day, 0, 0, 365 * day, ReasonExpired},
		{"robot, as chosen", KindRobot, "robot", 0, day, 0, 30 * day, 30 * day, ReasonExpired},
		{"one-time", KindOneTime, "password", 0, time.Minute, 0, 0, 10 * time.Minute, ReasonExpired},
	} {
		row := &Row{Kind: tc.kind, Login: Login{Method: tc.method}, SignIn: SignIn{LastAnswer: tc.answer}, Created: noon, Expires: noon.Add(1000 * day)}
		if tc.chosen > 0 {
			row.Expires = noon.Add(tc.chosen)
		}
		if tc.used > 0 {
			row.LastUsed = noon.Add(tc.age - tc.used)
		}
		for after, want := range map[time.Duration]Reason{tc.age: "", tc.over - time.Millisecond: "", tc.over: tc.becomes} {
			if got := cfg.endOfLife(row, 0, noon.Add(after)); got != want {
				t.Errorf("%s, after %v: endOfLife = %q, want %q", tc.name, after, got, want)
			}
		}
	}
}

// TestReauthenticate: a session of any kind ends so long after the person signed in at
// the provider, whatever its own lifetime (D15).
func TestReauthenticate(t *testing.T) {
	cfg := Config{}.WithDefaults()
	for _, tc := range []struct {
		name           string
		kind           Kind
		signedIn       time.Duration // before the session was made
		reauthenticate time.Duration
		stored         time.Duration // Expires, after its making
		expires        time.Duration // after its making
		becomes        Reason
	}{
		{"no limit", KindRefresh, 0, 0, 365 * day, 365 * day, ReasonExpired},
		{"a limit", KindRefresh, 0, day, 365 * day, day, ReasonSignIn},
		{"signed in before", KindRefresh, 20 * time.Hour, day, 365 * day, 4 * time.Hour, ReasonSignIn},
		{"signed in too long ago", KindRefresh, 2 * day, day, 365 * day, -day, ReasonSignIn},
		{"stored with the limit", KindRefresh, 0, day, day, day, ReasonSignIn},
		{"stored with another limit", KindRefresh, 0, 7 * day, day, day, ReasonExpired},
		{"longer than its lifetime", KindBrowser, 0, 7 * day, day, day, ReasonExpired},
		{"browser", KindBrowser, 0, time.Hour, day, time.Hour, ReasonSignIn},
		{"PAT", KindPAT, time.Hour, day, 90 * day, 23 * time.Hour, ReasonSignIn},
		{"one-time", KindOneTime, 23*time.Hour + 55*time.Minute, day, 10 * time.Minute, 5 * time.Minute, ReasonSignIn},
	} {
		row := &Row{Kind: tc.kind, Login: Login{Method: "password", Time: noon.Add(-tc.signedIn)}, Created: noon, Expires: noon.Add(tc.stored)}
		if got := cfg.expires(row, tc.reauthenticate).Sub(noon); got != tc.expires {
			t.Errorf("%s: it expires after %v, want %v", tc.name, got, tc.expires)
		}
		row.LastUsed = noon.Add(tc.expires)
		for after, want := range map[time.Duration]Reason{tc.expires - time.Millisecond: "", tc.expires: tc.becomes} {
			if got := cfg.endOfLife(row, tc.reauthenticate, noon.Add(after)); got != want {
				t.Errorf("%s, after %v: endOfLife = %q, want %q", tc.name, after, got, want)
			}
		}
	}
}
