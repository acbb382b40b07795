package pages

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	data.Count, data.Older, data.EndedMore, data.HasStamp, data.Rights = 38, 2, true, true, sampleRights(v.text)
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

// voidElements have no end tag (HTML, section 13.1.2).
var voidElements = []string{"br", "hr", "img", "input", "link", "meta"}

// checkHTML checks the syntax of a page, where browsers would guess: each element ends, no
// id is there twice, and a reference to an id has its element. It refuses what the
// Content-Security-Policy stops: style and script of the page itself.
func checkHTML(page []byte) error {
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var open []string
	ids, referred := map[string]bool{}, map[string]bool{}
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			break
		}
		switch token := token.(type) {
		case nil:
			return err
		case xml.StartElement:
			name := token.Name.Local
			if !slices.Contains(voidElements, name) {
				open = append(open, name)
			}
			if err := checkAttributes(name, token.Attr, ids, referred); err != nil {
				return err
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				return fmt.Errorf("</%s> ends %v", token.Name.Local, open)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && (open[len(open)-1] == "script" || open[len(open)-1] == "style") {
				return fmt.Errorf("<%s> has a text", open[len(open)-1])
			}
		}
	}
	for id := range referred {
		if !ids[id] {
			return fmt.Errorf("no element has the id %q", id)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%v do not end", open)
	}
	return nil
}

// checkAttributes is the part of checkHTML for the attributes of an element.
func checkAttributes(element string, attributes []xml.Attr, ids, referred map[string]bool) error {
	for _, a := range attributes {
		switch name := a.Name.Local; {
		case name == "style" || strings.HasPrefix(name, "on") || name == "href" && strings.HasPrefix(strings.TrimSpace(a.Value), "javascript:"):
			return fmt.Errorf("<%s> has the attribute %s", element, name)
		case name == "id":
			if ids[a.Value] || a.Value == "" {
				return fmt.Errorf("the id %q is there twice, or is empty", a.Value)
			}
			ids[a.Value] = true
		case name == "for" || name == "aria-describedby" || name == "aria-labelledby" || name == "data-copy":
			for id := range strings.FieldsSeq(a.Value) {
				referred[id] = true
			}
		}
	}
	return nil
}

func TestCheckHTML(t *testing.T) {
	for page, want := range map[string]string{
		"<!doctype html><p>a &amp; b<br><input required></p>": "",
		"<p>a":                          "[p] do not end",
		"<p><b></p></b>":                "</p> ends [p b]",
		"</p>":                          "</p> ends []",
		"<p style=''></p>":              "<p> has the attribute style",
		"<p onclick='a()'></p>":         "<p> has the attribute onclick",
		"<a href='javascript:a()'></a>": "<a> has the attribute href",
		"<script>a()</script>":          "<script> has a text",
		"<p id='a'></p><b id='a'></b>":  `the id "a" is there twice, or is empty`,
		"<label for='a'></label>":       `no element has the id "a"`,
	} {
		err := checkHTML([]byte(page))
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %s", page, err, want)
		}
	}
}

// Each text is used, and each that is used is there.
func TestTextsAreUsed(t *testing.T) {
	sources := readSources(t)
	for key := range english.all {
		if !isUsed(key, func(text string) bool { return strings.Contains(sources, strconv.Quote(text)) }) {
			t.Errorf("no source has the text %s", key)
		}
	}
	for _, found := range regexp.MustCompile(`(?:\bt|\.get\() ?"([a-z_.]+[a-z_])"`).FindAllStringSubmatch(sources, -1) {
		if english.all[found[1]] == "" {
			t.Errorf("there is no text %s", found[1])
		}
	}
}

// isUsed reports whether the sources write the key of a text: whole, without the .one and
// .many of a number, or as a beginning that ends with a dot, to which code adds the rest.
// Of a problem the name must be there too.
func isUsed(key string, written func(string) bool) bool {
	parts := strings.Split(key, ".")
	if parts[0] == "problem" && len(parts) == 3 {
		return written(parts[1])
	}
	for n := 1; n < len(parts); n++ {
		if written(strings.Join(parts[:n], ".") + ".") {
			return true
		}
	}
	return written(key) || written(strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".many"))
}

// readSources returns the templates and the Go files of the package, but for tests.
func readSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "_test.go") || (filepath.Ext(path) != ".go" && filepath.Ext(path) != ".html") {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
