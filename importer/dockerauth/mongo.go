package dockerauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// readMongoACL reads the entries that docker_auth keeps in MongoDB, as mongoexport
// writes them: one JSON document a line. They are ordered by "seq", which docker_auth
// documents and its index enforces.
func (r *reader) readMongoACL(text []byte) ([]entry, error) {
	type numbered struct {
		seq   int64
		entry entry
	}
	var all []numbered
	err := r.readDocuments(text, func(line int, n *yaml.Node) {
		var one numbered
		hasSeq := false
		rest := &yaml.Node{Kind: yaml.MappingNode, Line: line}
		for i := 0; i+1 < len(n.Content); i += 2 {
			switch key, value := n.Content[i], n.Content[i+1]; key.Value {
			case "_id": // MongoDB's own
			case "seq":
				one.seq, hasSeq = r.integer(unwrapNumber(value), "seq"), true
			default:
				rest.Content = append(rest.Content, key, value)
			}
		}
		if !hasSeq {
			r.add(line, Refused, "docker_auth does not start: the entry has no seq, which orders the entries")
		}
		one.entry = r.readEntry(line, rest)
		all = append(all, one)
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b numbered) int { return cmp.Compare(a.seq, b.seq) })
	entries := make([]entry, len(all))
	for i, one := range all {
		entries[i] = one.entry
		if i > 0 && one.seq == all[i-1].seq {
			r.add(one.entry.Line, Refused, "seq %d is that of line %d too, so that their order is not known", one.seq, all[i-1].entry.Line)
		}
	}
	return entries, nil
}

// readMongoUsers reads the users that docker_auth keeps in MongoDB, one JSON document a
// line.
func (r *reader) readMongoUsers(text []byte) ([]user, error) {
	var all []user
	err := r.readDocuments(text, func(line int, n *yaml.Node) {
		rest := &yaml.Node{Kind: yaml.MappingNode, Line: line}
		name, hasName := "", false
		for i := 0; i+1 < len(n.Content); i += 2 {
			switch key, value := n.Content[i], n.Content[i+1]; key.Value {
			case "_id":
			case "username":
				name, hasName = r.text(value, "username")
			default:
				rest.Content = append(rest.Content, key, value)
			}
		}
		if !hasName || name == "" {
			r.add(line, Lost, "the document has no username, and docker_auth never finds it")
			return
		}
		u := r.readUser(pair{key: name, line: line, value: rest})
		if slices.ContainsFunc(all, func(known user) bool { return known.Name == name }) {
			r.add(line, Refused, "the user %q is there twice; remove one of the two documents", name)
		}
		all = append(all, u)
	})
	return all, err
}

// unwrapNumber returns the number in MongoDB's {"$numberInt": "10"}.
func unwrapNumber(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[1].Kind == yaml.ScalarNode &&
		slices.Contains([]string{"$numberInt", "$numberLong", "$numberDouble"}, n.Content[0].Value) {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: n.Content[1].Value, Line: n.Line}
	}
	return n
}

// readDocuments calls read for each JSON document of a text with the line where it
// begins. A JSON array of documents, as mongoexport --jsonArray writes it, is read too.
func (r *reader) readDocuments(text []byte, read func(line int, n *yaml.Node)) error {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("the file is empty")
	case len(text) > MaxSize:
		return fmt.Errorf("the file has more than %d MiB", MaxSize>>20)
	}
	documents := &jsonReader{decoder: json.NewDecoder(bytes.NewReader(text)), text: text, line: 1}
	documents.decoder.UseNumber()
	for {
		n, err := documents.next(0)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: not JSON as mongoexport writes it: %w", documents.line, err)
		}
		all := []*yaml.Node{n}
		if n.Kind == yaml.SequenceNode {
			all = n.Content
		}
		for _, document := range all {
			if document.Kind != yaml.MappingNode {
				return fmt.Errorf("line %d: %s where a JSON document is expected", document.Line, kindOf(document))
			}
			read(document.Line, document)
		}
	}
}

// jsonReader reads JSON values as YAML nodes with their lines.
type jsonReader struct {
	decoder *json.Decoder
	text    []byte
	offset  int64 // of what was read
	line    int   // of offset
}

// next returns the next value.
func (j *jsonReader) next(depth int) (*yaml.Node, error) {
	token, err := j.decoder.Token()
	if err != nil {
		return nil, err
	}
	read := j.decoder.InputOffset()
	j.line += bytes.Count(j.text[j.offset:read], []byte("\n"))
	j.offset = read
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: j.line}
	switch value := token.(type) {
	case json.Delim:
		if depth > maxDepth {
			return nil, errors.New("it is nested too deeply")
		}
		n.Kind = yaml.SequenceNode
		if value == '{' {
			n.Kind = yaml.MappingNode
		}
		for j.decoder.More() {
			element, err := j.next(depth + 1)
			if err != nil {
				return nil, noEOF(err)
			}
			n.Content = append(n.Content, element)
		}
		_, err = j.decoder.Token() // the closing one
		return n, noEOF(err)
	case string:
		n.Value, n.Style = value, yaml.DoubleQuotedStyle
	case json.Number:
		n.Value = value.String()
	case bool:
		n.Value = fmt.Sprint(value)
	default:
		n.Value = "null"
	}
	return n, nil
}

// noEOF returns an error for a text that ends too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
