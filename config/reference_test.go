package config

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"shorepass/policy"
	"shorepass/providers"
)

// TestReference compares docs/configuration.md with the doc comments and the defaults of
// the options. go test ./config -run TestReference -update writes it.
func TestReference(t *testing.T) {
	r := &reference{t: t, sources: make(map[string]map[string]comments)}
	golden(t, "../docs/configuration.md", r.write())
	if readme, err := os.ReadFile("../README.md"); err != nil || !strings.Contains(string(readme), "(docs/configuration.md)") {
		t.Errorf("README.md does not link to docs/configuration.md (%v)", err)
	}
}

const referenceHead = `# Every key of the configuration

<!-- Written by "go test ./config -update" from the doc comments and defaults in the code. Do not edit. -->

The file is TOML 1.0, and strict: an unknown key is an error that names its line and the nearest known key.
` + "`config.example.toml`" + ` shows the same keys in use.

- A **duration** is a string such as ` + "`\"90s\"`, `\"5m\"`, `\"12h\"`, `\"90d\"` or `\"1d12h\"`" + `.
- A **secret** is a string, ` + "`{ file = \"…\" }` or `{ env = \"…\" }`" + `. A world-readable file is refused; one newline at its
  end is removed. A secret is never printed.
- The path of a **file** is relative to the folder of the configuration. A file that shorepass writes (the store, the
  audit log) is relative to ` + "`/var/lib/shorepass`" + ` if the configuration is in
  ` + "`/etc/shorepass`" + `, which can so be read-only. ` + "`$CREDENTIALS_DIRECTORY/…`" + ` is a file of systemd's ` + "`LoadCredential`" + `.
- The configuration and every file that it names are checked every two seconds; a change causes a reload, as SIGHUP does.
  A configuration with a fault is logged, and the old one stays in force. If a changed key needs a restart, the log names
  it.
`

// reference generates docs/configuration.md.
type reference struct {
	t       *testing.T
	sources map[string]map[string]comments // by package path and type
	out     strings.Builder
}

// comments are the doc comments of one struct type.
type comments struct {
	doc    string
	fields map[string]string
}

func (r *reference) write() string {
	r.out.WriteString(referenceHead)
	defaults := r.defaults()
	for _, f := range fields(reflect.TypeFor[Config]()) {
		if f.name == "provider" {
			r.providers()
			continue
		}
		heading, t := "["+f.name+"]", f.typ
		if t.Kind() == reflect.Slice {
			heading, t = "[["+f.name+"]]", t.Elem()
		}
		r.section("##", "`"+heading+"`", f.name, defaults[f.name], t)
	}
	return r.out.String()
}

// defaults returns the options of each table with defaults alone.
func (r *reference) defaults() map[string]reflect.Value {
	l := newLoader("empty.toml", "/", nil)
	l.validate()
	l.cfg.Rules = policy.WithDefaults([]policy.Rule{{Name: "-"}})
	l.cfg.Rules[0].Name = ""
	v := reflect.ValueOf(l.cfg)
	out := make(map[string]reflect.Value)
	for _, f := range fields(v.Type()) {
		value := v.FieldByIndex(f.index)
		if value.Kind() != reflect.Slice {
			out[f.name] = value
		} else if value.Len() == 1 {
			out[f.name] = value.Index(0)
		}
	}
	return out
}

func (r *reference) providers() {
	all := reflect.TypeFor[providers.Config]()
	r.section("##", "`[[provider]]`", "provider", reflect.ValueOf(providers.Config{}.WithDefaults()), all)
	r.out.WriteString("\nEach kind has these keys in addition:\n")
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		options := kinds[name].options()
		kinds[name].check(options, func(string, string) {})
		r.section("###", "`[[provider]]` of kind `"+name+"`", "provider", reflect.ValueOf(options).Elem(), reflect.TypeOf(options).Elem())
	}
}

