package pages

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"shorepass/internal/duration"
	"shorepass/policy"
	"shorepass/session"
)

// maxTokenName bounds the name of a personal access token, in bytes, as it is stored.
const maxTokenName = 100

// untilDate is the Lifetime of a form that has a date.
const untilDate = "date"

// tokenForm is the form of a new personal access token, as it was filled in.
type tokenForm struct {
	Name         string
	Service      string // empty for all
	Repositories string // globs, one a line; empty for all
	Pull         bool
	Push         bool
	Delete       bool
	Lifetime     string // a duration of [Pages.lifetimes], or untilDate
	Date         string // 2006-01-02: the last day
}

// tokenErrors are sentences about the fields of a form, empty for those that are right.
type tokenErrors struct {
	Form         string // about all of it
	Name         string
	Service      string
	Repositories string
	Actions      string
	Lifetime     string
}

func readTokenForm(form url.Values) tokenForm {
	return tokenForm{
		Name: strings.TrimSpace(form.Get("name")), Service: form.Get("service"), Repositories: form.Get("repositories"),
		Pull: form.Has("pull"), Push: form.Has("push"), Delete: form.Has("delete"), Lifetime: form.Get("lifetime"), Date: form.Get("date"),
	}
}

// checkToken returns the token that a form asks for, or what is wrong with the form.
func (p *Pages) checkToken(t *texts, f tokenForm, now time.Time) (session.PAT, tokenErrors) {
	var services []string
	var faults tokenErrors
	faults.Name = checkTokenName(t, f.Name)
	if f.Service != "" {
		services = []string{f.Service}
		if _, ok := p.loginService(f.Service); !ok {
			faults.Service = t.get("token.service.unknown")
		}
	}
	repositories, fault := p.readRepositories(t, f.Repositories)
	faults.Repositories = fault
	actions := f.actions()
	if actions == nil {
		faults.Actions = t.get("token.actions.none")
	}
	lifetime, fault := p.readLifetime(t, f, now)
	faults.Lifetime = fault
	limits, err := policy.FormatLimits(services, repositories, actions)
	if err != nil && faults == (tokenErrors{}) { // each of them is right by itself
		faults.Repositories = t.get("token.repositories.too_many")
	}
	return session.PAT{Label: f.Name, Limits: limits, Lifetime: lifetime}, faults
}

func checkTokenName(t *texts, name string) string {
	switch {
	case name == "":
		return t.get("token.name.missing")
	case len(name) > maxTokenName:
		return t.get("token.name.long")
	case strings.ContainsFunc(name, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }):
		return t.get("token.name.unprintable")
	}
	return ""
}

// actions returns the actions that a form names, or nil for none.
func (f tokenForm) actions() (all []string) {
	for _, one := range []struct {
		checked bool
		action  string
	}{{f.Pull, "pull"}, {f.Push, "push"}, {f.Delete, "delete"}} {
		if one.checked {
			all = append(all, one.action)
		}
	}
	return all
}

// readRepositories returns the globs of a field, one a line, nil for none, or what is wrong
// with the first that is no glob.
func (p *Pages) readRepositories(t *texts, field string) (globs []string, fault string) {
	for line := range strings.Lines(field) {
		glob := strings.TrimSpace(line)
		if glob == "" || slices.Contains(globs, glob) {
			continue
		}
		if !p.mayBeRepository(glob) {
			return nil, t.get("token.repositories.bad", glob)
		}
		globs = append(globs, glob)
	}
	return globs, ""
}

// mayBeRepository reports whether a glob can match a repository. People copy names with
// the registry in front or a tag behind, with which a glob would match nothing.
func (p *Pages) mayBeRepository(glob string) bool {
	_, err := policy.FormatLimits(nil, []string{glob}, nil)
	first, _, _ := strings.Cut(glob, "/")
	return err == nil && !strings.ContainsAny(glob, ":@") && !slices.Contains(p.tokenHosts(""), first)
}

// lifetimes returns the lifetimes that the form offers, the shortest first: those of a week,
// a month and a quarter that session.pat_lifetime allows, and that itself.
func (p *Pages) lifetimes() (all []time.Duration) {
	const day = 24 * time.Hour
	for _, one := range []time.Duration{7 * day, 30 * day, 90 * day} {
		if one < p.Session.PATLifetime {
			all = append(all, one)
		}
	}
	return append(all, p.Session.PATLifetime)
}

// defaultLifetime returns the Lifetime of a new form: a month, or less where no more is
// allowed.
func (p *Pages) defaultLifetime() string {
	all := p.lifetimes()
	return duration.Format(all[min(1, len(all)-1)])
}

// readLifetime returns the lifetime that a form asks for, or what is wrong with it.
func (p *Pages) readLifetime(t *texts, f tokenForm, now time.Time) (time.Duration, string) {
	if f.Lifetime == untilDate {
		return p.readDate(t, f.Date, now)
	}
	for _, one := range p.lifetimes() {
		if duration.Format(one) == f.Lifetime {
			return one, ""
		}
	}
	return 0, t.get("token.lifetime.unknown")
}

// readDate returns the lifetime until the end of a day in UTC, which is at most
// session.pat_lifetime.
func (p *Pages) readDate(t *texts, date string, now time.Time) (time.Duration, string) {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return 0, t.get("token.date.bad")
	}
	lifetime := day.AddDate(0, 0, 1).Sub(now)
	switch last := now.Add(p.Session.PATLifetime).UTC(); {
	case lifetime <= 0:
		return 0, t.get("token.date.past")
	case day.After(last):
		return 0, t.get("token.date.late", last.Format(time.DateOnly))
	}
	return min(lifetime, p.Session.PATLifetime), ""
}
