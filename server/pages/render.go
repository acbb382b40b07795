package pages

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

//go:embed templates texts
var files embed.FS

// brand is how an operator has the pages look: a name, and the paths of assets.
type brand struct{ Name, Style, Script, Logo string }

// view is what a template gets.
type view struct {
	Title  string
	Person string // the user name; empty without a session
	Data   any

	Brand   brand
	Lang    string
	Contact string // whom people ask
	Request string // the id of the request
	Refused bool   // a form comes back with what is wrong in it
}

// parseTemplates parses the templates for a language, at load. Each page is the layout with its own
// "content"; the function t returns a text of the language.
func parseTemplates(t *texts) map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{"t": t.get}).ParseFS(files, "templates/layout.html"))
	entries, err := files.ReadDir("templates")
	if err != nil {
		panic(err) // the files are in the binary
	}
	all := make(map[string]*template.Template)
	for _, entry := range entries {
		if name := strings.TrimSuffix(entry.Name(), ".html"); name != "layout" {
			all[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "templates/"+entry.Name()))
		}
	}
	return all
}

// texts are the texts of one language, by key. Verbs of fmt stand for what is filled in.
type texts struct {
	lang      string
	all       map[string]string
	templates map[string]*template.Template // by name, of this language
}

var (
	english   = readTexts("en")
	languages = map[string]*texts{"en": english, "de": readTexts("de")}
)

func readTexts(lang string) *texts {
	t := &texts{lang: lang}
	content, err := files.ReadFile("texts/" + lang + ".json")
	if err == nil {
		err = json.Unmarshal(content, &t.all)
	}
	if err != nil {
		panic(err) // the file is in the binary, and a test reads it
	}
	t.templates = parseTemplates(t)
	return t
}

// get returns a text with its verbs filled in.
func (t *texts) get(key string, args ...any) string {
	if len(args) == 0 {
		return t.all[key]
	}
	return fmt.Sprintf(t.all[key], args...)
}

// languageOf returns the texts of the first language in Accept-Language (RFC 9110, section
// 12.5.4) that there is, else English.
func languageOf(accepted string) *texts {
	for _, one := range strings.Split(accepted, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(one), ";")
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if found, ok := languages[primary]; ok {
			return found
		}
	}
	return english
}

// page renders a template to a response. The template was parsed at load, so that an error
// is one of its data: a bug.
func (p *Pages) page(v *Visit, status int, name string, data view) *Response {
	data.Brand, data.Lang, data.Contact, data.Request = p.brand, v.text.lang, cmp.Or(p.Contact, v.text.get("contact.default")), v.ID
	data.Refused = status >= http.StatusBadRequest && name != "problem"
	var body bytes.Buffer
	if err := v.text.templates[name].ExecuteTemplate(&body, "layout.html", data); err != nil {
		panic(fmt.Errorf("render %s: %w", name, err))
	}
	return &Response{Status: status, Body: body.Bytes(), Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
}
