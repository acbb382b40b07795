package pages

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// maxHint bounds a login_hint, in bytes: an e-mail address is no longer (RFC 5321, section
// 4.5.3.1.3).
const maxHint = 254

// signInView is the data of signin.html.
type signInView struct {
	Providers []providerChoice // the one chosen last comes first
	Form      bool             // there is a form for login name and password, which is posted to /login
	To        string           // hidden field: name of the route to which the browser goes afterwards
	Login     string           // in the field: the hint, or what was typed
	Refused   string           // why the person was not signed in, a sentence; empty at first
}

// providerChoice is a provider on the sign-in page.
type providerChoice struct {
	Label string // what people call it
	URL   string // starts a sign-in there
	Last  bool   // the browser's last choice
}

// showSignIn answers GET /login: the page on which a person chooses a provider or fills in
// the form. Where there is nothing to choose, or the query names a provider, the browser
// goes straight there. After the form it goes on to the page that the person wanted.
func (p *Pages) showSignIn(ctx context.Context, v *Visit) (*Response, error) {
	query, err := queryOf(v.Request)
	if err != nil {
		return nil, err
	}
	s := pendingSignIn{Provider: query.Get("provider"), To: p.routeName(query.Get("to")), Hint: cleanHint(query.Get("hint"))}
	if query.Has(afterForm) {
		return p.leaveForm(v, s.To)
	}
	offered := p.Providers.BrowserProviders()
	if s.Provider == "" && len(offered) == 1 && !p.Providers.OffersForm() {
		s.Provider = offered[0].Name
	}
	if s.Provider == "" {
		return p.signInPage(v, http.StatusOK, signInView{To: s.To, Login: s.Hint}, s.Hint), nil
	}
	if !p.offers(s.Provider) {
		return nil, errUnknownProvider
	}
	return p.startSignIn(ctx, v, s)
}

// maxQuery bounds a query, in bytes. Codes of providers have up to 2,000.
const maxQuery = 8 << 10

// queryOf returns the query of a request.
func queryOf(r *http.Request) (url.Values, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, errMalformed
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errMalformed
	}
	return query, nil
}

