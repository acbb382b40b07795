package providers

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// GroupClaim is the format of a groups claim: a list of texts or numbers, one text or
// number, a list of objects, or an object whose keys are the groups.
type GroupClaim struct {
	// Separator separates the groups in one string, such as "," in
	// "team-blue,contractors". It is never guessed: without it, a string outside a
	// list that contains a comma, a semicolon, a bar or a blank may be one group or
	// several, so deny rules for any group apply to the person. The same holds for
	// a string in brackets, braces or quotes, with or without a separator.
	// Optional.
	Separator string `toml:"separator"`

	// Key is the member that holds the name, where groups are objects: "name" for
	// [{"id": 7, "name": "team-blue"}]. Without it the keys of an object are the
	// groups, as in Zitadel's roles. Optional.
	Key string `toml:"key"`
}

// Read returns the groups in a claim's value, as [DecodeClaim] returned it. A value that is
// no name becomes a group without a name. Read guesses nothing: a text that may be several
// names becomes a group with Several.
func (c GroupClaim) Read(value any) []FoundGroup {
	switch v := value.(type) {
	case []any:
		var found []FoundGroup
		for _, element := range v {
			found = append(found, c.readOne(element)...)
		}
		return found
	case map[string]any:
		if c.Key != "" {
			return c.readOne(v)
		}
		return readKeys(v)
	case string:
		if strings.TrimSpace(v) == "" {
			return nil // no groups
		}
		if isWrapped(v) || c.Separator == "" && isSeveral(v) {
			return []FoundGroup{{Name: v, Several: true}}
		}
		return c.readOne(v)
	}
	return c.readOne(value)
}

// readOne reads one element of a list, or a value that is not in a list.
func (c GroupClaim) readOne(value any) []FoundGroup {
	object, ok := value.(map[string]any)
	if ok && c.Key != "" {
		value = object[c.Key]
	}
	text, isText := value.(string)
	if !isText || c.Separator == "" {
		return []FoundGroup{{Name: textOf(value)}}
	}
	var found []FoundGroup
	for _, part := range partsOf(text, c.Separator) {
		found = append(found, FoundGroup{Name: part})
	}
	return found
}

// readKeys reads an object whose keys are the groups. A group whose value is null, false or
// zero is unsure.
func readKeys(object map[string]any) []FoundGroup {
	var found []FoundGroup
	for _, name := range slices.Sorted(maps.Keys(object)) {
		isNo := slices.Contains([]any{nil, false, "false", int64(0), 0.0}, object[name])
		found = append(found, FoundGroup{Name: name, Unsure: isNo})
	}
	return found
}

// textOf returns a text, or a number in decimal. It returns "" for any other value, and for
// a number that may have been rounded: several groups could have it.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if math.Abs(v) < 1<<53 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return ""
}

// partsOf splits a text and returns the parts that are not blank. A separator that is a
// blank means any white space.
func partsOf(text, separator string) []string {
	parts := strings.Split(text, separator)
	if separator == " " {
		parts = strings.FieldsFunc(text, unicode.IsSpace)
	}
	return slices.DeleteFunc(parts, func(part string) bool { return strings.TrimSpace(part) == "" })
}
