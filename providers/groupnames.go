package providers

import (
	"fmt"
	"strings"
)

// GroupNames is the part of a provider's groups table that says which of the
// groups it found it answers with, and under which names. The provider applies
// it and not the chain: only it knows what its directory takes for one name.
type GroupNames struct {
	// Only keeps the groups that match one of these (globs: `*` is any text,
	// `/` included, `?` one character; unlike in rules, where `*` stops at
	// `/`). Default: all.
	Only []string `toml:"only"`

	// Rename gives groups another name, applied after only and before the
	// prefix.
	Rename map[string]string `toml:"rename"`
}

// Apply returns the names that only keeps, under the names that rename gives
// them. A provider calls it on what it found, before it answers.
func (g GroupNames) Apply(names []string) []string {
	only := compileGlobs(g.Only)
	kept := make([]string, 0, len(names))
	for _, name := range names {
		if !only.match(name) {
			continue
		}
		if other, ok := g.Rename[name]; ok {
			name = other
		}
		kept = append(kept, name)
	}
	return kept
}

// Validate reports what is wrong with the two keys. A provider calls it for
// its groups table.
func (g GroupNames) Validate(fault func(key, problem string)) {
	validateGlobs("only", g.Only, fault)
	for from, to := range g.Rename {
		switch {
		case strings.TrimSpace(to) == "":
			fault("rename", fmt.Sprintf("%q is given an empty name; leave a group out with only", from))
		case ourGroup(to):
			fault("rename", fmt.Sprintf("%q cannot be called %q, which is shorepass's own", from, to))
		}
	}
}
