package pages

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/registry"
	"shorepass/session"
)

// form returns a form that makes a token, with fields changed.
func newTokenForm(changes ...string) url.Values {
	form := url.Values{"name": {"laptop"}, "service": {"registry"}, "repositories": {"team-a/app\r\nteam-a/lib/**\r\n"}, "pull": {"on"}, "lifetime": {"7d"}}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			form.Del(changes[i])
		} else {
			form.Set(changes[i], changes[i+1])
		}
	}
	return form
}

// newToken makes a token.
func (b *meBrowser) newToken(form url.Values) (secret.Text, string) {
	b.t.Helper()
	r := b.do(http.MethodPost, "/me/new-token", form)
	page := string(r.Body)
	found := regexp.MustCompile(`sp_p_[0-9A-Za-z]+`).FindAllString(page, -1)
	if r.Status != http.StatusOK || len(found) != 1 {
		b.t.Fatalf("POST /me/new-token: %d with %d tokens, want one\n%s", r.Status, len(found), page)
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		b.t.Errorf("Cache-Control: %s, want no-store", got)
	}
	return secret.New(found[0]), page
}

// TestNewToken: a token is made as the form says, and shown once.
func TestNewToken(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	if page := web.get("/me/new-token?service=registry"); !strings.Contains(page, `<option value="registry" selected>registry.corp.example</option>`) || strings.Contains(page, "internal") {
		t.Errorf("the form does not have the service that the query names:\n%s", page)
	}
	token, page := web.newToken(newTokenForm())
	made, err := s.sessions.Redeem(t.Context(), token, "registry", laptop, session.KindPAT)
	must(t, err)
	if made.Limits != `{"actions":["pull"],"repositories":["team-a/app","team-a/lib/**"],"services":["registry"]}` || made.Identity.User != "alice" {
		t.Errorf("made %+v", made)
	}
	if got := time.Until(made.Expires).Round(time.Minute); got != 7*24*time.Hour {
		t.Errorf("it ends in %v, want 7 days", got)
	}
	record := web.visit.Record
	if record.Action != ActionAccessToken || record.Target == nil || record.Target.ID != made.ID || record.Session.ID != web.ID || record.Identity.User != "alice" {
		t.Errorf("record %+v", record)
	}
	expires := "expires=" + web.visit.Now.Add(7*24*time.Hour).UTC().Format(time.RFC3339)
	if want := []string{"service=registry", "repository=team-a/app", "repository=team-a/lib/**", "action=pull", expires}; !slices.Equal(record.Asked, want) {
		t.Errorf("the record has asked %q, want %q", record.Asked, want)
	}
	if want := "Good for registry.corp.example, team-a/app, team-a/lib/**, pull Ends in 7 days What this token can do today: team-a/app, team-a/lib/** : pull · registry.corp.example This follows"; !strings.Contains(text(page), want) {
		t.Errorf("the page lacks %q:\n%s", want, text(page))
	}
	list := text(web.get("/me"))
	if want := "Access token “laptop” registry.corp.example, team-a/app, team-a/lib/**, pull Made just now"; !strings.Contains(list, want) || strings.Contains(list, "sp_p_") {
		t.Errorf("the list lacks %q, or has the token:\n%s", want, list)
	}
}

// Limits never grant: a token for everything may do what its person may do, and no more.
func TestTokenLimitsNeverGrant(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	token, _ := s.signIn(member("alice")).newToken(newTokenForm("service", "", "repositories", "**", "push", "on", "delete", "on"))
	made, err := s.sessions.Redeem(t.Context(), token, "registry", laptop, session.KindPAT)
	must(t, err)
	limits, err := policy.ParseLimits(made.Limits)
	must(t, err)
	scopes, err := registry.ParseScopes([]string{"repository:team-a/app:pull,push,delete", "repository:team-b/app:pull,push,delete"})
	must(t, err)
	got := limits.Narrow("registry", s.policy.Decide(policy.Request{User: "alice", Groups: made.Identity.Groups, Provider: "corp", Service: "registry", Scopes: scopes}))
	if len(got.Access) != 1 || got.Access[0].Name != "team-a/app" || strings.Join(got.Access[0].Actions, ",") != "pull,push" {
		t.Errorf("granted %+v, want pull and push in team-a/app", got.Access)
	}
}

