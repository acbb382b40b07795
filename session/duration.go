package session

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads what [time.ParseDuration] does, and whole days, "d",
// before it, as in "30d" or "1d12h": sessions live for months, and nobody reads
// 2160h as a quarter.
func ParseDuration(text string) (time.Duration, error) {
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
		return 0, fmt.Errorf("what follows the days of %q is below zero or too much", text)
	}
	return total + more, nil
}
