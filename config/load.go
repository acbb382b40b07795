package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"

	"shorepass/internal/durable"
	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/session"
)

// maxFile bounds a configuration: some two hundred thousand rules.
const maxFile = 64 << 20

// Option changes what [Load] does.
type Option func(*loader)

// Load reads the configuration in the file of that name. The error holds
// every [Fault] at once, joined.
func Load(name string, kinds Kinds, options ...Option) (*Config, error) {
	folder, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", name, err)
	}
	l := newLoader(name, folder, kinds)
	for _, option := range options {
		option(l)
	}
	full := filepath.Join(folder, filepath.Base(name))
	l.addDependency(full)
	if l.text.data, err = readFile(name); err != nil {
		return nil, err
	}
	cfg, err := l.load()
	if err == nil && l.inPlace && l.states[full].WorldReadable() {
		cfg.Warnings = append(cfg.Warnings, name+": everybody on this machine can read this file, and a secret stands in it; chmod 600 it, or write { file = \"…\" }")
	}
	return cfg, err
}

// readFile reads the configuration. It may be a pipe, such as of a program that
// decrypts it.
func readFile(name string) ([]byte, error) {
	data, _, err := durable.ReadPipe(name, maxFile)
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
	states map[string]durable.State // of the files that were needed

	only       []string // the secrets to read, see OnlySecrets; nil for all
	inPlace    bool     // a secret stands in the text itself
	unresolved []*Fault // paths that cannot be made absolute; what packages say of their values counts all the same

	cfg      Config
	warnings []*Fault
}

func newLoader(name, folder string, kinds Kinds) *loader {
	l := &loader{folder: folder, kinds: kinds, text: text{name: name}, states: make(map[string]durable.State)}
	l.faults = faults{text: &l.text, unread: make(map[string]bool)}
	return l
}

// addDependency notes a file whose change means another configuration. It is called
// before the file is read, so that no change slips in between.
func (l *loader) addDependency(name string) {
	if _, ok := l.states[name]; !ok {
		l.states[name] = durable.StateOf(name)
	}
}

// load goes from text to Config: one walk that decodes, defaults, what each
// package says of its own options, and then what these say about each other's.
func (l *loader) load() (*Config, error) {
	if l.faults.list = l.text.parse(); l.faults.list != nil {
		return nil, l.faults.err()
	}
	l.decode("", l.text.tree, reflect.ValueOf(&l.cfg).Elem(), "")
	if l.cfg.Session.Store.IsZero() { // the one default that is a path
		file := session.Config{}.WithDefaults().Store.Reveal()
		l.cfg.Session.Store = secret.New(l.resolve("session.store", "write,sqlite:", file))
	}
	l.validate()
	l.faults.list = append(l.faults.list, l.unresolved...)
	l.crossCheck()
	if err := l.faults.err(); err != nil {
		return nil, err
	}
	l.cfg.Server.Warn(func(key, problem string) { l.warn("server."+key, problem) })
	l.cfg.ProviderTables = hashTree(l.text.tree["provider"])
	l.cfg.Files, l.cfg.states = slices.Sorted(maps.Keys(l.states)), l.states
	for _, w := range l.warnings {
		l.cfg.Warnings = append(l.cfg.Warnings, w.Error())
	}
	return &l.cfg, nil
}

// hashTree returns a hash of a part of the text, whatever the order of its keys and
// the blanks and comments between them.
func hashTree(tree any) string {
	h := sha256.New()
	fmt.Fprintf(h, "%#v", tree) // fmt sorts the keys of maps
	return hex.EncodeToString(h.Sum(nil))
}

// validate fills in the defaults and asks each package about its options.
func (l *loader) validate() {
	c := &l.cfg
	check(l, "server", &c.Server)
	check(l, "audit", &c.Audit)
	check(l, "token", &c.Token)
	check(l, "session", &c.Session)
	check(l, "throttle", &c.Throttle)
	for i := range c.Services {
		check(l, element("service", i), &c.Services[i])
	}
	c.Rules = policy.WithDefaults(c.Rules)
	c.Policy = policy.Compile(c.Rules, l.faults.under(""))
	for i := range c.Providers {
		if p := &c.Providers[i]; p.options != nil {
			fault := l.faults.under(element("provider", i))
			check(l, element("provider", i), p.options.Common())
			p.kind.check(p.options, fault)
			p.Config = *p.options.Common()
		}
	}
}

func check[C Options[C]](l *loader, at string, c *C) {
	*c = (*c).WithDefaults()
	(*c).Validate(l.faults.under(at))
}