// TestTokenPreview: the form shows what a token could do today, and makes none.
func TestTokenPreview(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	for _, tc := range []struct {
		name string
		user string
		form url.Values
		want string
	}{
		{"some of the person's rights", "alice", newTokenForm("preview", "1", "delete", "on"), "What this token can do today: team-a/app, team-a/lib/** : pull · registry.corp.example This follows"},
		{"all of them", "alice", newTokenForm("preview", "1", "service", "", "repositories", "", "push", "on"), "What this token can do today: team-a/** : pull, push This follows"},
		{"wider than them", "alice", newTokenForm("preview", "1", "service", "", "repositories", "**", "push", "on", "delete", "on"), "What this token can do today: team-a/** : pull, push This follows"},
		{"none of them", "alice", newTokenForm("preview", "1", "repositories", "team-b/**"), "This token can do nothing today"},
		{"a person without rights", "bob", newTokenForm("preview", "1"), "This token can do nothing today"},
		{"a rule about tokens", "carol", newTokenForm("preview", "1", "service", "", "repositories", ""), "What this token can do today: tokens/carol/** : pull This follows"},
	} {
		id := member(tc.user)
		if tc.user != "alice" {
			id.Groups = []string{"authenticated"}
		}
		web := s.signIn(id)
		r := web.do(http.MethodPost, "/me/new-token", tc.form)
		page := string(r.Body)
		if r.Status != http.StatusOK || !strings.Contains(text(page), tc.want) || !strings.Contains(page, `value="laptop"`) || strings.Contains(page, "sp_p_") {
			t.Errorf("%s: status %d, want %q\n%s", tc.name, r.Status, tc.want, text(page))
		}
		if web.visit.Record.Action != "" || len(s.live(id)) != 1 && tc.user != "alice" {
			t.Errorf("%s: a preview has made a token", tc.name)
		}
	}
	for _, one := range s.live(member("alice")) {
		if all, _ := s.sessions.Admin().List(t.Context(), session.Selector{ID: one}); all[0].Kind != session.KindBrowser {
			t.Errorf("a preview has made %+v", all[0])
		}
	}
}

