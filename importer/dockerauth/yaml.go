package dockerauth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"shorepass/config"
)

// Bounds of what is read. An ACL of 10,000 entries has about a MiB.
const (
	// MaxSize bounds a file, in bytes.
	MaxSize = 4 << 20

	// maxExpanded bounds the text after aliases and merge keys are expanded, in bytes
	// and nodes together: a few lines of anchors can stand for gigabytes.
	maxExpanded = 4 * MaxSize

	// mergeCost is what a pair of a merge key counts.
	mergeCost = 100

	// maxFindings bounds what is said of reading a file.
	maxFindings = 10_000

	// maxDepth bounds merge keys within merge keys.
	maxDepth = 100
)

// reader reads YAML as docker_auth's parser, yaml.v2, does. That one decodes into
// structs, so the type of a value is the one that docker_auth wants there:
//
//   - An unquoted scalar stays as it is written where a text is wanted: yes, 007, 4711.
//   - A key that is there twice replaces a scalar, a list and a user, and is merged
//     with the first where it is a table: server, token, users, match, labels.
//   - A merge key (<<) overrides the keys above it, and is overridden by those below.
//   - A document after the first is not read.
//
// A value of the wrong type keeps docker_auth from starting, and is a refusal.
type reader struct {
	file     string // of findings: the name of the file, or empty for the configuration
	helm     bool   // Helm reads the text first, which gives unquoted scalars a type
	findings []Finding
	spent    int
	err      error // of the text as a whole: no YAML, too large once expanded
}

func (r *reader) add(line int, severity Severity, format string, args ...any) {
	if len(r.findings) == maxFindings && r.err == nil {
		r.err = fmt.Errorf("line %d: there is something to say of more than %d lines; is this a configuration of docker_auth?", line, maxFindings)
	}
	if r.err != nil {
		return
	}
	r.findings = append(r.findings, Finding{File: r.file, Line: line, Severity: severity, Text: fmt.Sprintf(format, args...)})
}

// spend counts a node of the text against maxExpanded.
func (r *reader) spend(n *yaml.Node) bool {
	r.spent += 1 + len(n.Value)
	if r.spent > maxExpanded && r.err == nil {
		r.err = fmt.Errorf("line %d: the anchors above stand for more than %d MiB; write out what they mean", n.Line, maxExpanded>>20)
	}
	return r.err == nil
}

// parse returns the first document of a text.
func (r *reader) parse(text []byte) (*yaml.Node, error) {
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return nil, errors.New("the file is empty")
	case len(text) > MaxSize:
		return nil, fmt.Errorf("the file has more than %d MiB, and is no configuration of docker_auth", MaxSize>>20)
	case bytes.IndexByte(text, 0) >= 0 && !bytes.HasPrefix(text, []byte("\xff\xfe")) && !bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, errors.New("the file is binary, not YAML")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, next yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file has comments and nothing else")
		}
		return nil, fmt.Errorf("not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		r.add(next.Line, Noted, "docker_auth reads nothing from the second document on, nor does the import")
	}
	return document.Content[0], nil
}

// pair is a key of a mapping with its value.
type pair struct {
	key    string
	line   int
	value  *yaml.Node
	merged bool // it comes from a merge key
	null   bool // the key is null, which is the key ""
}

// pairs returns the pairs of a mapping in the order in which yaml.v2 assigns them, with
// those of merge keys in their place. It returns false, after a refusal, if the value is
// no mapping.
func (r *reader) pairs(n *yaml.Node, what string) ([]pair, bool) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, what, "a table")
		return nil, false
	}
	return r.collect(n, false, 0), true
}

func (r *reader) collect(n *yaml.Node, merged bool, depth int) []pair {
	var all []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !r.spend(key) || !r.spend(value) {
			return nil
		}
		if key.Kind == yaml.ScalarNode && key.Value == "<<" && isPlain(key) {
			all = append(all, r.merge(key.Line, value, depth+1)...)
			continue
		}
		if name, ok := r.text(key, "a key"); ok {
			all = append(all, pair{name, key.Line, value, merged, isNull(resolve(key))})
		}
	}
	return all
}

