package pages

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/providers/file"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
	"shorepass/session"
)

// openIDSite is the pages with a real OpenID provider, as two clients of it, and a file of
// local users.
type openIDSite struct {
	*browser
	op       *oidctest.Server
	person   *oidctest.Browser
	sessions *testSessions
	clients  map[string]oidctest.Client
	sent     []int // statuses of answers to the provider's logout tokens
}

func newOpenIDSite(t *testing.T, change func(*oidctest.Options)) *openIDSite {
	t.Helper()
	s := &openIDSite{browser: &browser{t: t}, clients: map[string]oidctest.Client{}, person: oidctest.NewBrowser(t, "alice", "alice's pass")}
	backChannel := httptest.NewServer(http.HandlerFunc(s.serveBackChannel))
	t.Cleanup(backChannel.Close)
	options := oidctest.Options{Users: []oidctest.User{{Name: "alice", Password: "alice's pass", Subject: "alice-1", Email: "alice@corp.example", Groups: []string{"devs"}}}}
	for _, name := range []string{"sso", "lab"} {
		client := oidctest.Client{
			ID: "page-" + name, Secret: "secret of " + name, Redirects: []string{origin + "/login/" + name + "/callback"},
			PostLogoutRedirects: []string{origin + "/logout"}, BackchannelLogoutURI: backChannel.URL + "/logout/" + name,
		}
		s.clients[name] = client
		options.Clients = append(options.Clients, client)
	}
	if change != nil {
		change(&options)
	}
	s.op = oidctest.Start(t, options)
	s.serve(s.op.Issuer)
	return s
}

// newFormSite returns pages whose provider is not there: the form does not need it.
func newFormSite(t *testing.T) *openIDSite {
	s := &openIDSite{browser: &browser{t: t}}
	s.serve("http://127.0.0.1:1")
	return s
}

// serve builds the pages with a provider of that issuer.
func (s *openIDSite) serve(issuer string) {
	s.t.Helper()
	chain := newRealChain(s.t, issuer, s.clients)
	s.sessions = newTestSessions(s.t, chain, secret.Text{})
	p, err := New(Options{
		Config: Config{}.WithDefaults(), Origin: &url.URL{Scheme: "https", Host: "auth.corp.example"},
		Providers: chain, Sessions: s.sessions, Admin: s.sessions, Rights: rightsOf(&policy.Policy{}), HasRights: hasRightsOf(&policy.Policy{}),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.browser = newBrowser(s.t, p)
	s.now = s.sessions.Sessions.Now()
}

// newRealChain returns the chain of a file and an OpenID provider by each name.
func newRealChain(t testing.TB, issuer string, clients map[string]oidctest.Client) *providers.Chain {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := file.Config{Config: providers.Config{Name: "local", Kind: "file"}, Users: []file.User{
		{Name: "root", Password: secret.New(string(hash))}, {Name: "admin", Password: secret.New(string(hash))},
	}}.WithDefaults()
	local, err := file.New(users)
	if err != nil {
		t.Fatal(err)
	}
	members := []providers.Member{{Provider: local, Config: users.Config.WithDefaults()}}
	for _, name := range []string{"sso", "lab"} {
		cfg := oidc.Config{
			Config: providers.Config{Name: name, Kind: "oidc", Prefix: new(name + ":")}, Issuer: issuer, Label: "The " + name,
			ClientID: "page-" + name, ClientSecret: secret.New(clients[name].Secret), Grants: []string{"browser", "refresh_token"},
		}.WithDefaults()
		provider, err := oidc.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, providers.Member{Provider: provider, Config: cfg.Config.WithDefaults()})
	}
	chain, err := providers.NewChain(members, providertest.NewThrottle(), providers.Options{Log: slog.New(slog.DiscardHandler), OurToken: session.Recognize})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
	})
	return chain
}

// serveBackChannel answers the provider as the server does.
func (s *openIDSite) serveBackChannel(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.t.Error(err)
	}
	response := s.pages.Serve(r.Context(), &Visit{Request: r, Form: r.PostForm, ID: "R2", Now: time.Now(), Client: session.Client{Address: netip.MustParseAddr("192.0.2.9")}})
	s.sent = append(s.sent, response.Status)
	w.WriteHeader(response.Status)
	_, _ = w.Write(response.Body)
}

