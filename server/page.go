package server

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shorepass/providers"
	"shorepass/registry"
	"shorepass/server/pages"
	"shorepass/session"
)

// maxPageForm bounds the form that is posted to a page, in bytes. A logout token has a
// few thousand.
const maxPageForm = 64 << 10

// newPages builds the pages of a generation, and what depends on their URL. There are none
// where no service has hosts, or no page can be at the first of server.public_urls.
func (s *Server) newPages(gen *Generation) error {
	origin, err := gen.Config.PagesOrigin()
	if err != nil || !slices.ContainsFunc(gen.Services, hasHosts) {
		return nil
	}
	contact := gen.Config.Contact
	if contact == defaultContact {
		contact = "" // pages have it in the person's language
	}
	gen.pages, err = pages.New(pages.Options{
		Config: gen.PageConfig, Origin: origin, Contact: contact, Services: pageServices(gen.Services),
		Providers: gen.Chain, Sessions: s.sessions, Admin: s.admin, Rights: gen.rights, HasRights: gen.hasRights, Session: gen.SessionConfig,
	})
	if err != nil {
		return err
	}
	gen.pagesOrigin = origin
	s.metrics.expectSignIns(gen.Chain.BrowserProviders())
	if len(gen.Chain.BrowserProviders()) > 0 {
		gen.signInURL = signInURL(origin)
	}
	return nil
}

// CheckPages returns the URL of the sign-in page, or "" where no pages will be served. It
// builds the pages without what they need for a request: the error is a fault of [pages].
func CheckPages(cfg Config, services []registry.Service, look pages.Config) (string, error) {
	origin, err := cfg.PagesOrigin()
	if err != nil || !slices.ContainsFunc(services, hasHosts) {
		return "", nil
	}
	if _, err := pages.New(pages.Options{Config: look, Origin: origin}); err != nil {
		return "", err
	}
	return signInURL(origin), nil
}

// SignInPage returns the URL of the sign-in page, or "" where no pages are served.
func (g *Generation) SignInPage() string {
	if g.pages == nil {
		return ""
	}
	return signInURL(g.pagesOrigin)
}

func signInURL(origin *url.URL) string { return origin.JoinPath("/login").String() }

// hasHosts reports whether people know a service by name. One that is disabled keeps the
// pages: people end their logins there, and providers theirs, most of all after an incident.
func hasHosts(one registry.Service) bool { return len(one.Hosts) > 0 }

// pageServices returns the services for which people sign in with a browser.
func pageServices(all []registry.Service) []pages.Service {
	var services []pages.Service
	for _, one := range all {
		if hasHosts(one) && !one.Disabled {
			services = append(services, pages.Service{Name: one.Name, Hosts: one.Hosts})
		}
	}
	return services
}

// hasPage reports whether a request is for a page. One to / may be a token request whose
// realm lacks the path.
func (g *Generation) hasPage(r *http.Request) bool {
	return g.pages != nil && g.pages.Has(r.URL.Path) && (r.URL.Path != "/" || !isTokenRequest(r))
}

// servePage answers a request to a page: it reads the form, has the pages answer, writes
// the audit line of what was done, and then the response.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request, gen *Generation) {
	req := newRequest("", s.sessions.Now(), newOrigin(r, gen.trustedProxies))
	s.begin(w, req)
	defer s.limitBody(r).release()
	if gen.isElsewhere(r) && !isBackChannel(r) {
		s.warnOfHost(gen, r, req)
		s.metrics.countRoute(routePages, gen.leadToPage(w, r))
		return
	}
	visit := &pages.Visit{
		Request: r, ID: req.line.Request, Now: req.storeTime,
		Client: session.Client{Address: req.origin.peer, UserAgent: req.origin.userAgent},
	}
	var response *pages.Response
	err := catchPanic(func() error {
		response = gen.visit(w, visit)
		return nil
	})
	if err != nil {
		visit.Record.Err, response = err, &pages.Response{Status: http.StatusInternalServerError}
	}
	s.finishVisit(w, r, gen, req, visit, response)
}

// visit reads the form of a visit and returns the pages' response. A form that cannot be
// read is nil.
func (g *Generation) visit(w http.ResponseWriter, visit *pages.Visit) *pages.Response {
	r := visit.Request
	if r.Method == http.MethodPost {
		var err error
		visit.Form, err = readForm(w, r, maxPageForm)
		if errors.Is(err, errTooManyBodies) {
			visit.Record.Err = fmt.Errorf("%w: %w", providers.ErrUnavailable, err)
			return g.pages.Problem(visit, visit.Record.Err)
		}
	}
	return g.pages.Serve(r.Context(), visit)
}