// merge returns the pairs of the value of a merge key, with the line of the key.
func (r *reader) merge(line int, value *yaml.Node, depth int) []pair {
	sources := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		sources = slices.Clone(value.Content)
		slices.Reverse(sources) // the first has precedence, so it is assigned last
	}
	var all []pair
	for _, source := range sources {
		source = resolve(source)
		if source.Kind != yaml.MappingNode {
			r.wrongType(source, "<<", "a table, or a list of tables")
			continue
		}
		if depth > maxDepth && r.err == nil {
			r.err = fmt.Errorf("line %d: docker_auth does not start: << is nested without end", line)
		}
		if r.err != nil {
			return nil
		}
		pairs := r.collect(source, true, depth)
		r.spent += mergeCost * len(pairs) // each merge key around this one copies them
		all = append(all, pairs...)
	}
	for i := range all {
		all[i].line = line
	}
	return all
}

// tableKey is a known key of a table. A value that is a table is merged with an earlier one;
// any other replaces it.
type tableKey struct {
	read   func(line int, value *yaml.Node)
	merges bool
}

// table reads the known keys of a mapping, and lists what docker_auth ignores.
func (r *reader) table(n *yaml.Node, what string, fields map[string]tableKey) {
	r.tableOf(n, what, fields, func(p pair) {
		hint := ""
		if near := closestKey(p.key, fields); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		r.add(p.line, Lost, "docker_auth ignores %q in %s, and so does the import%s", p.key, what, hint)
	})
}

func (r *reader) tableOf(n *yaml.Node, what string, fields map[string]tableKey, unknown func(pair)) {
	pairs, _ := r.pairs(n, what)
	first := make(map[string]pair)
	for _, p := range pairs {
		known, ok := fields[p.key]
		if !ok {
			unknown(p)
			continue
		}
		r.noteTwice(p, first, what, known.merges)
		known.read(p.line, p.value)
	}
}

// noteTwice reports a key that was in the table already. That a key overrides a merge key
// above it is what merge keys are for.
func (r *reader) noteTwice(p pair, first map[string]pair, what string, merges bool) {
	earlier, twice := first[p.key]
	first[p.key] = p
	switch {
	case !twice || earlier.merged && !p.merged:
	case r.helm:
		r.add(p.line, Refused, "%q is in %s twice, on line %d too, and Helm reads that in another way than docker_auth; remove one", p.key, what, earlier.line)
	case p.merged:
		r.add(p.line, Noted, "<< overrides the key %q of %s that stands before it, on line %d: docker_auth reads it so, against the rules of YAML", p.key, what, earlier.line)
	case merges:
		r.add(p.line, Noted, "%q is in %s twice, on line %d too; docker_auth merges the two, key by key", p.key, what, earlier.line)
	default:
		r.add(p.line, Noted, "%q is in %s twice, on line %d too; docker_auth takes the last", p.key, what, earlier.line)
	}
}

// closestKey returns the key that was probably meant, or "".
func closestKey(key string, fields map[string]tableKey) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return config.Closest(strings.ToLower(key), names)
}

// list calls read for each element of a list.
func (r *reader) list(n *yaml.Node, what string, read func(*yaml.Node)) bool {
	n = resolve(n)
	if isNull(n) {
		return false
	}
	if n.Kind != yaml.SequenceNode {
		r.wrongType(n, what, "a list")
		return false
	}
	for _, element := range n.Content {
		if !r.spend(element) {
			return false
		}
		read(element)
	}
	return true
}

// texts returns a list of texts. It is nil for a null, and not for an empty list.
func (r *reader) texts(n *yaml.Node, what string) []string {
	all := []string{}
	if !r.list(n, what, func(element *yaml.Node) {
		if text, ok := r.text(element, "an element of "+what); ok {
			all = append(all, text)
		}
	}) {
		return nil
	}
	return all
}
