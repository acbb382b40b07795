package pages

import (
	"context"
	"net/http"
	"slices"
)

// oneTimeView is the data of onetime.html.
type oneTimeView struct {
	Host     string
	Password string
	Docker   string // the command that asks for the password
	Nerdctl  string
	Stdin    string // the command that reads it from standard input
}

// makeOneTimePassword answers POST /me/one-time: it makes a one-time password for a
// service, and shows it once. The store has no readable form of it, so that the response has
// it rather than a page that the browser is sent to.
func (p *Pages) makeOneTimePassword(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.fresh(ctx, v)
	if err != nil {
		return nil, err
	}
	service, ok := p.loginService(v.Form.Get("service"))
	if !ok {
		return nil, errNotFound
	}
	v.Record.Action, v.Record.Service = ActionOneTimePassword, service.Name
	password, err := p.Sessions.IssueOneTimePassword(ctx, web, service.Name)
	if err != nil {
		return nil, err
	}
	host := service.Hosts[0]
	login := func(tool string, flags ...string) string {
		return loginCommand(tool, web.Identity.User, host, flags...)
	}
	return p.page(v, http.StatusOK, "onetime", view{
		Title: v.text.get("onetime.title", host), Person: web.Identity.User,
		Data: oneTimeView{
			Host: host, Password: password.Reveal(),
			Docker: login("docker login"), Nerdctl: login("nerdctl login"), Stdin: login("docker login", "--password-stdin"),
		},
	}), nil
}

// loginService returns the service of a name if people can log in to it: it has a host.
func (p *Pages) loginService(name string) (Service, bool) {
	i := slices.IndexFunc(p.Services, func(s Service) bool { return s.Name == name && len(s.Hosts) > 0 })
	if i < 0 {
		return Service{}, false
	}
	return p.Services[i], true
}
