package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// incorrect is the sentence for a wrong password, as people read it.
const incorrect = "incorrect username or password"

// TestWrongPassword is what each client prints when somebody mistypes, and
// what it leaves behind.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	// docker prints the message at 4xx, and so do crane and oras; skopeo at
	// 401; regctl and containerd never do.
	prints := map[string]*regexp.Regexp{
		"docker":     regexp.MustCompile(`unauthorized: ` + incorrect),
		"skopeo":     regexp.MustCompile(incorrect + `|invalid username/password`),
		"crane":      regexp.MustCompile(`UNAUTHORIZED: ` + incorrect),
		"oras":       regexp.MustCompile(`(?i)unauthorized: ` + incorrect),
		"regctl":     regexp.MustCompile(`unauthorized`),
		"containerd": regexp.MustCompile(`401 Unauthorized`),
	}
	for _, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{})
			r := s.registry(t, d)
			for _, c := range clients() {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					want := prints[strings.Fields(c.name)[0]]
					h := newHome(t)
					got := c.login(t, h, r.host, "alice", secrets.add("wrong password", "alice-is-not-her"))
					if got.ok && !c.proves {
						got = c.pull(t, h, r.host+"/team-alpha/any:1")
					}
					if got.ok || !want.MatchString(got.text) {
						t.Errorf("a wrong password: %v\nwant a failure that prints %v", got, want)
					}
					if stored := h.stored(t, r.host); c.proves && stored != (credentials{}) {
						t.Error("a failed login left something in the config")
					}
				})
			}
		})
	}
}

// TestUnavailable is what each client prints while the store of a provider's
// accounts cannot be asked: a person must not be told that a right password is
// wrong.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{providers: lostDirectory(unusedAddress(t))})
	r := s.registry(t, distributions[1])
	prints := map[string]string{
		"docker":     "503 Service Unavailable",
		"skopeo":     "503 (Service Unavailable)", // a port may hold 503 as well
		"crane":      "UNAVAILABLE: the login cannot be checked right now",
		"oras":       "the login cannot be checked right now",
		"regctl":     "unauthorized", // whatever the status is
		"containerd": "503 Service Unavailable",
	}
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			got := c.login(t, h, r.host, "alice", testUsers()["alice"].password)
			if got.ok && !c.proves {
				got = c.pull(t, h, r.host+"/team-alpha/any:1")
			}
			// Every text holds the want of a client that nobody wrote one for.
			if want := prints[strings.Fields(c.name)[0]]; want == "" || got.ok || !strings.Contains(got.text, want) {
				t.Errorf("a directory that is down: %v\nwant a failure that prints %q", got, want)
			}
			if strings.Contains(got.text, incorrect) {
				t.Errorf("a directory that is down: %v\nwant no word about the password", got)
			}
		})
	}
}
