package pages

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"shorepass/session"
)

// Bounds of the lists of logins: a machine may log in a thousand times, and a page stays
// small.
const (
	loginsPerPage = 15
	endedShown    = 5
)

// meView is the data of me.html.
type meView struct {
	Provider  string // what people call the person's provider
	SignIn    string // path to sign in again, which making a password or token needs; empty while the session is fresh
	Unchecked string // how long a login made now lasts, where its provider cannot be asked again; else empty
	Services  []serviceView
	Logins    []loginView // one page of them, the newest first
	Count     int         // of all logins
	Newer     int         // the page of newer logins; 0 for none
	Older     int         // the page of older logins; 0 for none
	Unlisted  int         // logins that no page lists: there are too many
	Ended     []loginView // the newest
	EndedMore bool        // others are not shown
	JustEnded string      // that the person ended some a moment ago; empty otherwise
	HasStamp  bool        // the provider tells when the password changes
	HasRights bool        // the rules grant the person something
}

// serviceView is a service that a person can log in to.
type serviceView struct {
	Name   string
	Host   string   // what people call it
	Others []string // its other hosts
}

// showMe answers GET /me: a person's logins, and how to make another.
func (p *Pages) showMe(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.signedIn(ctx, v)
	if err != nil {
		return nil, err
	}
	all, err := p.Admin.ListPerson(ctx, web.Identity.Provider, web.Identity.Subject)
	if err != nil {
		return nil, err
	}
	data := meView{
		Provider: p.label(web.Identity.Provider), Services: p.serviceViews(), Unchecked: p.unchecked(v.text, web),
		HasStamp: web.Identity.Stamp != "", JustEnded: v.text.justEnded(all.Ended, web.Identity.User, v.Now),
		HasRights: p.HasRights(web.Identity),
	}
	if !web.Fresh(v.Now) {
		data.SignIn = p.signInAgainPath(routeMe, web)
	}
	p.listLogins(v, &data, all, web)
	return p.page(v, http.StatusOK, "me", view{Title: v.text.get("me.title"), Person: web.Identity.User, Data: data}), nil
}

// listLogins fills in one page of the live sessions, and the newest of those that ended.
func (p *Pages) listLogins(v *Visit, data *meView, all *session.PersonSessions, web *session.Session) {
	made, live := all.New(web.ID), all.Live
	views := func(sessions []session.Session) (views []loginView) {
		for i := range sessions {
			one := p.login(v.text, &sessions[i], web, v.Now)
			one.New = made[one.ID]
			views = append(views, one)
		}
		return views
	}
	page := pageOf(v.Request.URL.Query().Get("page"), len(live))
	data.Logins = views(live[min((page-1)*loginsPerPage, len(live)):min(page*loginsPerPage, len(live))])
	data.Newer = page - 1
	if page*loginsPerPage < len(live) {
		data.Older = page + 1
	} else {
		data.Unlisted = all.LiveCount - len(live)
	}
	data.Count = all.LiveCount
	data.Ended, data.EndedMore = views(all.Ended[:min(len(all.Ended), endedShown)]), len(all.Ended) > endedShown
}

// isUnchecked reports whether the OpenID provider of a session gave no refresh token with
// which it could be asked again. Then session.unchecked_lifetime bounds the session and what
// is made from it, from the first time that it would be asked on.
func (p *Pages) isUnchecked(s *session.Session) bool {
	return p.offers(s.Identity.Provider) && !s.HasProviderToken()
}

// expires returns when a session expires, as it will be known once its provider was to be
// asked again.
func (p *Pages) expires(s *session.Session) time.Time {
	if last := s.Created.Add(p.Session.UncheckedLifetime); p.isUnchecked(s) && last.Before(s.Expires) {
		return last
	}
	return s.Expires
}

// unchecked returns how long a login that is made now lasts, in words, if [Pages.isUnchecked];
// else "".
func (p *Pages) unchecked(t *texts, web *session.Session) string {
	if !p.isUnchecked(web) {
		return ""
	}
	return t.length(p.Session.UncheckedLifetime)
}

// justEnded confirms a revocation to the person who comes back from it: it says that they
// ended sessions within the last minute. It is empty where they ended none.
func (t *texts) justEnded(ended []session.Session, user string, now time.Time) string {
	n := 0
	for i := range ended {
		if ended[i].By == user && now.Sub(ended[i].Ended) < time.Minute {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return t.get("me.just_ended.one")
	}
	return t.get("me.just_ended.many")
}

// pageOf returns the number of a page of the list, from 1, for what the request asks.
func pageOf(asked string, logins int) int {
	page, _ := strconv.Atoi(asked)
	return max(1, min(page, (logins+loginsPerPage-1)/loginsPerPage))
}

// serviceViews returns the services that people can log in to: those with a host, since a
// host that the configuration does not name may be another's.
func (p *Pages) serviceViews() (all []serviceView) {
	for _, s := range p.Services {
		if len(s.Hosts) > 0 {
			all = append(all, serviceView{s.Name, s.Hosts[0], s.Hosts[1:]})
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
