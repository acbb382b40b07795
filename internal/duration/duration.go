// Package duration parses durations with days, for configuration and command
// line.
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
