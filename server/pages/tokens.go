package pages

import (
	"context"
	"errors"
	"net/http"
	"time"

	"shorepass/internal/duration"
	"shorepass/session"
)

// tokenFormView is the data of newtoken.html.
type tokenFormView struct {
	Form      tokenForm
	Errors    tokenErrors
	Services  []Service // those that a token can be for
	Unchecked string    // how long a token lasts at most, where the person's provider cannot be asked again; else empty
	Lifetimes []lifetimeChoice
	MinDate   string // of the field for a date, as in HTML
	MaxDate   string
	Preview   *previewView // what the token could do; nil until asked
}

// previewView is what a token could do today.
type previewView struct {
	Limits string
	Rights *rightsView // nil for nothing
}

// lifetimeChoice is a lifetime that the form offers.
type lifetimeChoice struct {
	Value string // as [tokenForm.Lifetime]
	Text  string // "30 days"
	Until moment
}

// showTokenForm answers GET /me/new-token. The query may name a service.
func (p *Pages) showTokenForm(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.fresh(ctx, v)
	if err != nil {
		return nil, err
	}
	query, err := queryOf(v.Request)
	if err != nil {
		return nil, err
	}
	form := tokenForm{Pull: true, Lifetime: p.defaultLifetime()}
	if _, ok := p.loginService(query.Get("service")); ok {
		form.Service = query.Get("service")
	}
	return p.tokenFormPage(v, web, http.StatusOK, tokenFormView{Form: form}), nil
}

// makeToken answers POST /me/new-token: it makes a personal access token and shows it, once.
// Where the form asks for a preview it shows what the token could do, and makes none.
func (p *Pages) makeToken(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.fresh(ctx, v)
	if err != nil {
		return nil, err
	}
	form := readTokenForm(v.Form)
	pat, faults := p.checkToken(v.text, form, v.Now)
	data := tokenFormView{Form: form, Errors: faults}
	if faults != (tokenErrors{}) {
		return p.tokenFormPage(v, web, http.StatusBadRequest, data), nil
	}
	rights, err := p.tokenRights(web.Identity, pat.Limits)
	if err != nil {
		return nil, err
	}
	preview := &previewView{p.describeLimits(v.text, pat.Limits), p.viewRights(v.text, rights)}
	if v.Form.Has("preview") {
		data.Preview = preview
		return p.tokenFormPage(v, web, http.StatusOK, data), nil
	}
	v.Record.Action, v.Record.Asked = ActionAccessToken, askedToken(pat, v.Now)
	made, err := p.Sessions.IssuePAT(ctx, web, pat, v.Client)
	if errors.Is(err, session.ErrTooMany) {
		v.Record.Err, data.Errors.Form = err, v.text.get("token.too_many")
		return p.tokenFormPage(v, web, http.StatusConflict, data), nil
	}
	if err != nil {
		return nil, err
	}
	v.Record.Target = made
	return p.tokenPage(v, web, form, pat.Lifetime, made, preview), nil
}

// tokenFormPage returns the page of the form.
func (p *Pages) tokenFormPage(v *Visit, web *session.Session, status int, data tokenFormView) *Response {
	for _, s := range p.Services {
		if len(s.Hosts) > 0 {
			data.Services = append(data.Services, s)
		}
	}
	for _, one := range p.lifetimes() {
		data.Lifetimes = append(data.Lifetimes, lifetimeChoice{duration.Format(one), v.text.length(one), v.text.moment(v.Now.Add(one), v.Now)})
	}
	data.Unchecked = p.unchecked(v.text, web)
	data.MinDate, data.MaxDate = v.Now.UTC().Format(time.DateOnly), v.Now.Add(p.Session.PATLifetime).UTC().Format(time.DateOnly)
	return p.page(v, status, "newtoken", view{Title: v.text.get("token.title"), Person: web.Identity.User, Data: data})
}