// TestTokenFormIsRefused: bad input gets the form again, with a sentence at the field and
// nothing lost.
func TestTokenFormIsRefused(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	long := strings.Repeat("x", maxTokenName+1)
	for _, tc := range []struct {
		name    string
		changes []string
		want    string // the sentence
	}{
		{"no name", []string{"name", ""}, "Give it a name, so that you know it again in the list."},
		{"a blank name", []string{"name", "  "}, "Give it a name, so that you know it again in the list."},
		{"a long name", []string{"name", long}, "The name is too long."},
		{"a name of 60 letters that are two bytes each", []string{"name", strings.Repeat("ü", 60)}, "The name is too long. Shorten it."},
		{"a huge name", []string{"name", strings.Repeat(long, 1000)}, "The name is too long."},
		{"a name with a control character", []string{"name", "a\x00b"}, "The name has characters that cannot be shown."},
		{"a name with a bidi override", []string{"name", "a\u202eb"}, "The name has characters that cannot be shown."},
		{"a name that is not UTF-8", []string{"name", "a\xff"}, "The name has characters that cannot be shown."},
		{"an unknown service", []string{"service", "other"}, "This registry is not known any more."},
		{"a service without hosts", []string{"service", "internal"}, "This registry is not known any more."},
		{"a host in the repository", []string{"repositories", "registry.corp.example:5000/team/app"}, "“registry.corp.example:5000/team/app” cannot be a repository."},
		{"a host without a port in the repository", []string{"repositories", "r.corp.example/team/app"}, "“r.corp.example/team/app” cannot be a repository."},
		{"a tag", []string{"repositories", "team/app:latest"}, "cannot be a repository."},
		{"capitals", []string{"repositories", "ok\nTeam/app"}, "“Team/app” cannot be a repository."},
		{"a placeholder", []string{"repositories", "{user}/**"}, "cannot be a repository."},
		{"three stars", []string{"repositories", "team/***"}, "cannot be a repository."},
		{"too many repositories", []string{"repositories", manyRepositories(1000)}, "These are too many."},
		{"no action", []string{"pull", ""}, "Choose at least one."},
		{"no lifetime", []string{"lifetime", ""}, "Choose how long it lasts."},
		{"a lifetime that is not offered", []string{"lifetime", "365d"}, "Choose how long it lasts."},
		{"a negative lifetime", []string{"lifetime", "-7d"}, "Choose how long it lasts."},
		{"no date", []string{"lifetime", "date"}, "Give the date as year-month-day."},
		{"a date of another form", []string{"lifetime", "date", "date", "31.12.2026"}, "Give the date as year-month-day."},
		{"yesterday", []string{"lifetime", "date", "date", time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)}, "This day is over."},
		{"in a year", []string{"lifetime", "date", "date", time.Now().UTC().AddDate(1, 0, 0).Format(time.DateOnly)}, "The last possible day is"},
		{"year 9999", []string{"lifetime", "date", "date", "9999-12-31"}, "The last possible day is"},
	} {
		form := newTokenForm(tc.changes...)
		r := web.do(http.MethodPost, "/me/new-token", form)
		page := string(r.Body)
		if r.Status != http.StatusBadRequest || !strings.Contains(text(page), tc.want) || strings.Contains(page, "sp_p_") {
			t.Errorf("%s: status %d, want 400 and %q\n%s", tc.name, r.Status, tc.want, text(page))
		}
		if got := strings.Count(page, `role="alert"`); got != 1 {
			t.Errorf("%s: %d sentences, want one", tc.name, got)
		}
		for _, kept := range []string{`value="` + html.EscapeString(strings.TrimSpace(form.Get("name"))) + `"`, `name="pull" checked`} {
			if tc.changes[0] != "pull" && !strings.Contains(tc.name, "UTF-8") && !strings.Contains(tc.name, "control") && !strings.Contains(page, kept) {
				t.Errorf("%s: the form has lost %.100s", tc.name, kept)
			}
		}
		if web.visit.Record.Action != "" {
			t.Errorf("%s: record %+v, want none", tc.name, web.visit.Record)
		}
	}
	page := text(string(web.do(http.MethodPost, "/me/new-token", url.Values{}).Body))
	for _, want := range []string{"Give it a name", "Choose at least one.", "Choose how long"} {
		if !strings.Contains(page, want) {
			t.Errorf("the empty form lacks %q:\n%s", want, page)
		}
	}
	if got := s.live(member("alice")); len(got) != 1 {
		t.Errorf("made were %d tokens", len(got)-1)
	}
}

func manyRepositories(n int) string {
	var all strings.Builder
	for i := range n {
		all.WriteString("team/app")
		all.WriteString(strings.Repeat("x", i%50+1))
		all.WriteString(strings.Repeat("y", i/50+1) + "\n")
	}
	return all.String()
}

// A token needs a fresh session, and a POST of our own pages.
func TestTokenNeedsAFreshSession(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	web.later = 10*time.Minute + 5*time.Second
	if r := web.do(http.MethodGet, "/me/new-token", nil); r.Status != http.StatusSeeOther || r.Location != "/login?hint=&provider=corp&to=new-token" && r.Location != "/login?provider=corp&to=new-token" {
		t.Errorf("GET: %d to %q, want to sign in and back", r.Status, r.Location)
	}
	if r := web.do(http.MethodPost, "/me/new-token", newTokenForm()); r.Status != http.StatusUnauthorized {
		t.Errorf("POST: %d, want 401", r.Status)
	}
	web.later, web.site = 0, "cross-site"
	if r := web.do(http.MethodPost, "/me/new-token", newTokenForm()); r.Status != http.StatusForbidden {
		t.Errorf("POST from another site: %d, want 403", r.Status)
	}
	if got := s.live(member("alice")); len(got) != 1 {
		t.Errorf("made were %d tokens", len(got)-1)
	}
}

// endingSessions are sessions of which each ends just after it was redeemed.
type endingSessions struct{ *testSessions }

func (s endingSessions) Redeem(ctx context.Context, token secret.Text, service string, client session.Client, kinds ...session.Kind) (*session.Session, error) {
	found, err := s.testSessions.Redeem(ctx, token, service, client, kinds...)
	if err == nil {
		_, err = s.Admin.Revoke(ctx, session.Selector{ID: found.ID}, "an operator")
	}
	return found, err
}

