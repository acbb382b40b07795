package pages

import (
	"math"
	"time"
)

// moment is a time as a page shows it. The server does not know the person's time zone, so
// that the text is relative and the exact time in UTC.
type moment struct {
	Machine  string // for <time datetime>
	Absolute string // "2026-03-01 12:00 UTC"
	Relative string // "2 hours ago"
}

// moment returns a time as it is shown at now.
func (t *texts) moment(at, now time.Time) moment {
	at = at.UTC()
	return moment{at.Format("2006-01-02T15:04Z"), at.Format("2006-01-02 15:04 UTC"), t.relative(at, now)}
}

// units are those in which a time is shown, each for durations that round to less than its
// limit.
var units = []struct {
	name   string // of the texts time.NAME.one and time.NAME.many
	length time.Duration
	limit  float64
}{
	{"minutes", time.Minute, 60},
	{"hours", time.Hour, 48},
	{"days", 24 * time.Hour, 100},
	{"months", 30 * 24 * time.Hour, 24},
	{"years", 365 * 24 * time.Hour, math.Inf(1)},
}

// relative returns how far a time is from now, in the largest unit that is still precise
// enough: "2 hours ago", "in 90 days".
func (t *texts) relative(at, now time.Time) string {
	frame, distance := "time.in", at.Sub(now)
	if distance < 0 {
		frame, distance = "time.ago", -distance
	}
	if distance < time.Minute {
		return t.get("time.now")
	}
	for _, unit := range units {
		if n := math.Round(float64(distance) / float64(unit.length)); n < unit.limit {
			return t.get(frame, t.count("time."+unit.name, int(n)))
		}
	}
	return "" // not reached: the last unit has no limit
}

// count returns a text with a number: KEY.one for one, else KEY.many with the number in it.
// English and German have no other plural forms.
func (t *texts) count(key string, n int) string {
	if n == 1 {
		return t.get(key + ".one")
	}
	return t.get(key+".many", n)
}

// length returns a duration in words: "30 days".
func (t *texts) length(d time.Duration) string {
	for _, unit := range units {
		if n := math.Round(float64(d) / float64(unit.length)); n < unit.limit {
			return t.count("length."+unit.name, int(n))
		}
	}
	return ""
}
