package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

// maxFile bounds the size of a configuration, in bytes: about 200,000 rules.
const maxFile = 64 << 20

// Option is an option of [Load].
type Option func(*loader)

// Load loads and checks the configuration in a file. The error joins all its faults,
// each a *[Fault].
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
		cfg.Warnings = append(cfg.Warnings, &Fault{File: name, Problem: "everybody on this machine can read this file, and it contains a secret; chmod 600 it, or write { file = \"…\" }"})
	}
	return cfg, err
}

// Parse is [Load] for a text that is in no file yet. Name is that of faults; relative
// paths are taken from the working folder.
func Parse(name string, text []byte, kinds Kinds, options ...Option) (*Config, error) {
	folder, err := filepath.Abs(".")
	if err != nil {
		return nil, fmt.Errorf("find the working folder: %w", err)
	}
	l := newLoader(name, folder, kinds)
	for _, option := range options {
		option(l)
	}
	l.text.data = text
	return l.load()
}

// readFile reads the configuration. The file may be a pipe, for example from a program
// that decrypts the configuration.
func readFile(name string) ([]byte, error) {
	data, _, err := durable.ReadPipe(name, maxFile)
	switch {
	case isTooLarge(err):
		return nil, fmt.Errorf("read the configuration: %s is larger than %d MiB", name, maxFile>>20)
	case errors.Is(err, durable.ErrNotRegular):
		return nil, fmt.Errorf("read the configuration: %s is a folder, a device or a socket; name a file, or a pipe that a program writes to", name)
	case err != nil:
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return data, nil
}

// loader is the state of one Load.
type loader struct {
	folder string // of the configuration, absolute
	kinds  Kinds
	text   text
	faults faults
	states map[string]durable.State // of the files that the configuration depends on

	only       []string // keys of the secrets to read, see OnlySecrets; nil for all
	inPlace    bool     // a secret is in the text itself
	unresolved []*Fault // paths that cannot be made absolute; added after Validate, which would else skip their keys

	cfg      Config
	warnings []*Fault
}

func newLoader(name, folder string, kinds Kinds) *loader {
	l := &loader{folder: folder, kinds: kinds, text: text{name: name}, states: make(map[string]durable.State)}
	l.faults = faults{text: &l.text, unread: make(map[string]bool)}
	return l
}

// addDependency records a file whose change requires a reload. It must be called before
// the file is read, so that a change in between is not missed.
func (l *loader) addDependency(name string) {
	if _, ok := l.states[name]; !ok {
		l.states[name] = durable.StateOf(name)
	}
}

// load turns the text into a Config: it decodes the text in one walk, applies defaults,
// has each package validate its own options, and checks them against each other.
func (l *loader) load() (*Config, error) {
	if l.faults.list = l.text.parse(); l.faults.list != nil {
		return nil, l.faults.err()
	}
	l.decode("", l.text.tree, reflect.ValueOf(&l.cfg).Elem(), "")
	if l.cfg.Session.Store.IsZero() { // the only default that is a path
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
	l.cfg.Warnings, l.cfg.text = l.warnings, &l.text
	return &l.cfg, nil
}

// hashTree returns a hash of a part of the TOML tree. It does not depend on the order of
// keys, on blanks or on comments.
func hashTree(tree any) string {
	h := sha256.New()
	fmt.Fprintf(h, "%#v", tree) // fmt sorts the keys of maps
	return hex.EncodeToString(h.Sum(nil))
}

// validate applies the defaults and has each package validate its options.
func (l *loader) validate() {
	c := &l.cfg
	check(l, "server", &c.Server)
	check(l, "audit", &c.Audit)
	check(l, "token", &c.Token)
	check(l, "pages", &c.Pages)
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
