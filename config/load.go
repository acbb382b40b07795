package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"shorepass/internal/durable"
	"shorepass/policy"
	"shorepass/providers"
)

// maxFile bounds a configuration: some two hundred thousand rules.
const maxFile = 64 << 20

// Load reads the configuration in the file of that name. The error holds
// every [Fault] at once, joined.
func Load(name string, kinds Kinds) (*Config, error) {
	folder, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", name, err)
	}
	l := newLoader(name, folder, kinds)
	full := filepath.Join(folder, filepath.Base(name))
	l.dependOn(full)
	if l.text.data, err = readFile(name); err != nil {
		return nil, err
	}
	cfg, err := l.load()
	if err == nil && l.inPlace && l.states[full].WorldReadable() {
		cfg.Warnings = append(cfg.Warnings, name+": everybody on this machine can read this file, and a secret stands in it; chmod 600 it, or write { file = \"…\" }")
	}
	return cfg, err
}

func readFile(name string) ([]byte, error) {
	data, _, err := durable.Read(name, maxFile)
	switch {
	case isTooLarge(err):
		return nil, fmt.Errorf("read the configuration: %s is larger than %d MiB", name, maxFile>>20)
	case err != nil:
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return data, nil
}

// loader is the work of one Load.
type loader struct {
	folder string // of the configuration, absolute
	kinds  Kinds
	text   text
	faults faults
	strict strict
	states map[string]durable.State // of the files that were needed

	inPlace bool // a secret stands in the text itself

	document document
	policy   *policy.Policy // of document.Rules
	options  []any          // of document.Providers, each a pointer; nil where the kind is unknown
	warnings []*Fault
}

func newLoader(name, folder string, kinds Kinds) *loader {
	l := &loader{folder: folder, kinds: kinds, text: text{name: name}, states: make(map[string]durable.State)}
	l.faults.text = &l.text
	l.strict = strict{faults: &l.faults, known: make(map[reflect.Type][]field)}
	return l
}

// dependOn notes a file whose change means another configuration. It is called
// before the file is read, so that no change slips in between.
func (l *loader) dependOn(name string) {
	if _, ok := l.states[name]; !ok {
		l.states[name] = durable.StateOf(name)
	}
}

// load goes from text to Config: decode strictly, fill in defaults, let the
// rooms look at their options, then at what they say about each other's.
func (l *loader) load() (*Config, error) {
	if l.faults.list = l.text.parse(); l.faults.list != nil {
		return nil, l.faults.err()
	}
	l.decode("", l.text.tree, &l.document)
	l.decodeProviders()
	l.validate()
	l.resolve("", reflect.ValueOf(&l.document).Elem())
	for i, options := range l.options {
		if options != nil {
			l.resolve(element("provider", i), reflect.ValueOf(options).Elem())
		}
	}
	l.crossCheck()
	if err := l.faults.err(); err != nil {
		return nil, err
	}
	return l.config(), nil
}

// decodeProviders decodes each [[provider]] table into its kind's options.
func (l *loader) decodeProviders() {
	known := slices.Sorted(maps.Keys(l.kinds))
	l.options = make([]any, len(l.document.Providers))
	for i, table := range l.document.Providers {
		at := element("provider", i)
		name, isText := table["kind"].(string)
		kind, ok := l.kinds[name]
		switch {
		case table["kind"] == nil:
			l.faults.add(at, "kind is missing; write one of "+quoted(known))
		case !isText:
			l.faults.add(at+".kind", fmt.Sprintf("found %s; write one of %s", describe(table["kind"]), quoted(known)))
		case !ok && nearest(name, known) != "":
			l.faults.add(at+".kind", fmt.Sprintf("no provider is of the kind %q; did you mean %q?", name, nearest(name, known)))
		case !ok:
			l.faults.add(at+".kind", fmt.Sprintf("no provider is of the kind %q; write one of %s", name, quoted(known)))
		default:
			l.options[i] = kind.options()
			l.decode(at, table, l.options[i])
		}
	}
}

// validate fills in the defaults and asks each room about its options.
func (l *loader) validate() {
	d := &l.document
	check(l, "server", &d.Server)
	check(l, "audit", &d.Audit)
	check(l, "token", &d.Token)
	check(l, "session", &d.Session)
	for i := range d.Services {
		check(l, element("service", i), &d.Services[i])
	}
	d.Rules = policy.WithDefaults(d.Rules)
	l.policy = policy.Compile(d.Rules, l.faults.under(""))
	for i, options := range l.options {
		if options != nil {
			at := element("provider", i)
			check(l, at, common(options))
			l.kinds[common(options).Kind].check(options, l.faults.under(at))
		}
	}
}

func check[C Options[C]](l *loader, at string, c *C) {
	*c = (*c).WithDefaults()
	(*c).Validate(l.faults.under(at))
}

// config returns what was loaded.
func (l *loader) config() *Config {
	d := &l.document
	c := &Config{
		Server: d.Server, Audit: d.Audit, Token: d.Token, Services: d.Services, Session: d.Session, Rules: d.Rules, Policy: l.policy,
		Files:  slices.Sorted(maps.Keys(l.states)),
		states: l.states,
	}
	for _, options := range l.options {
		p := *common(options)
		build := l.kinds[p.Kind].build
		c.Providers = append(c.Providers, Provider{Config: p, build: func() (providers.Provider, error) { return build(options) }})
	}
	for _, w := range l.warnings {
		c.Warnings = append(c.Warnings, w.Error())
	}
	return c
}

// quoted lists names: "a", "b" or "c".
func quoted(names []string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	return b.String()
}