// callback signs the person in at the provider, and returns where it sends the browser
// back to.
func (s *openIDSite) callback(target string) *url.URL {
	s.t.Helper()
	response := s.get(target)
	if response.Status != http.StatusSeeOther || !strings.HasPrefix(response.Location, s.op.Issuer) {
		s.t.Fatalf("GET %s: %d to %q\n%s", target, response.Status, response.Location, response.Body)
	}
	return s.person.SignIn(response.Location)
}

// signInAt signs the person in, and consents where that is asked for as well.
func (s *openIDSite) signInAt(target string) *Response {
	s.t.Helper()
	response := s.get(s.callback(target).RequestURI())
	if strings.HasPrefix(response.Location, s.op.Issuer) {
		response = s.get(s.person.SignIn(response.Location).RequestURI())
	}
	if response.Status != http.StatusSeeOther {
		s.t.Fatalf("GET %s, at last: %d\n%s", target, response.Status, response.Body)
	}
	return response
}

// A person signs in at a real provider, which gives a refresh token only with consent; logs
// out here, there, and is logged out by the provider.
func TestOpenIDStory(t *testing.T) {
	s := newOpenIDSite(t, nil)
	if got := s.signInAt("/login?provider=sso&hint=alice"); got.Location != "/me" {
		t.Errorf("signed in: to %s", got.Location)
	}
	if asked := s.op.LastAuthorization(); asked["prompt"] != "consent" || asked["login_hint"] != "alice" || asked["max_age"] != "600" {
		t.Errorf("the last authorization request is %v", asked)
	}
	live := s.sessions.live()
	if len(live) != 1 || live[0].Identity.User != "sso:alice" || s.op.LiveRefreshTokens("alice") != 1 || !live[0].Fresh(s.sessions.Sessions.Now()) {
		t.Errorf("sessions %+v; %d refresh tokens", live, s.op.LiveRefreshTokens("alice"))
	}
	if page := s.get("/me"); page.Status != http.StatusOK || !has(page, "sso:alice") {
		t.Errorf("GET /me: %d\n%s", page.Status, page.Body)
	}

	// The provider ends the person's session there.
	if sent := s.op.EndSessions("alice"); sent != 1 || len(s.sent) != 1 || s.sent[0] != http.StatusOK || len(s.sessions.live()) != 0 {
		t.Errorf("%d logout tokens were accepted, answers %v, live sessions %v", sent, s.sent, s.sessions.live())
	}
	if got := s.get("/me"); got.Location != "/login?to=me" {
		t.Errorf("GET /me after the logout: %d to %s", got.Status, got.Location)
	}

	// The person logs out here and there.
	s.signInAt("/login?provider=sso")
	page := s.post("/logout", "provider", "1")
	link := strings.Split(strings.SplitAfter(string(page.Body), "url=")[1], `"`)[0]
	back := s.person.LogOut(strings.ReplaceAll(link, "&amp;", "&"))
	if back == nil || back.String() != origin+"/logout" {
		t.Errorf("the provider sends the browser back to %v", back)
	}
	if got := s.get("/logout"); !has(got, "You are signed out") || len(s.sessions.live()) != 0 {
		t.Errorf("GET /logout: %s", got.Body)
	}

	// Refused consent.
	response := s.get("/login?provider=sso")
	if got := s.get(oidctest.NewBrowser(t, "alice", "alice's pass").Cancel(response.Location).RequestURI()); got.Status != http.StatusForbidden || !has(got, "was cancelled") {
		t.Errorf("after a refused login: %d\n%s", got.Status, got.Body)
	}
}

// A local user signs in by the form; the counters are those of docker login.
func TestFormStory(t *testing.T) {
	s := newFormSite(t)
	for range 3 {
		if got := s.post("/login", "login", "root", "password", "wrong "+randomText()); got.Status != http.StatusUnauthorized {
			t.Fatalf("a wrong password: %d", got.Status)
		}
	}
	got := s.post("/login", "login", "root", "password", "wrong too")
	if after := got.Header.Get("Retry-After"); got.Status != http.StatusTooManyRequests || after == "" || !has(got, "Too many wrong passwords") {
		t.Errorf("the fourth wrong password: %d, Retry-After %q\n%s", got.Status, after, got.Body)
	}
	if got := s.post("/login", "login", "admin", "password", "right"); got.Location != "/login?to=me&accepted" || s.visit.Record.Session.LoginName != "admin" {
		t.Errorf("%d to %s, %+v", got.Status, got.Location, s.visit.Record)
	}
	if page := s.get("/logout"); page.Status != http.StatusOK || has(page, "Sign out here and") {
		t.Errorf("a file has no logout: %d\n%s", page.Status, page.Body)
	}
}

