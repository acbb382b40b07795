package pages

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"shorepass/session"
)

// loginsPerPage bounds the list of logins: a machine may log in a thousand times, and a page
// stays small.
const loginsPerPage = 15

// meView is the data of me.html.
type meView struct {
	Provider   string // what people call the person's provider
	Services   []serviceView
	Logins     []loginView // one page of them, the newest first
	Count      int         // of all logins
	Newer      int         // the page of newer logins; 0 for none
	Older      int         // the page of older logins; 0 for none
	Ended      []loginView // the newest
	EndedCount int
	JustEnded  string // that the person ended some a moment ago; empty otherwise
	HasStamp   bool   // the provider tells when the password changes
	Contact    string
}

// serviceView is a service that a person can log in to.
type serviceView struct {
	Name    string
	Host    string   // what people call it
	Others  []string // its other hosts
	Command string   // docker login -u alice registry.corp.example
}

// showMe answers GET /me: a person's logins, and how to make another.
func (p *Pages) showMe(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.signedIn(ctx, v)
	if err != nil {
		return nil, err
	}
	live, ended, err := p.logins(ctx, web)
	if err != nil {
		return nil, err
	}
	data := meView{
		Provider: p.label(web.Identity.Provider), Services: p.serviceViews(web.Identity.User), Count: len(live), EndedCount: len(ended),
		HasStamp: web.Identity.Stamp != "", Contact: p.Contact,
	}
	page := pageOf(v.Request.URL.Query().Get("page"), len(live))
	shown := live[min((page-1)*loginsPerPage, len(live)):min(page*loginsPerPage, len(live))]
	for i := range shown {
		data.Logins = append(data.Logins, p.login(v.text, &shown[i], web, v.Now))
	}
	data.Newer = page - 1
	if page*loginsPerPage < len(live) {
		data.Older = page + 1
	}
	if n := countJustEnded(ended, web.Identity.User, v.Now); n > 0 {
		data.JustEnded = v.text.count("me.just_ended", n)
	}
	for i := range ended[:min(len(ended), loginsPerPage)] {
		data.Ended = append(data.Ended, p.login(v.text, &ended[i], web, v.Now))
	}
	return p.page(v, http.StatusOK, "me", view{Title: v.text.get("me.title"), Person: web.Identity.User, Data: data}), nil
}

// countJustEnded returns how many sessions the person ended within the last minute, which
// confirms a revocation to the person who comes back from it.
func countJustEnded(ended []session.Session, user string, now time.Time) (n int) {
	for i := range ended {
		if ended[i].By == user && now.Sub(ended[i].Ended) < time.Minute {
			n++
		}
	}
	return n
}

// pageOf returns the number of a page of the list, from 1, for what the request asks.
func pageOf(asked string, logins int) int {
	page, _ := strconv.Atoi(asked)
	return max(1, min(page, (logins+loginsPerPage-1)/loginsPerPage))
}

// serviceViews returns the services that people can log in to: those with a host, since a
// host that the configuration does not name may be another's.
func (p *Pages) serviceViews(user string) (all []serviceView) {
	for _, s := range p.Services {
		if len(s.Hosts) > 0 {
			all = append(all, serviceView{s.Name, s.Hosts[0], s.Hosts[1:], loginCommand("docker login", user, s.Hosts[0])})
		}
	}
	return all
}

// label returns what people call a provider.
func (p *Pages) label(provider string) string {
	if found := p.provider(provider); found != nil {
		return found.Label
	}
	return provider
}
