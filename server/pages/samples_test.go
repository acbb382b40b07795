package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// sampleNow is the time of the samples.
var sampleNow = time.Date(2026, 11, 27, 7, 0, 0, 0, time.UTC)

// A sample is a page with data as they may come at worst.
type sample struct {
	name string
	make func(*Pages, *Visit) *Response
}

// samples has each template at least once.
var samples = []sample{
	{"problem", func(p *Pages, v *Visit) *Response { return p.Problem(v, providers.ErrUnavailable) }},
	{"problem-lost", func(p *Pages, v *Visit) *Response { return p.Problem(v, errNotFound) }},
	{"logout", func(p *Pages, v *Visit) *Response {
		return p.page(v, 200, "logout", view{Title: v.text.get("logout.title"), Person: "alice", Data: logoutView{Provider: "Corporate account"}})
	}},
	{"signedout", func(p *Pages, v *Visit) *Response { return p.signedOutPage(v, signedOutView{}) }},
	{"signedout-there", func(p *Pages, v *Visit) *Response {
		return p.signedOutPage(v, signedOutView{"Corporate account", "https://idp.corp.example/logout?client_id=registry"})
	}},
	{"signedout-unreachable", func(p *Pages, v *Visit) *Response {
		return p.signedOutPage(v, signedOutView{Provider: "Corporate account"})
	}},
	{"forward", func(p *Pages, v *Visit) *Response {
		return p.page(v, 200, "forward", view{Title: v.text.get("signed_out.title"), Data: forwardView{"Corporate account", "https://idp.corp.example/logout?client_id=registry"}})
	}},
	{"signin", func(p *Pages, v *Visit) *Response {
		return p.page(v, 200, "signin", view{Title: v.text.get("sign_in.title"), Data: signInView{
			Providers: []providerChoice{{Label: "Corporate account", URL: "/login?provider=sso", Last: true}, {Label: "Partners of Example Corp (Keycloak)", URL: "/login?provider=partners"}}, Form: true,
		}})
	}},
	{"signin-form", func(p *Pages, v *Visit) *Response {
		return p.page(v, 401, "signin", view{Title: v.text.get("sign_in.title"), Data: signInView{
			Form: true, Login: "alice", Refused: v.text.get("sign_in.rejected"),
		}})
	}},
	{"onetime", func(p *Pages, v *Visit) *Response {
		const user, host = "alexandra.montgomery-featherstonehaugh@corp.example", "containers.production.eu-central.corp.example:5000"
		response := p.samplePage(v, "onetime", v.text.get("onetime.title", host), oneTimeView{
			Host: host, Password: "sp_o_" + strings.Repeat("q8vY3kZ0", 6), Docker: loginCommand("docker login", user, host),
			Nerdctl: loginCommand("nerdctl login", user, host), Stdin: loginCommand("docker login", user, host, "--password-stdin"),
		})
		return response
	}},
	{"revoke", func(p *Pages, v *Visit) *Response {
		return p.samplePage(v, "revoke", v.text.get("revoke.title.all"), revokeView{Session: revokeAll, Kinds: []string{v.text.count("revoke.kind.refresh", 1000), v.text.count("revoke.kind.pat", 1)}})
	}},
	{"revoke-nothing", func(p *Pages, v *Visit) *Response {
		return p.samplePage(v, "revoke", v.text.get("revoke.title.others"), revokeView{Session: revokeOthers})
	}},
	{"newtoken", func(p *Pages, v *Visit) *Response {
		return p.tokenFormPage(v, sampleWeb, http.StatusOK, tokenFormView{Form: tokenForm{Pull: true, Lifetime: p.defaultLifetime()}})
	}},
	{"newtoken-preview", func(p *Pages, v *Visit) *Response {
		form := tokenForm{Name: "build server", Service: "eu", Repositories: "team/app", Pull: true, Push: true, Lifetime: untilDate, Date: "2027-01-31"}
		return p.tokenFormPage(v, sampleWeb, http.StatusOK, tokenFormView{Form: form, Preview: &previewView{Rights: sampleRights(v.text)}})
	}},
	{"newtoken-faults", func(p *Pages, v *Visit) *Response {
		form := tokenForm{Name: "build server", Repositories: "team/app\nregistry.corp.example/Team:latest", Lifetime: untilDate, Date: "2025-01-01"}
		_, faults := p.checkToken(v.text, form, v.Now)
		faults.Form = v.text.get("token.too_many")
		return p.tokenFormPage(v, sampleWeb, http.StatusBadRequest, tokenFormView{Form: form, Errors: faults})
	}},
	{"token", func(p *Pages, v *Visit) *Response {
		return p.tokenPage(v, sampleWeb, tokenForm{Service: "eu"}, 180*24*time.Hour, &session.Session{
			Identity: sampleWeb.Identity, Created: v.Now, Label: "Nightly build of the container base images on build-7", Expires: v.Now.Add(90 * 24 * time.Hour),
			Token: secret.New("sp_p_" + strings.Repeat("q8vY3kZ0", 6)),
		}, &previewView{"containers.production.eu-central.corp.example:5000, containers/base-images/**, team/app, pull, push", sampleRights(v.text)})
	}},
	{"me", sampleMe},
	{"rights", func(p *Pages, v *Visit) *Response {
		return p.samplePage(v, "rights", v.text.get("rights.title"), sampleRights(v.text))
	}},
	{"me-first", func(p *Pages, v *Visit) *Response {
		return p.samplePage(v, "me", v.text.get("me.title"), p.sampleMeView(v, 1))
	}},
}

// sampleWeb is the browser's session of the person of the samples.
var sampleWeb = &session.Session{Identity: &providers.Identity{User: "alexandra.montgomery-featherstonehaugh@corp.example"}}

