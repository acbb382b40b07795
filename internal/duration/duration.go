// Package duration parses and formats durations with days, for configuration and
// command line.
package duration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse parses a duration as [time.ParseDuration], optionally after whole days:
// "30d", "1d12h". Sessions live for months, and 2160h is hard to read as a
// quarter.
func Parse(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("the days of %q: %w", text, err)
	}
	total := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return total, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil {
		return 0, err
	}
	if more < 0 || total+more < 0 {
		return 0, fmt.Errorf("the part after the days of %q is negative or too large", text)
	}
	return total + more, nil
}

// Format returns a duration as people write it: whole days as "30d", anything else
// without units that are zero, as "36h" or "1h30m". [Parse] parses it to the same
// duration.
func Format(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
