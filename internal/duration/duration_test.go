package duration_test

import (
	"testing"
	"time"

	"shorepass/internal/duration"
)

func TestParse(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "720h": 30 * day, "30d": 30 * day, "1d12h": 36 * time.Hour,
		"0d": 0, "65535d": 65535 * day, "-5m": -5 * time.Minute,
	} {
		if got, err := duration.Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "30", "d12h", "-1d", "+1d", "1.5d", "65536d", "1d12", "1d-5h", "1dd", "12h1d", "65535d2500000h", "30 d"} {
		if got, err := duration.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, got)
		}
	}
}
