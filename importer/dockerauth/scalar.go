package dockerauth

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// text returns a scalar as docker_auth has it where it wants a text. A null is "".
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	n = resolve(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		r.wrongType(n, what, "a text")
		return "", false
	case !r.spend(n):
		return "", false
	case isNull(n):
		return "", true
	}
	text := n.Value
	if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() == "!!binary" {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			r.add(n.Line, Refused, "docker_auth does not start: %s is !!binary and no base64", what)
			return "", false
		}
		text = string(decoded)
	}
	if !utf8.ValidString(text) {
		r.add(n.Line, Refused, "%s is not UTF-8; write it so", what)
		return "", false
	}
	if r.helm && isPlain(n) && isTyped(n) {
		r.add(n.Line, Refused, "Helm gives %s, the unquoted %s, a type and writes it another way; put it in quotes as it is meant", what, text)
		return "", false
	}
	return text, true
}

// optional returns a text, or nil for a null.
func (r *reader) optional(n *yaml.Node, what string) *string {
	if isNull(resolve(n)) {
		return nil
	}
	if text, ok := r.text(n, what); ok {
		return &text
	}
	return nil
}

// boolean reads an unquoted boolean of YAML 1.1.
func (r *reader) boolean(n *yaml.Node, what string) bool {
	n = resolve(n)
	word := strings.ToLower(n.Value)
	switch {
	case isNull(n):
		return false
	case n.Kind == yaml.ScalarNode && isPlain(n) && slices.Contains(trueWords, word):
		return true
	case n.Kind == yaml.ScalarNode && isPlain(n) && slices.Contains(falseWords, word):
		return false
	}
	r.wrongType(n, what, "true or false, without quotes")
	return false
}

var (
	trueWords  = []string{"true", "yes", "on", "y"}
	falseWords = []string{"false", "no", "off", "n"}
)

// integer reads an unquoted number, which may be written as 9e2.
func (r *reader) integer(n *yaml.Node, what string) int64 {
	n = resolve(n)
	if isNull(n) {
		return 0
	}
	if n.Kind == yaml.ScalarNode && isPlain(n) {
		plain := strings.ReplaceAll(n.Value, "_", "")
		if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(plain, 64); err == nil && math.Abs(f) < 1<<53 {
			return int64(f)
		}
	}
	r.wrongType(n, what, "a number, without quotes")
	return 0
}

// wrongType refuses a value: docker_auth does not start with it.
func (r *reader) wrongType(n *yaml.Node, what, want string) {
	r.add(n.Line, Refused, "docker_auth does not start: %s is %s and must be %s", what, kindOf(n), want)
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a table"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "null"
	}
	return "a text or a number"
}

// resolve returns the node that an alias stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// isPlain reports whether a scalar has neither quotes nor a tag.
func isPlain(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
}

// isNull reports whether a node is null or nothing at all.
func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || !isPlain(n) {
		return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
	}
	return slices.Contains([]string{"", "~", "null", "Null", "NULL"}, n.Value)
}

// isTyped reports whether an unquoted scalar is a boolean or a number that is printed in
// another way than it is written.
func isTyped(n *yaml.Node) bool {
	word := strings.ToLower(n.Value)
	if slices.Contains(trueWords, word) || slices.Contains(falseWords, word) {
		return n.Value != "true" && n.Value != "false"
	}
	plain := strings.ReplaceAll(n.Value, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return strconv.FormatInt(i, 10) != n.Value
	}
	f, err := strconv.ParseFloat(plain, 64)
	return err == nil && strconv.FormatFloat(f, 'g', -1, 64) != n.Value
}
