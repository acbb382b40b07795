package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestSecretIsNotPrinted covers unexported fields too, on which fmt calls no
// methods.
func TestSecretIsNotPrinted(t *testing.T) {
	const canary = "canary-of-a-secret"
	type hidden struct{ secret Text }
	type nested struct {
		Secret Text
		hidden hidden
		all    []any
		byName map[string]Text
	}
	s := New(canary)
	value := nested{s, hidden{s}, []any{s, &hidden{s}}, map[string]Text{"s": s}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{s, &s, value, &value} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T prints %s", verb, v, text)
			}
		}
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "value", value, "pointer", &value)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "value", value, "pointer", &value)
	if text, err := json.Marshal(value); err != nil || strings.Contains(string(text)+log.String(), canary) {
		t.Errorf("JSON and logs print %s %s (%v)", text, log.String(), err)
	}
	if !New("").IsZero() || !New("").Equal(Text{}) || s.Equal(Text{}) || !s.Equal(New(canary)) || s.Reveal() != canary {
		t.Error("IsZero, Equal or Reveal is wrong")
	}
}