// A session that ends while its request is in progress makes nothing.
func TestSessionEndsMeanwhile(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	s.options.Sessions = endingSessions{s.options.Sessions.(*testSessions)}
	for target, form := range map[string]url.Values{"/me/new-token": newTokenForm(), "/me/one-time": {"service": {"registry"}}} {
		web := s.signIn(member("alice"))
		r := web.do(http.MethodPost, target, form)
		if page := string(r.Body); r.Status != http.StatusUnauthorized || strings.Contains(page, "sp_") || web.visit.Record.Err == nil || web.visit.Record.Target != nil {
			t.Errorf("%s: status %d, record %+v\n%s", target, r.Status, web.visit.Record, text(page))
		}
	}
	if got := s.live(member("alice")); len(got) != 0 {
		t.Errorf("made were %v", got)
	}
}

// A token that ends earlier than its form says is shown with that end, and why.
func TestTokenEndsEarlier(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	id := member("alice")
	id.RefreshToken = secret.Text{}
	web := s.signIn(id)
	if page := text(web.get("/me/new-token")); !strings.Contains(page, "ends 12 hours after you make it") {
		t.Errorf("the form does not say so:\n%s", page)
	}
	if _, page := web.newToken(newTokenForm()); !strings.Contains(text(page), "Ends in 12 hours It ends earlier than you chose") {
		t.Errorf("the page does not say so:\n%s", text(page))
	}
	if _, page := s.signIn(member("bob")).newToken(newTokenForm()); strings.Contains(page, "earlier") {
		t.Errorf("the page says so where it is not so:\n%s", text(page))
	}
}

// At the bound of a person's tokens the form says so.
func TestTooManyTokens(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	for range 50 {
		web.newToken(newTokenForm())
	}
	r := web.do(http.MethodPost, "/me/new-token", newTokenForm())
	if page := text(string(r.Body)); r.Status != http.StatusConflict || !strings.Contains(page, "You have as many access tokens as one person can have.") {
		t.Errorf("the 51st: status %d\n%s", r.Status, page)
	}
	if record := web.visit.Record; record.Action != ActionAccessToken || record.Err == nil || record.Target != nil {
		t.Errorf("record %+v", record)
	}
}

// TestLifetimes: what is offered, and what a date stands for.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		longest time.Duration // session.pat_lifetime
		form    tokenForm
		want    time.Duration // 0 for a fault
	}{
		{90 * day, tokenForm{Lifetime: "7d"}, 7 * day},
		{90 * day, tokenForm{Lifetime: "90d"}, 90 * day},
		{60 * day, tokenForm{Lifetime: "60d"}, 60 * day},
		{60 * day, tokenForm{Lifetime: "90d"}, 0},
		{12 * time.Hour, tokenForm{Lifetime: "12h"}, 12 * time.Hour},
		{12 * time.Hour, tokenForm{Lifetime: "7d"}, 0},
		{365 * day, tokenForm{Lifetime: "365d"}, 365 * day},
		{90 * day, tokenForm{Lifetime: "date", Date: "2026-03-01"}, 12 * time.Hour},
		{90 * day, tokenForm{Lifetime: "date", Date: "2026-03-31"}, 30*day + 12*time.Hour},
		{90 * day, tokenForm{Lifetime: "date", Date: "2026-05-30"}, 90 * day},
		{90 * day, tokenForm{Lifetime: "date", Date: "2026-05-31"}, 0},
		{90 * day, tokenForm{Lifetime: "date", Date: "2026-02-28"}, 0},
		{90 * day, tokenForm{Lifetime: "date", Date: "2026-02-30"}, 0},
	} {
		p := &Pages{Options: Options{Session: session.Config{PATLifetime: tc.longest}}}
		if got, fault := p.readLifetime(english, tc.form, now); got != tc.want || (fault == "") != (tc.want > 0) {
			t.Errorf("%v at most, %+v: %v, %q, want %v", tc.longest, tc.form, got, fault, tc.want)
		}
		if _, fault := p.readLifetime(english, tokenForm{Lifetime: p.defaultLifetime()}, now); fault != "" {
			t.Errorf("%v at most: the default is refused: %s", tc.longest, fault)
		}
	}
}