// section writes the keys of a table, and a section for each list of tables in it.
// defaults is the zero Value where there are none.
func (r *reference) section(level, heading, name string, defaults reflect.Value, t reflect.Type) {
	c := r.comments(t)
	fmt.Fprintf(&r.out, "\n%s %s\n\n", level, heading)
	if _, text, ok := strings.Cut(c.doc, ": "); ok {
		r.out.WriteString(upperFirst(r.prose(text, t)) + "\n\n")
	} else if _, text, ok := strings.Cut(c.doc, ". "); ok {
		r.out.WriteString(r.prose(text, t) + "\n\n")
	}
	r.out.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	lists := r.rows("", "", defaults, t)
	for _, f := range lists {
		r.section("###", "`[["+name+"."+f.name+"]]`", name+"."+f.name, reflect.Value{}, f.typ.Elem())
	}
}

// rows writes the keys of a struct and of the tables in it. It returns the lists of
// tables, which get sections of their own. reload is the tag of the table that the keys
// are in.
func (r *reference) rows(prefix, reload string, defaults reflect.Value, t reflect.Type) (lists []field) {
	for _, f := range fields(t) {
		if prefix == "" && t != reflect.TypeFor[providers.Config]() && t.Field(f.index[0]).Type == reflect.TypeFor[providers.Config]() {
			continue // in the section of all kinds
		}
		f.reloadTag = cmp.Or(f.reloadTag, reload)
		var value reflect.Value
		if defaults.IsValid() {
			value = defaults.FieldByIndex(f.index)
		} else if f.typ.Kind() == reflect.Bool {
			value = reflect.ValueOf(false)
		}
		switch {
		case isTable(f.typ):
			lists = append(lists, r.rows(prefix+f.name+".", f.reloadTag, value, f.typ)...)
		case f.typ.Kind() == reflect.Slice && isTable(f.typ.Elem()):
			lists = append(lists, f)
		default:
			r.row(prefix+f.name, f, value, t)
		}
	}
	return lists
}

func (r *reference) row(key string, f field, value reflect.Value, t reflect.Type) {
	owner := t
	for _, i := range f.index[:len(f.index)-1] {
		owner = owner.Field(i).Type
	}
	goName := t.FieldByIndex(f.index).Name
	comment := r.comments(owner).fields[goName]
	if comment == "" {
		r.t.Errorf("%v.%s has no doc comment; the reference is written from it", owner, goName)
	}
	meaning := r.prose(withoutName(comment, goName), owner)
	byCode := ""
	if value.IsValid() {
		byCode = literal(value)
	}
	meaning, byComment := cutDefault(meaning)
	if byCode != "" && byComment != "" && byCode != byComment {
		r.t.Errorf("%v.%s: the comment says that its default is %s, the code that it is %s", owner, goName, byComment, byCode)
	}
	if byCode == "" {
		byCode = byComment
	}
	if byCode != "" {
		byCode = "`" + byCode + "`"
	}
	switch f.reloadTag {
	case tagRestart:
		meaning += " A change needs a restart."
	case tagSwitch:
		table, _, _ := strings.Cut(key, ".")
		meaning += fmt.Sprintf(" Adding or removing `%[1]s` needs a restart.", table)
	}
	fmt.Fprintf(&r.out, "| `%s` | %s | %s | %s |\n", key, typeName(f), byCode, strings.ReplaceAll(meaning, "|", `\|`))
}

// comments reads the doc comments of a struct type from its source.
func (r *reference) comments(t reflect.Type) comments {
	if r.sources[t.PkgPath()] == nil {
		r.sources[t.PkgPath()] = r.parse(strings.Replace(t.PkgPath(), "shorepass", "..", 1))
	}
	return r.sources[t.PkgPath()][t.Name()]
}

func (r *reference) parse(folder string) map[string]comments {
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil || len(files) == 0 {
		r.t.Fatalf("no source in %s: %v", folder, err)
	}
	found := make(map[string]comments)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				for _, spec := range d.Specs {
					collect(found, d, spec.(*ast.TypeSpec))
				}
			}
		}
	}
	return found
}

func collect(found map[string]comments, d *ast.GenDecl, spec *ast.TypeSpec) {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	c := comments{doc: oneLine(d.Doc.Text()), fields: make(map[string]string)}
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			c.fields[name.Name] = oneLine(f.Doc.Text() + f.Comment.Text())
		}
	}
	found[spec.Name.Name] = c
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