// finishVisit records a visit and writes its response.
func (s *Server) finishVisit(w http.ResponseWriter, r *http.Request, gen *Generation, req *request, visit *pages.Visit, response *pages.Response) {
	done := &visit.Record
	failure := httpError{status: response.Status, cause: done.Err, message: http.StatusText(response.Status)}
	if done.Err != nil && r.Context().Err() != nil {
		failure.status = statusClientClosed
	}
	if done.Action != "" {
		req.noteVisit(gen, s.audit.allGroups, done)
		if err := req.record(s.audit, failure.status); err != nil {
			err = fmt.Errorf("%w: %w", providers.ErrUnavailable, err)
			response = gen.pages.Problem(visit, err)
			failure = httpError{status: response.Status, cause: err}
		}
	}
	if failure.cause != nil {
		s.logFailure(r, req, failure)
	}
	s.metrics.observeVisit(gen, done, failure.status)
	writePage(w, response)
}

// noteVisit records what a visit did.
func (r *request) noteVisit(gen *Generation, allGroups bool, done *pages.Record) {
	l := &r.line
	l.Action, l.Account, l.Service, l.Ended = string(done.Action), auditText(done.Account), done.Service, done.Ended
	l.Asked, l.UserAgent = auditTexts(done.Asked), auditText(r.origin.userAgent)
	caller := principal{identity: done.Identity, session: done.Session}
	r.notePrincipal(caller)
	if done.Action == pages.ActionSignIn {
		l.TokenType = "" // the session was made
	}
	if done.Identity == nil {
		l.Provider = done.Provider
	}
	if done.Target != nil {
		l.Target = newAuditTarget(done.Target)
	}
	if done.Err != nil {
		l.Reason = auditText(done.Err.Error())
	}
	r.noteGroupsAndClaims(gen, allGroups, caller, caller.policyRequest(&question{}, r.origin, r.storeTime))
}

// isElsewhere reports whether a request came by another host than the pages'. A trusted
// proxy may have replaced the host by one of its own.
func (g *Generation) isElsewhere(r *http.Request) bool {
	host := originOf(&url.URL{Scheme: g.pagesOrigin.Scheme, Host: r.Host}).Host
	if host == g.pagesOrigin.Host {
		return false
	}
	_, isPublic := g.publicURLs[host]
	return isPublic || !isFromProxy(r, g.trustedProxies)
}

// warnOfHost logs, once a minute, that a page was asked for under a name that the
// configuration does not have. Mostly a proxy in front writes its own name into Host: the
// browser then goes round in a circle, and only the log can say why.
func (s *Server) warnOfHost(gen *Generation, r *http.Request, req *request) {
	if _, isPublic := gen.publicURLs[originOf(&url.URL{Scheme: gen.pagesOrigin.Scheme, Host: r.Host}).Host]; isPublic {
		return
	}
	if dropped, ok := s.wrongHosts.admit("", time.Now()); ok {
		s.log.Warn("a page was asked for under a name that is not in server.public_urls, and the browser sent to the first of them; "+
			"if it goes round in a circle, have the proxy in front pass the Host on, or add it to server.trusted_proxies",
			"host", auditText(r.Host), "address", req.line.Address, "not_logged", dropped)
	}
}

// isBackChannel reports whether a request is that of a provider that ends sessions. It
// carries no cookie, and may come by a name for machines.
func isBackChannel(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/logout/")
}

// leadToPage answers a request for a page under another host, and returns the status: 303
// to the page, or 404 where the request is no GET. Nothing of the request but path and
// query is in the location, and the path is that of a page.
func (g *Generation) leadToPage(w http.ResponseWriter, r *http.Request) int {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, errNoPath)
		return errNoPath.status
	}
	to := url.URL{Scheme: g.pagesOrigin.Scheme, Host: g.pagesOrigin.Host, Path: r.URL.Path, RawQuery: r.URL.Query().Encode()}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusSeeOther)
	return http.StatusSeeOther
}

// writePage writes the response of the pages.
func writePage(w http.ResponseWriter, response *pages.Response) {
	h := w.Header()
	maps.Copy(h, response.Header)
	for _, cookie := range response.Cookies {
		http.SetCookie(w, cookie)
	}
	if response.Location != "" {
		h.Set("Location", response.Location)
	}
	if h.Get("Content-Type") == "" && len(response.Body) > 0 {
		h.Set("Content-Type", "text/html; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(response.Body)))
	w.WriteHeader(response.Status)
	_, _ = w.Write(response.Body) // an error means that the client is gone
}
