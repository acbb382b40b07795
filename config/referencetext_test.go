package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"shorepass/internal/secret"
)

// withoutName turns "Listen is the host" into "The host", and leaves "Name of
// the provider".
func withoutName(comment, name string) string {
	rest, ok := strings.CutPrefix(comment, name+" ")
	if !ok || strings.HasPrefix(rest, "of ") || strings.HasPrefix(rest, "to ") || strings.HasPrefix(rest, "for ") || strings.HasPrefix(rest, "users ") {
		return upperFirst(comment)
	}
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "is "), "are ")
	return upperFirst(strings.TrimPrefix(rest, "for "))
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

var (
	docLink = regexp.MustCompile(`\[(?:\w+\.)*([A-Z]\w*)\.([A-Z]\w*)\]`)
	camel   = regexp.MustCompile(`\b(?:Config\.)?[A-Z][a-z]+[A-Z]\w*\b|\bConfig\.[A-Z]\w*\b`)
)

// prose replaces the names of Go fields with the names of keys.
func (r *reference) prose(text string, t reflect.Type) string {
	text = docLink.ReplaceAllStringFunc(text, func(link string) string {
		parts := docLink.FindStringSubmatch(link)
		if key := keyOf(t, parts[2]); key != "" && (parts[1] == t.Name() || parts[1] == "Config") {
			return "`" + key + "`"
		}
		return "`" + strings.ToLower(parts[1]+"."+parts[2]) + "`" // [Groups.Claim] is the key claim of groups
	})
	return camel.ReplaceAllStringFunc(text, func(name string) string {
		if key := keyOf(t, strings.TrimPrefix(name, "Config.")); key != "" {
			return "`" + key + "`"
		}
		return name
	})
}

// keyOf returns the key of a Go field, or "".
func keyOf(t reflect.Type, goName string) string {
	for _, f := range fields(t) {
		if t.FieldByIndex(f.index).Name == goName {
			return f.name
		}
	}
	return ""
}

var defaultSentence = regexp.MustCompile(` ?Default:? ("[^"]*"|\[[^\]]*\]|true|false|\d+)([.;])`)

// cutDefault removes the sentence with the default from a comment, if it has nothing but
// the value, and returns the value.
func cutDefault(text string) (rest, value string) {
	at := defaultSentence.FindStringSubmatchIndex(text)
	if at == nil {
		return text, ""
	}
	value = text[at[2]:at[3]]
	if text[at[4]:at[5]] == "." {
		text = strings.TrimSpace(text[:at[0]] + text[at[1]:])
	}
	return text, value
}

// literal formats a default as TOML; "" where there is none.
func literal(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		return value(v.Elem())
	}
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	return value(v)
}

func value(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return strconv.Quote(durationText(x))
	case secret.Text:
		return strconv.Quote(x.Reveal())
	case string:
		return strconv.Quote(x)
	}
	if v.Kind() == reflect.Slice {
		list := make([]string, v.Len())
		for i := range list {
			list[i] = value(v.Index(i))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}

// durationText formats a duration as people write it.
func durationText(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 1 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// typeName returns the type of a key as the reference names it.
func typeName(f field) string {
	switch t := f.typ; {
	case t == durationType:
		return "duration"
	case t == secretType:
		return "secret"
	case f.pathTag != "" && t.Kind() == reflect.Slice:
		return "list of files"
	case f.pathTag != "" && !strings.Contains(f.pathTag, ","):
		return "file"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map:
		return "table"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.String:
		return "string"
	}
	return "integer"
}

func TestDurationText(t *testing.T) {
	for _, text := range []string{"0s", "90d", "365d", "12h", "24h", "1h", "5m", "1m30s", "1h30m", "10s", "20m", "10h", "100ms"} {
		d, err := parseDuration(text)
		if got := durationText(d); err != nil || got != text {
			t.Errorf("durationText(%v) = %q, %v; want %q", d, got, err, text)
		}
	}
}