// Attacks on what a real provider signs: each is an error page without a session, and the
// provider hears of a code at most once.
func TestProviderAttacks(t *testing.T) {
	s := newOpenIDSite(t, func(o *oidctest.Options) { o.TrustClients = true })
	query := func(back *url.URL, edit func(url.Values)) string {
		params := back.Query()
		edit(params)
		return back.Path + "?" + params.Encode()
	}
	for _, c := range []struct {
		name   string
		target func() string
		status int
		codes  int // sent to the provider
	}{
		{"the issuer is another (mix-up)", func() string {
			return query(s.callback("/login?provider=sso"), func(q url.Values) { q.Set("iss", "https://evil.example") })
		}, 401, 0},
		{"the issuer is left out", func() string {
			return query(s.callback("/login?provider=sso"), func(q url.Values) { q.Del("iss") })
		}, 401, 0},
		{"the code of another client at the same issuer", func() string {
			code := s.callback("/login?provider=lab").Query().Get("code")
			return query(s.callback("/login?provider=sso"), func(q url.Values) { q.Set("code", code) })
		}, 401, 1},
		{"the code of another sign-in of the same client (verifier and nonce)", func() string {
			code := s.callback("/login?provider=sso").Query().Get("code")
			return query(s.callback("/login?provider=sso"), func(q url.Values) { q.Set("code", code) })
		}, 401, 1},
		{"a code that was spent, in a sign-in that is good", func() string {
			back := s.callback("/login?provider=sso")
			s.get(back.RequestURI())
			s.post("/logout")
			s.op.Reset()
			return query(s.callback("/login?provider=sso"), func(q url.Values) { q.Set("code", back.Query().Get("code")) })
		}, 401, 1},
		{"a code of the attacker's making", func() string {
			return query(s.callback("/login?provider=sso"), func(q url.Values) { q.Set("code", "' OR 1=1 --") })
		}, 401, 1},
		{"an error beside the code", func() string {
			return query(s.callback("/login?provider=sso"), func(q url.Values) { q.Set("error", "access_denied") })
		}, 401, 0},
		{"an error of another issuer", func() string {
			return query(s.callback("/login?provider=sso"), func(q url.Values) {
				q.Del("code")
				q.Set("error", "access_denied")
				q.Set("iss", "https://evil.example")
			})
		}, 401, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.op.Reset()
			target := c.target()
			got := s.get(target)
			if got.Status != c.status || len(s.sessions.live()) != 0 || has(got, "evil") || has(got, "OR 1=1") {
				t.Errorf("status %d, want %d; sessions %v\n%s", got.Status, c.status, s.sessions.live(), got.Body)
			}
			if sent := s.op.Requests("token:authorization_code"); sent != c.codes {
				t.Errorf("%d codes were sent, want %d", sent, c.codes)
			}
		})
	}
}