// sampleRights are the rights of that person.
func sampleRights(t *texts) *rightsView {
	return &rightsView{Allow: []rightView{
		{What: "containers/base-images/**, containers/tools/**", Actions: "pull"},
		{What: "team-platform-engineering/**", Where: "containers.production.eu-central.corp.example:5000", Actions: "pull, push, delete", Sometimes: true},
		{What: "sandbox/alexandra.montgomery-featherstonehaugh@corp.example/**", Actions: t.get("rights.everything")},
	}, Deny: []rightView{{What: "**/release", Actions: "push, delete"}}}
}

// samplePage returns the page of a template with its data, for the person of the samples.
func (p *Pages) samplePage(v *Visit, template, title string, data any) *Response {
	return p.page(v, http.StatusOK, template, view{Title: title, Person: "alexandra.montgomery-featherstonehaugh@corp.example", Data: data})
}

// sampleMe has the longest page of logins.
func sampleMe(p *Pages, v *Visit) *Response {
	data := p.sampleMeView(v, loginsPerPage)
	data.Count, data.Older, data.EndedMore, data.HasStamp, data.HasRights = 38, 2, true, true, true
	return p.samplePage(v, "me", v.text.get("me.title"), data)
}

// sampleMeView has that many logins.
func (p *Pages) sampleMeView(v *Visit, logins int) meView {
	data := meView{Provider: "Corporate account", Services: p.serviceViews(), Count: logins}
	all := sampleSessions(logins + endedShown)
	for i := range all {
		l := p.login(v.text, &all[i], &all[0], v.Now)
		l.New = i == 1 || i == 2
		if i < logins {
			data.Logins = append(data.Logins, l)
		} else {
			data.Ended = append(data.Ended, l)
		}
	}
	return data
}

// sampleSessions returns sessions of every kind, of which the last have ended.
func sampleSessions(n int) []session.Session {
	clients := []session.Client{
		{Address: netip.MustParseAddr("10.20.30.40"), UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{Address: netip.MustParseAddr("2001:db8:85a3:8d3:1319:8a2e:370:7348"), ID: "docker", UserAgent: "docker/28.5.1 go/go1.25 git-commit/f8215cc kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/28.5.1 (darwin))"},
		{Address: netip.MustParseAddr("10.20.30.41"), UserAgent: "containers/5.36.2 (github.com/containers/image)"},
		{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Helm/3.19.0"},
	}
	kinds := []session.Kind{session.KindBrowser, session.KindRefresh, session.KindPAT, session.KindPAT, session.KindRefresh}
	labels := []string{"", "", "laptop", "Nightly build of the container base images on build-7", ""}
	all := make([]session.Session, n)
	for i := range all {
		made := sampleNow.Add(-time.Duration(i*i) * 7 * time.Hour).Add(-4 * time.Minute)
		s := session.Session{
			ID: fmt.Sprintf("s%dq8vY3kZ0", i), Kind: kinds[i%5], Service: "registry", Label: labels[i%5], Created: made, Expires: made.Add(90 * 24 * time.Hour),
			Client: clients[i%4], Last: clients[(i+i/3)%4], Identity: &providers.Identity{User: "alice"},
		}
		if s.Kind == session.KindBrowser {
			s.Service = ""
		}
		if i%4 != 2 {
			s.LastUsed = made.Add(sampleNow.Sub(made) / 2)
		}
		if i == 4 {
			s.Reason = session.ReasonEnded
		}
		if i >= n-endedShown {
			s.Ended = sampleNow.Add(-time.Duration(i) * time.Hour)
			s.Reason = []session.Reason{session.ReasonRevoked, session.ReasonStamp, session.ReasonPerPerson}[i%3]
			s.By = "operator@corp.example"
		}
		all[i] = s
	}
	return all
}

// maxPage is the largest page, in bytes.
const maxPage = 20 << 10

// Each page is well-formed and small, and has nothing that the Content-Security-Policy
// stops. With SAMPLES=FOLDER, the pages and their assets are written there, to look at.
func TestSamples(t *testing.T) {
	p, err := New(Options{
		Session: session.Config{}.WithDefaults(), Providers: &fakeProviders{},
		Config: Config{Name: "Example Corp Containers"}.WithDefaults(), Origin: &url.URL{Scheme: "https", Host: "auth.corp.example"}, Contact: "the container team, +49 30 1234",
		Services: []Service{{Name: "registry", Hosts: []string{"registry.corp.example", "r.corp.example"}}, {Name: "eu", Hosts: []string{"containers.production.eu-central.corp.example:5000"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rendered := map[string]bool{}
	for lang, text := range languages {
		for _, s := range samples {
			name := s.name + "-" + lang
			response := s.make(p, &Visit{Request: httptest.NewRequest("GET", "/", nil), ID: "01JDQK4W9ZT3F", Now: sampleNow, text: text})
			if len(response.Body) > maxPage {
				t.Errorf("%s has %d bytes, more than %d", name, len(response.Body), maxPage)
			}
			if err := checkHTML(response.Body); err != nil {
				t.Errorf("%s: %v\n%s", name, err, response.Body)
			}
			writeSample(t, name+".html", response.Body)
			template, _, _ := strings.Cut(s.name, "-")
			rendered[template] = true
		}
	}
	for name := range english.templates {
		if !rendered[name] {
			t.Errorf("templates/%s.html has no sample", name)
		}
	}
	for _, a := range p.assets {
		writeSample(t, a.path, a.body)
	}
}

// writeSample writes a file into the folder that SAMPLES names.
func writeSample(t *testing.T, name string, body []byte) {
	folder := os.Getenv("SAMPLES")
	if folder == "" {
		return
	}
	name = filepath.Join(folder, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, body, 0o644)); err != nil {
		t.Fatal(err)
	}
}