// TestTokenLines runs the lines of the page in a shell, in which each tool is a script that
// writes down its arguments and its standard input.
func TestTokenLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := "#!/bin/sh\nprintf '%s' \"${0##*/}\"\nprintf ' <%s>' \"$@\"\n[ \"${0##*/}\" = kubectl ] || printf ' reads %s' \"$(cat)\"\necho\n"
	for _, tool := range []string{"podman", "skopeo", "buildah", "helm", "oras", "crane", "regctl", "docker", "kubectl"} {
		must(t, os.WriteFile(filepath.Join(dir, tool), []byte(script), 0o755))
	}
	run := func(line, stdin string) string {
		t.Helper()
		command := exec.Command("sh", "-c", line)
		command.Dir, command.Env, command.Stdin = dir, []string{"HOME=" + dir, "PATH=" + dir + ":/usr/bin:/bin", "REGISTRY_TOKEN=sp_p_x"}, strings.NewReader(stdin)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	s := newMeSite(t)
	token, page := s.signIn(member(`o'brien $HOME \ "x"`)).newToken(newTokenForm())
	var lines []string
	for _, found := range regexp.MustCompile(`(?s)<div class="line"><code[^>]*>(.*?)</code>`).FindAllStringSubmatch(page, -1) {
		lines = append(lines, html.UnescapeString(found[1]))
	}
	if lines[0] != token.Reveal() || strings.Contains(strings.Join(lines[1:], "\n"), token.Reveal()) {
		t.Errorf("a line has the token: %q", lines)
	}
	run(lines[1], token.Reveal()+"\n")
	if found, err := os.Stat(filepath.Join(dir, ".registry-token")); err != nil || found.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", lines[1], found, err)
	}
	const user = `<o'brien $HOME \ "x">`
	reads := " <registry.corp.example> reads " + token.Reveal() + "\n"
	for i, want := range []string{
		"podman <login> <-u> " + user + " <--password-stdin>" + reads,
		"skopeo <login> <-u> " + user + " <--password-stdin>" + reads,
		"buildah <login> <-u> " + user + " <--password-stdin>" + reads,
		"helm <registry> <login> <-u> " + user + " <--password-stdin>" + reads,
		"oras <login> <-u> " + user + " <--password-stdin>" + reads,
		"crane <auth> <login> <-u> " + user + " <--password-stdin>" + reads,
		"regctl <registry> <login> <-u> " + user + " <--pass-stdin>" + reads,
		"docker <login> <-u> " + user + " <--password-stdin>" + reads,
	} {
		if got := run(lines[i+2], ""); got != want {
			t.Errorf("%s\ngives %s\nwant  %s", lines[i+2], got, want)
		}
	}
	github, gitlab, kubernetes := lines[11], lines[12], lines[13]
	var steps []struct {
		Uses string
		With map[string]string
	}
	must(t, yaml.Unmarshal([]byte(github), &steps))
	if len(steps) != 1 || steps[0].With["username"] != user[1:len(user)-1] || steps[0].With["registry"] != "registry.corp.example" || steps[0].With["password"] != "${{ secrets.REGISTRY_TOKEN }}" {
		t.Errorf("GitHub Actions: %+v", steps)
	}
	var job struct {
		BeforeScript []string `yaml:"before_script"`
	}
	must(t, yaml.Unmarshal([]byte(gitlab), &job))
	if got, want := run(job.BeforeScript[0], ""), "docker <login> <-u> "+user+" <--password-stdin> <registry.corp.example> reads sp_p_x\n"; got != want {
		t.Errorf("GitLab CI:\n%s\nwant\n%s", got, want)
	}
	must(t, os.WriteFile(filepath.Join(dir, "registry-auth.json"), nil, 0o600)) // as podman does
	if got, want := run(kubernetes, ""), "podman <login> <-u> "+user+" <--authfile> <registry-auth.json> <--password-stdin>"+reads+
		"kubectl <create> <secret> <docker-registry> <registry-token> <--from-file=.dockerconfigjson=registry-auth.json>\n"; got != want {
		t.Errorf("Kubernetes:\n%s\nwant\n%s", got, want)
	}
	run(lines[10], "")
	if _, err := os.Stat(filepath.Join(dir, ".registry-token")); err == nil {
		t.Errorf("%q leaves the file", lines[10])
	}
}
