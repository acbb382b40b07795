package duration_test

import (
	"testing"
	"time"

	"shorepass/internal/duration"
)

func TestFormat(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 3605 * time.Second: "1h0m5s",
		100 * time.Millisecond: "100ms", 1500 * time.Millisecond: "1.5s", 20 * time.Minute: "20m", 10 * time.Hour: "10h",
		day: "1d", 36 * time.Hour: "36h", 40000 * day: "40000d", day + time.Second: "24h0m1s", -time.Minute: "-1m",
	} {
		got := duration.Format(d)
		if got != want {
			t.Errorf("Format(%v) = %q, want %q", d, got, want)
		}
		if back, err := duration.Parse(got); err != nil || back != d {
			t.Errorf("Parse(%q) = %v, %v, want %v", got, back, err, d)
		}
	}
}

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
