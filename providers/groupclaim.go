package providers

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// GroupClaim says how groups are written in a claim that is a list of texts or
// numbers, one of them alone, a list of objects, or an object whose keys are the
// groups.
type GroupClaim struct {
	// Separator is what stands between groups in one text, such as "," for
	// "team-blue,contractors". It is never guessed: without it a text that is
	// not in a list and holds a comma, a semicolon, a bar or a blank may be one
	// group or several, so that rules which deny any group hold for that person;
	// with one or without, so may a text in brackets, braces or quotes. Optional.
	Separator string `toml:"separator"`

	// Key is the member that has the name, where groups are objects: "name" for
	// [{"id": 7, "name": "team-blue"}]. Left out, the keys of an object are the
	// groups, as in Zitadel's roles. Optional.
	Key string `toml:"key"`
}

// Read returns the groups in a claim's value, which is what [DecodeClaim]
// returns. A value that is no name comes back as a group without one. Read guesses
// nothing: a text that may be several names is marked as such.
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
			return nil // a list of none
		}
		if isWrapped(v) || c.Separator == "" && isSeveral(v) {
			return []FoundGroup{{Name: v, Several: true}}
		}
		return c.readOne(v)
	}
	return c.readOne(value)
}

// readOne reads a value that is a group by itself.
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

// readKeys reads an object whose keys are the groups. Of one whose value is null or
// says no it is not known whether the person is in it.
func readKeys(object map[string]any) []FoundGroup {
	var found []FoundGroup
	for _, name := range slices.Sorted(maps.Keys(object)) {
		isNo := slices.Contains([]any{nil, false, "false", int64(0), 0.0}, object[name])
		found = append(found, FoundGroup{Name: name, Unsure: isNo})
	}
	return found
}

// textOf returns a text, or a number in decimal; "" for any other value, and for
// a number that may have been rounded, so that it would be more than one group's.
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

// partsOf splits a text and returns the parts that are not blank. Any white space
// separates where the separator is a blank.
func partsOf(text, separator string) []string {
	parts := strings.Split(text, separator)
	if separator == " " {
		parts = strings.FieldsFunc(text, unicode.IsSpace)
	}
	return slices.DeleteFunc(parts, func(part string) bool { return strings.TrimSpace(part) == "" })
}