// A logout token that is not the provider's, not for us, or not a logout token ends
// nothing; a right one ends its session, and the same one again ends no later session.
func TestLogoutTokenAttacks(t *testing.T) {
	s := newOpenIDSite(t, func(o *oidctest.Options) { o.TrustClients = true })
	s.signInAt("/login?provider=sso")
	if len(s.sessions.live()) != 1 {
		t.Fatal("no session")
	}
	sso := s.clients["sso"]
	about := map[string]any{"sub": "alice-1"}
	with := func(name string, value any) map[string]any { return map[string]any{"sub": "alice-1", name: value} }
	good := s.op.LogoutToken(sso, nil, about)
	parts := strings.Split(good, ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoibG9nb3V0K2p3dCJ9." + parts[1] + "."
	for name, token := range map[string]string{
		"another audience":         s.op.LogoutToken(s.clients["lab"], nil, about),
		"another issuer":           s.op.LogoutToken(sso, nil, with("iss", "https://evil.example")),
		"without events":           s.op.LogoutToken(sso, nil, with("events", nil)),
		"another event":            s.op.LogoutToken(sso, nil, with("events", map[string]any{"urn:other": map[string]any{}})),
		"an ID token in its place": s.op.Sign(nil, map[string]any{"iss": s.op.Issuer, "aud": sso.ID, "sub": "alice-1", "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60, "nonce": "n"}),
		"with a nonce":             s.op.LogoutToken(sso, nil, with("nonce", "n")),
		"expired":                  s.op.LogoutToken(sso, nil, map[string]any{"sub": "alice-1", "iat": time.Now().Unix() - 7200, "exp": time.Now().Unix() - 3600}),
		"nobody":                   s.op.LogoutToken(sso, nil, nil),
		"not signed":               none,
		"a signature of another":   parts[0] + "." + parts[1] + "." + strings.Split(s.op.LogoutToken(sso, nil, with("jti", "x")), ".")[2],
		"mangled":                  good[:len(good)-20],
		"no token":                 "logout",
		"long":                     strings.Repeat("a", 60_000),
		"with a space":             good + " ",
	} {
		if got := s.post("/logout/sso", "logout_token", token); got.Status != http.StatusBadRequest || len(s.sessions.live()) != 1 {
			t.Errorf("%s: %d %s; %d sessions", name, got.Status, got.Body, len(s.sessions.live()))
		}
	}
	if got := s.post("/logout/lab", "logout_token", good); got.Status != http.StatusBadRequest || len(s.sessions.live()) != 1 {
		t.Errorf("a good one at the other provider: %d; %d sessions", got.Status, len(s.sessions.live()))
	}
	if got := s.post("/logout/sso", "logout_token", s.op.LogoutToken(sso, nil, map[string]any{"sub": "bob-1"})); got.Status != http.StatusOK || len(s.sessions.live()) != 1 {
		t.Errorf("of another person: %d; %d sessions", got.Status, len(s.sessions.live()))
	}
	old := s.op.LogoutToken(sso, nil, with("iat", time.Now().Add(-2*time.Minute).Unix()))
	if got := s.post("/logout/sso", "logout_token", old); got.Status != http.StatusOK || len(s.sessions.live()) != 1 {
		t.Errorf("of before the sign-in, as in a replay: %d; %d sessions", got.Status, len(s.sessions.live()))
	}
	if got := s.post("/logout/sso", "logout_token", good); got.Status != http.StatusOK || len(s.sessions.live()) != 0 || *s.visit.Record.Ended != 1 {
		t.Errorf("a good one: %d %s; %d sessions", got.Status, got.Body, len(s.sessions.live()))
	}
	if got := s.post("/logout/sso", "logout_token", good); got.Status != http.StatusOK || *s.visit.Record.Ended != 0 {
		t.Errorf("the same again: %d", got.Status)
	}
}

// A provider that is down is a page; a person signs in once it is back, and the sign-in in
// progress survives.
func TestProviderIsDown(t *testing.T) {
	s := newOpenIDSite(t, func(o *oidctest.Options) { o.TrustClients = true })
	back := s.callback("/login?provider=sso")
	s.op.Fail("token", http.StatusBadGateway, "canary", 1)
	if got := s.get(back.RequestURI()); got.Status != http.StatusServiceUnavailable || has(got, "canary") || !errors.Is(s.visit.Record.Err, providers.ErrUnavailable) {
		t.Errorf("%d, %v\n%s", got.Status, s.visit.Record.Err, got.Body)
	}
	s.op.Release()
	s.signInAt("/login?provider=sso")
}

// TestSignInTransactions: a sign-in at a provider costs the store two write transactions, the
// session and its first use. Where the person is asked for consent in a second round, the
// session of the first is replaced, so that a refused consent leaves them signed in.
func TestSignInTransactions(t *testing.T) {
	for name, c := range map[string]struct {
		options func(*oidctest.Options)
		create  uint64
	}{
		"a refresh token in the first round": {func(o *oidctest.Options) { o.TrustClients = true }, 1},
		"a refresh token by consent":         {nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOpenIDSite(t, c.options)
			s.signInAt("/login?provider=sso")
			if got := s.get("/me"); got.Status != http.StatusOK {
				t.Fatalf("/me: %d", got.Status)
			}
			calls := func(operation string) uint64 { return s.sessions.Stats().Store[operation].Count }
			for deadline := time.Now().Add(10 * time.Second); calls("last_use") == 0 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond) // it is written in the background
			}
			for operation, want := range map[string]uint64{"create": c.create, "last_use": 1, "end": 0, "lease": 0, "answer": 0, "find": 1, "list": 1} {
				if got := calls(operation); got != want {
					t.Errorf("%d calls of %s, want %d", got, operation, want)
				}
			}
		})
	}
}
