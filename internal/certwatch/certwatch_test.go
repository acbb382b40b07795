package certwatch

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// certificate returns a certificate that ends in left and was valid for validity.
func certificate(name string, left, validity time.Duration) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(left - validity), NotAfter: now.Add(left)}
}

// TestCheck: findings by use and time left (F6, E7).
func TestCheck(t *testing.T) {
	const year = 365 * day
	for _, tt := range []struct {
		name  string
		use   Use
		left  []time.Duration // of the certificates of one file
		valid time.Duration
		want  string // "threshold" or "ended" for each finding, with "!" for a fault
	}{
		{"a year left", Chain, []time.Duration{year}, 2 * year, ""},
		{"a moment more than 30 days", Chain, []time.Duration{30*day + 1}, year, ""},
		{"30 days", Chain, []time.Duration{30 * day}, year, "720h"},
		{"8 days", Chain, []time.Duration{8 * day}, year, "720h"},
		{"7 days", Chain, []time.Duration{7 * day}, year, "168h"},
		{"a day", Chain, []time.Duration{day}, year, "24h"},
		{"a moment", Chain, []time.Duration{1}, year, "24h"},
		{"ended now", Chain, []time.Duration{0}, year, "ended!"},
		{"ended", Chain, []time.Duration{-day}, year, "ended!"},
		{"an intermediate ended", Chain, []time.Duration{year, -day}, year, "ended!"},

		{"90 days, renewed at 30", Chain, []time.Duration{29 * day}, 90*day - 1, ""},
		{"90 days, not renewed", Chain, []time.Duration{7 * day}, 90*day - 1, "168h"},
		{"a day, from a vault", Chain, []time.Duration{8 * time.Hour}, day, ""},
		{"a day, from a vault, ended", Chain, []time.Duration{-1}, day, "ended!"},

		{"a root with a month left", Root, []time.Duration{30 * day}, year, "720h"},
		{"a root with a day left", Root, []time.Duration{day}, year, "24h!"},
		{"a root of a day", Root, []time.Duration{100 * time.Second}, day, "24h!"},
		{"a root, ended", Root, []time.Duration{-1}, year, "ended!"},

		{"not valid yet", Chain, []time.Duration{year}, year - time.Hour, "early!"},
		{"an authority is not valid yet, another is", Authorities, []time.Duration{year, year + day}, year, "early"},
		{"an authority ends", Authorities, []time.Duration{year, 6 * day}, year, "168h"},
		{"an authority ended, another is valid", Authorities, []time.Duration{-day, year}, year, "ended"},
		{"all authorities ended", Authorities, []time.Duration{-day, -year}, year, "ended! ended!"},
	} {
		f := File{Key: "k", Name: "f.crt", Use: tt.use}
		for _, left := range tt.left {
			f.Certificates = append(f.Certificates, certificate("a", left, tt.valid))
		}
		var got []string
		for _, found := range Check([]File{f}, now) {
			text := strings.TrimSuffix(strings.TrimSuffix(found.Within.String(), "0s"), "0m")
			if found.State != Ending {
				text = map[State]string{Ended: "ended", Early: "early"}[found.State]
			}
			if found.Fault {
				text += "!"
			}
			got = append(got, text)
			if found.Key != "k" || found.File != "f.crt" || !strings.Contains(found.Text, `"CN=a" in f.crt (k) `) {
				t.Errorf("%s: %+v", tt.name, found)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: findings %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestText(t *testing.T) {
	for use, want := range map[Use]string{
		Chain:       `the certificate "CN=a" in f (k) ends at 2026-12-03T12:00:00Z, in 6 days; replace it`,
		Root:        `the certificate "CN=a" in f (k) ends at 2026-12-03T12:00:00Z, in 6 days; make another root and give it to every registry first, with the old one in the same bundle`,
		Authorities: `the certificate "CN=a" in f (k) ends at 2026-12-03T12:00:00Z, in 6 days; replace it by the authority that peers use now, or take it out`,
	} {
		found := Check([]File{{Key: "k", Name: "f", Use: use, Certificates: []*x509.Certificate{certificate("a", 6*day, 365*day)}}}, now)
		if len(found) != 1 || found[0].Text != want {
			t.Errorf("use %d: %+v, want %s", use, found, want)
		}
	}
}

// TestLeft: a metric counts down to the end of the file. An authority that has ended is
// passed over while another is valid.
func TestNext(t *testing.T) {
	for _, tt := range []struct {
		use  Use
		left []time.Duration
		want time.Duration
	}{
		{Chain, []time.Duration{3 * day, 2 * day, 4 * day}, 2 * day},
		{Chain, []time.Duration{3 * day, -day}, -day},
		{Root, []time.Duration{3 * day}, 3 * day},
		{Authorities, []time.Duration{3 * day, 2 * day}, 2 * day},
		{Authorities, []time.Duration{3 * day, -day, 2 * day}, 2 * day},
		{Authorities, []time.Duration{-day, 3 * day, 2 * day}, 2 * day},
		{Authorities, []time.Duration{-day, -3 * day}, -day},
		{Authorities, []time.Duration{-3 * day, -day}, -day},
	} {
		f := File{Use: tt.use}
		for _, left := range tt.left {
			f.Certificates = append(f.Certificates, certificate("a", left, 365*day))
		}
		if got := f.Next(now).NotAfter.Sub(now); got != tt.want {
			t.Errorf("use %s, %v: Next ends in %v, want %v", tt.use, tt.left, got, tt.want)
		}
	}
}

// TestWatcher: each threshold is reported once, and a certificate that replaces another
// begins anew.
func TestWatcher(t *testing.T) {
	var w Watcher
	old, renewed := certificate("old", 40*day, 365*day), certificate("new", 400*day, 365*day)
	var got []string
	for _, step := range []struct {
		at time.Duration
		c  *x509.Certificate
	}{
		{0, old}, {10 * day, old}, {11 * day, old}, {33 * day, old}, {39 * day, old}, {39*day + time.Hour, old}, {40 * day, old}, {41 * day, old},
		{41 * day, renewed}, {380 * day, renewed}, {381 * day, renewed},
	} {
		files := []File{{Key: "k", Name: "f", Certificates: []*x509.Certificate{step.c}}}
		for _, f := range w.Due(Check(files, now.Add(step.at))) {
			got = append(got, fmt.Sprintf("%s at %d: %d", step.c.Subject.CommonName, step.at/day, f.Within/day))
		}
	}
	want := "old at 10: 30, old at 33: 7, old at 39: 1, old at 40: 0, new at 380: 30"
	if strings.Join(got, ", ") != want {
		t.Errorf("reported %s, want %s", strings.Join(got, ", "), want)
	}
}