// cleanHint returns a login_hint, or "" where it cannot be a login name.
func cleanHint(hint string) string {
	login, err := providers.ParseLogin(hint)
	if err != nil || len(login) > maxHint || strings.ContainsFunc(hint, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return string(login)
}

// offers reports whether people sign in with a browser at a provider.
func (p *Pages) offers(name string) bool { return p.provider(name) != nil }

// provider returns a provider that people sign in at with a browser, or nil.
func (p *Pages) provider(name string) *providers.BrowserProvider {
	for _, one := range p.Providers.BrowserProviders() {
		if one.Name == name {
			return &one
		}
	}
	return nil
}

// signInPage returns the sign-in page. The providers get the hint, and not what was typed
// into the form, which may be a password in the wrong field.
func (p *Pages) signInPage(v *Visit, status int, data signInView, hint string) *Response {
	last := p.cookieValue(v.Request, cookieProvider)
	for _, one := range p.Providers.BrowserProviders() {
		data.Providers = append(data.Providers, providerChoice{Label: one.Label, URL: signInPath(data.To, one.Name, hint), Last: one.Name == last})
	}
	slices.SortStableFunc(data.Providers, func(a, b providerChoice) int { return cmp.Compare(order(a), order(b)) })
	data.Form = p.Providers.OffersForm()
	return p.page(v, status, "signin", view{Title: v.text.get("sign_in.title"), Data: data})
}

// order sorts the last choice first.
func order(c providerChoice) int {
	if c.Last {
		return 0
	}
	return 1
}

// signInPath returns the path with which a sign-in starts. Each argument may be empty.
func signInPath(to, provider, hint string) string {
	query := url.Values{}
	for key, value := range map[string]string{"to": to, "provider": provider, "hint": hint} {
		if value != "" {
			query.Set(key, value)
		}
	}
	return (&url.URL{Path: "/login", RawQuery: query.Encode()}).String()
}

// signInByForm answers POST /login: a login name and a password.
func (p *Pages) signInByForm(ctx context.Context, v *Visit) (*Response, error) {
	if !p.Providers.OffersForm() {
		return nil, errNotFound
	}
	typed, to := v.Form.Get("login"), p.routeName(v.Form.Get("to"))
	v.Record.Action, v.Record.Account, v.Client.LoginName = ActionSignIn, typed, typed
	id, err := p.checkPassword(ctx, v, typed, secret.New(v.Form.Get("password")))
	if err != nil {
		return p.refuseForm(v, signInView{To: to, Login: cleanHint(typed)}, err)
	}
	if p.cookieValue(v.Request, cookieProvider) != "" {
		v.setCookie(p.deletion(cookieProvider)) // the form was the last choice
	}
	if _, err := p.beginSession(ctx, v, &providers.SignedIn{Identity: id}, to); err != nil {
		return nil, err
	}
	return redirect(signInPath(to, "", "") + "&" + afterForm), nil
}

// afterForm is in the query of GET /login after the form was accepted.
const afterForm = "accepted"

// leaveForm sends a browser whose person has signed in with the form on, if it has the
// cookie. One that refuses cookies would come back to an empty form, without a reason. A
// sign-in at a provider needs no such step: its callback needs a cookie.
func (p *Pages) leaveForm(v *Visit, to string) (*Response, error) {
	if p.sessionToken(v.Request).IsZero() {
		return nil, errNoCookies
	}
	return redirect(p.routePath(to)), nil
}

// checkPassword returns the person whose login name and password these are.
func (p *Pages) checkPassword(ctx context.Context, v *Visit, typed string, password secret.Text) (*providers.Identity, error) {
	login, err := providers.ParseLogin(typed)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", providers.ErrRejected, err)
	case login == "" || password.IsZero():
		return nil, fmt.Errorf("%w: login name or password is empty", providers.ErrRejected)
	case session.Recognize(password):
		return nil, fmt.Errorf("%w: the password is a token of shorepass", providers.ErrRejected)
	}
	return p.Providers.SignInByForm(ctx, providers.Credential{Login: login, Secret: password, Address: v.Client.Address})
}

// refuseForm returns the sign-in page with one sentence for every refusal, so that it does
// not tell which login names exist. The error of another failure is returned.
func (p *Pages) refuseForm(v *Visit, data signInView, err error) (*Response, error) {
	found := problemOf(err)
	switch found.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		found, data.Refused = errRejected, v.text.get("sign_in.rejected")
	case http.StatusServiceUnavailable:
		data.Refused = v.text.get("sign_in.unavailable")
	case http.StatusTooManyRequests:
		data.Refused = v.text.get("sign_in.too_many", int(math.Ceil(found.retryAfter.Minutes())))
	default:
		return nil, err
	}
	v.Record.Err = err
	response := p.signInPage(v, found.status, data, "")
	found.setHeader(response.Header)
	return response, nil
}

// beginSession makes the browser session of a person who signed in. It replaces that of
// the cookie which the browser had, whosever it was, so that no earlier cookie stays good.
func (p *Pages) beginSession(ctx context.Context, v *Visit, signedIn *providers.SignedIn, to string) (*Response, error) {
	v.Record.Identity = signedIn.Identity
	made, err := p.Sessions.IssueBrowser(ctx, signedIn.Identity, signedIn.SID, p.sessionToken(v.Request), v.Client)
	if err != nil {
		p.Sessions.RevokeProviderToken(signedIn.Identity)
		return nil, fmt.Errorf("make a browser session: %w", err)
	}
	v.Record.Session = made
	v.setCookie(p.cookie(cookieSession, made.Token.Reveal(), made.Expires.Sub(v.Now)))
	return redirect(p.routePath(to)), nil
}
