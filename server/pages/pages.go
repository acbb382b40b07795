package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/session"
)

// Providers is the part of [providers.Chain] that the pages need.
type Providers interface {
	BrowserProviders() []providers.BrowserProvider
	OffersForm() bool
	AuthorizationURL(ctx context.Context, provider string, request providers.AuthorizationRequest) (string, error)
	SignIn(ctx context.Context, provider string, response providers.AuthorizationResponse) (*providers.SignedIn, error)
	SignInByForm(ctx context.Context, credential providers.Credential) (*providers.Identity, error)
	LogoutURL(ctx context.Context, provider, returnTo string) (string, error)
	VerifyLogoutToken(ctx context.Context, provider string, token secret.Text) (*providers.LogoutToken, error)
}

// Sessions is the part of [session.Sessions] that the pages need.
type Sessions interface {
	Redeem(ctx context.Context, token secret.Text, service string, client session.Client, kinds ...session.Kind) (*session.Session, error)
	IssueBrowser(ctx context.Context, id *providers.Identity, sid string, replaced secret.Text, client session.Client) (*session.Session, error)
	IssueOneTimePassword(ctx context.Context, from *session.Session, service string) (secret.Text, error)
	IssuePAT(ctx context.Context, from *session.Session, pat session.PAT, client session.Client) (*session.Session, error)
	RevokeProviderToken(id *providers.Identity)
	HoldsProviderToken(ctx context.Context, id *providers.Identity) (bool, error)
	Seal(purpose string, plain []byte) ([]byte, error)
	Open(purpose string, sealed []byte) ([]byte, error)
}

// Admin is the part of [session.Admin] that the pages need.
type Admin interface {
	// List returns the sessions that sel selects, the newest first.
	List(ctx context.Context, sel session.Selector) ([]session.Session, error)

	// ListPerson returns the sessions of a person, live ones and those that ended.
	ListPerson(ctx context.Context, provider, subject string) (*session.PersonSessions, error)

	// Inspect returns the session behind a token that could be redeemed. It asks no
	// provider, and does not count as a use of the token.
	Inspect(ctx context.Context, token secret.Text) (*session.Session, error)

	// Revoke ends the sessions that sel selects and returns their number. When it
	// returns, every replica refuses their tokens.
	Revoke(ctx context.Context, sel session.Selector, by string) (int, error)

	// RevokeToken ends the session behind a token. It is idempotent: was is the session
	// before the call, and ended is false if it had ended already.
	RevokeToken(ctx context.Context, token secret.Text, by string) (was *session.Session, ended bool, err error)
}

var (
	_ Providers = (*providers.Chain)(nil)
	_ Sessions  = (*session.Sessions)(nil)
	_ Admin     = (*session.Admin)(nil)
)

// Service is a registry for which people sign in.
type Service struct {
	Name  string
	Hosts []string // what people call it, as in docker login HOST; the first is shown first
}

// Options are what the pages are built from. A reload builds new ones.
type Options struct {
	Config    Config
	Origin    *url.URL // the first of server.public_urls, at which alone the pages are
	Contact   string   // whom people ask; empty for the operators, in the language of the page
	Services  []Service
	Providers Providers
	Sessions  Sessions
	Admin     Admin
	Rights    func(*providers.Identity) policy.Rights // what the rules grant a person today
	HasRights func(*providers.Identity) bool          // whether they grant anything; much cheaper
	Session   session.Config                          // lifetimes that pages show
}

// Pages are the pages of one loaded configuration. They are safe for concurrent use.
type Pages struct {
	Options
	routes     map[string]route
	protection *http.CrossOriginProtection
	brand      brand
	assets     []asset
}

// handler answers one visit. An error becomes a page in problem.go.
type handler func(*Pages, context.Context, *Visit) (*Response, error)

// visitTimeout bounds a visit. It is longer than the chain of providers may take.
const visitTimeout = 15 * time.Second

// Serve answers a visit. It returns a page for every error and every panic of a handler,
// so that the response is never nil.
func (p *Pages) Serve(ctx context.Context, v *Visit) *Response {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	v.text = languageOf(v.Request.Header.Get("Accept-Language"))
	response, err := p.serve(ctx, v)
	if err != nil {
		response = p.errorPage(v, err)
	}
	if err != nil && response.Status >= http.StatusBadRequest { // not a redirect to the sign-in page
		v.Record.Err = err
	}
	return p.finish(v, response)
}

// finish adds to a response what each has.
func (p *Pages) finish(v *Visit, response *Response) *Response {
	response.Cookies = append(response.Cookies, v.cookies...)
	if response.Header == nil {
		response.Header = http.Header{}
	}
	setSecurityHeaders(response.Header)
	return response
}

func (p *Pages) serve(ctx context.Context, v *Visit) (_ *Response, err error) {
	defer func() {
		if found := recover(); found != nil {
			err = fmt.Errorf("panic: %v\n%s", found, debug.Stack())
		}
	}()
	found, provider := p.route(v.Request.URL.Path)
	if found == nil {
		return nil, errNotFound
	}
	method := v.Request.Method
	if method == http.MethodHead && !found.once {
		method = http.MethodGet
	}
	handle := found.methods[method]
	if handle == nil {
		return nil, methodProblem(found)
	}
	if isPrefetch(v.Request) && !found.prefetch {
		return &Response{Status: http.StatusForbidden}, nil
	}
	if method == http.MethodPost && !found.crossOrigin && p.isCrossOrigin(v.Request) {
		return nil, errCrossOrigin
	}
	if method == http.MethodPost && v.Form == nil && !found.crossOrigin { // which answers a machine
		return nil, errMalformed
	}
	v.Request.SetPathValue("provider", provider)
	return handle(p, ctx, v)
}

// isPrefetch reports whether a browser sends a request before the person wants the page
// (Fetch, section 3.8, Sec-Purpose). A page would count as seen, and a code be spent. The
// browser drops an answer that is an error, and asks again when the person does.
func isPrefetch(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Sec-Purpose"), "prefetch")
}

// isCrossOrigin reports whether a page of another origin sends a POST. Where the browser
// sends no Sec-Fetch-Site, the standard library compares hosts alone, so that http is refused
// here: a stranger on the network can write such a page.
func (p *Pages) isCrossOrigin(r *http.Request) bool {
	isPlain := p.secure() && strings.HasPrefix(r.Header.Get("Origin"), "http:")
	return isPlain || p.protection.Check(r) != nil
}

// showHome answers GET /.
func (p *Pages) showHome(context.Context, *Visit) (*Response, error) { return redirect("/me"), nil }
