package pages

import (
	"testing"
	"time"
)

func TestRelativeTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, tc := range []struct {
		distance time.Duration
		en, de   string
	}{
		{0, "just now", "gerade eben"},
		{-59 * time.Second, "just now", "gerade eben"},
		{59 * time.Second, "just now", "gerade eben"},
		{-time.Minute, "a minute ago", "vor einer Minute"},
		{-89 * time.Second, "a minute ago", "vor einer Minute"},
		{-90 * time.Second, "2 minutes ago", "vor 2 Minuten"},
		{10 * time.Minute, "in 10 minutes", "in 10 Minuten"},
		{-(time.Hour - time.Second), "an hour ago", "vor einer Stunde"},
		{-2 * time.Hour, "2 hours ago", "vor 2 Stunden"},
		{-36 * time.Hour, "36 hours ago", "vor 36 Stunden"},
		{-(2*day - time.Second), "2 days ago", "vor 2 Tagen"},
		{7 * day, "in 7 days", "in 7 Tagen"},
		{90*day - time.Second, "in 90 days", "in 90 Tagen"},
		{99 * day, "in 99 days", "in 99 Tagen"},
		{100 * day, "in 3 months", "in 3 Monaten"},
		{365 * day, "in 12 months", "in 12 Monaten"},
		{3 * 365 * day, "in 3 years", "in 3 Jahren"},
		{-200 * 365 * day, "200 years ago", "vor 200 Jahren"},
	} {
		if got := languages["en"].relative(now.Add(tc.distance), now); got != tc.en {
			t.Errorf("en: relative(%v) = %q, want %q", tc.distance, got, tc.en)
		}
		if got := languages["de"].relative(now.Add(tc.distance), now); got != tc.de {
			t.Errorf("de: relative(%v) = %q, want %q", tc.distance, got, tc.de)
		}
	}
	vienna := time.FixedZone("", 3600)
	if got, want := english.moment(now.In(vienna), now), (moment{"2026-03-01T12:00Z", "2026-03-01 12:00 UTC", "just now"}); got != want {
		t.Errorf("moment = %+v, want %+v", got, want)
	}
}

// Each text with a number has both plural forms.
func TestPlurals(t *testing.T) {
	t.Parallel()
	for _, unit := range units {
		for lang, texts := range languages {
			if texts.count("time."+unit.name, 1) == "" || texts.count("time."+unit.name, 2) == "" {
				t.Errorf("%s lacks a plural form of %s", lang, unit.name)
			}
		}
	}
}
