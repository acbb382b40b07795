package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// incorrect is the message for a wrong password.
const incorrect = "incorrect username or password"

// TestWrongPasswordMessage: each client fails with a message about the password,
// and stores no credentials.
func TestWrongPasswordMessage(t *testing.T) {
	t.Parallel()
	// docker, crane and oras print the server's message at 4xx, skopeo at 401,
	// regctl and containerd never.
	messages := map[string]*regexp.Regexp{
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
					want := messages[strings.Fields(c.name)[0]]
					h := newHome(t)
					got := c.login(t, h, r.host, "alice", secrets.add("wrong password", "alice-is-not-her"))
					if got.ok && !c.proves {
						got = c.pull(t, h, r.host+"/team-alpha/any:1")
					}
					if got.ok || !want.MatchString(got.text) {
						t.Errorf("login with a wrong password: %v\nwant a failure that prints %v", got, want)
					}
					if stored := h.stored(t, r.host); c.proves && stored != (credentials{}) {
						t.Error("a failed login stored credentials")
					}
				})
			}
		})
	}
}

// TestUnavailableMessage: while the directory is down, no client's message calls
// the password wrong.
func TestUnavailableMessage(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{providers: lostDirectory(unusedAddress(t))})
	r := s.registry(t, distributions[1])
	messages := map[string]string{
		"docker":     "503 Service Unavailable",
		"skopeo":     "503 (Service Unavailable)", // not 503 alone, which may be part of a port
		"crane":      "UNAVAILABLE: the login cannot be checked right now",
		"oras":       "the login cannot be checked right now",
		"regctl":     "unauthorized", // at any status
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
			// A client without a row has want "", which every text contains.
			if want := messages[strings.Fields(c.name)[0]]; want == "" || got.ok || !strings.Contains(got.text, want) {
				t.Errorf("login while the directory is down: %v\nwant a failure that prints %q", got, want)
			}
			if strings.Contains(got.text, incorrect) {
				t.Errorf("login while the directory is down: %v\nwant no message about the password", got)
			}
		})
	}
}

// TestDenialMessage: clients that print an answer's sentence name the person, the
// repository and server.contact, and the sentence is the same for a repository that
// exists and one that does not.
func TestDenialMessage(t *testing.T) {
	t.Parallel()
	const contact = "the container team, +49 30 1234"
	s := newServer(t, options{server: `contact = "` + contact + `"`})
	for _, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := s.registry(t, d)
			r.seed(t, ociImage(t), "team-alpha/seed:1")
			for _, c := range clients() {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					ct := clientTest{client: c, registry: r}
					want, isCode := "403", true
					switch strings.Fields(c.name)[0] {
					case "docker", "crane", "oras":
						want, isCode = "denied: you are logged in as eve, who has no rights on team-alpha/NAME; check the name, or ask "+contact, false
					case "regctl": // which says "unauthorized", or "forbidden"
						want = ""
					}
					for _, name := range []string{"seed", "none"} {
						got := c.pull(t, ct.loggedInHome(t, "eve"), r.host+"/team-alpha/"+name+":1")
						wanted := strings.ReplaceAll(want, "NAME", name)
						if got.ok || !strings.Contains(strings.ReplaceAll(got.text, "DENIED", "denied"), wanted) {
							t.Errorf("pull team-alpha/%s as eve: %v\nwant a failure that prints %q", name, got, wanted)
						}
						if isCode && strings.Contains(got.text, contact) {
							t.Errorf("%s prints the sentence; the documentation says that it does not", c.name)
						}
					}
				})
			}
		})
	}
}
