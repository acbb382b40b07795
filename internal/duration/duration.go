// Package duration reads lengths of time as configuration and command line
// write them.
package duration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads what [time.ParseDuration] reads, and whole days before it: "30d",
// "1d12h". Sessions live for months, and 2160h is hard to read as a quarter.
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
		return 0, fmt.Errorf("what follows the days of %q is below zero or too much", text)
	}
	return total + more, nil
}
