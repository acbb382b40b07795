package oidc_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

// TestGraph: the groups that Entra ID leaves out of a token, as Graph has them. devs
// and ops are alice's, boss is another's, and Admins is the name of two groups.
func TestGraph(t *testing.T) {
	devs, ops, boss, real, fake := guid(1), guid(2), guid(3), guid(4), guid(5)
	tokenHas := func(extra map[string]any) map[string]any {
		claims := map[string]any{"oid": aliceOID}
		maps.Copy(claims, extra)
		return claims
	}
	tests := []struct {
		name     string
		change   func(*oidc.Config)
		claims   map[string]any
		groups   []string
		unsure   []string
		requests []string
		warning  string
	}{
		{name: "overage", claims: overage, groups: []string{devs, ops, fake}, requests: []string{"transitiveMemberOf"}},
		{name: "hasgroups", claims: tokenHas(map[string]any{"hasgroups": true}), groups: []string{devs, ops, fake}, requests: []string{"transitiveMemberOf"}},
		{name: "no claim at all", claims: tokenHas(nil), groups: []string{devs, ops, fake}, requests: []string{"transitiveMemberOf"}},
		{name: "no claim, which is optional", change: func(c *oidc.Config) { c.Groups.Optional = true }, claims: tokenHas(nil)},
		{name: "all groups in the token", claims: tokenHas(map[string]any{"groups": []string{devs}}), groups: []string{devs}},
		{name: "only IDs", change: by("id", ops, boss), claims: overage, groups: []string{ops}, requests: []string{"checkMemberGroups"}},
		{name: "only IDs and a glob", change: by("id", ops, boss, "x*"), claims: overage, groups: []string{ops}, requests: []string{"transitiveMemberOf"}},
		{name: "IDs are renamed", change: func(c *oidc.Config) { c.Groups.Rename = map[string]string{devs: "devs"} }, claims: overage, groups: []string{ops, fake, "devs"}, requests: []string{"transitiveMemberOf"}},
		{name: "names", change: by("name", "devs", "o*"), claims: overage, groups: []string{"devs", "ops 'n' co"}, requests: []string{"transitiveMemberOf", "groups"}},
		{name: "names, though the token has IDs", change: by("name", "devs"), claims: tokenHas(map[string]any{"groups": []string{devs}}), groups: []string{"devs"}, requests: []string{"transitiveMemberOf", "groups"}},
		{name: "a name of two groups", change: by("name", "devs", "admins"), claims: overage, groups: []string{"devs"}, unsure: []string{"admins"}, requests: []string{"transitiveMemberOf", "groups"}},
		{name: "names in the token", claims: tokenHas(map[string]any{"groups": []string{"contractors"}}), groups: []string{"contractors"}, unsure: []string{"*"}, warning: "object IDs"},
		{name: "names in the token, dropped", change: by("id", devs), claims: tokenHas(map[string]any{"groups": []string{"contractors", devs}}), groups: []string{devs}},
		{name: "no oid", claims: map[string]any{"hasgroups": true}, unsure: []string{"*"}, warning: "oid"},
		{name: "an oid that is a path", claims: map[string]any{"hasgroups": true, "oid": "../groups/" + boss}, unsure: []string{"*"}, warning: "oid"},
	}
	e := startEntra(t)
	e.graph.AddGroup(devs, "devs", aliceOID)
	e.graph.AddGroup(ops, "ops 'n' co", aliceOID)
	e.graph.AddGroup(boss, "boss", guid(0xb))
	e.graph.AddGroup(real, "Admins", guid(0xb))
	e.graph.AddGroup(fake, "admins", aliceOID) // made by alice
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e.setClaims(tt.claims)
			e.graph.Requests()
			e.tokenRequests()
			p := e.provider(t, tt.change)
			log := logged(p)
			check := func(how string, id *providers.Identity, err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if !cmp.Equal(id.Groups, tt.groups) || !cmp.Equal(id.Unsure, tt.unsure) {
					t.Errorf("%s: groups %q, unsure %q, want %q and %q", how, id.Groups, id.Unsure, tt.groups, tt.unsure)
				}
			}
			id, err := authenticate(t.Context(), p, offline("alice", "pw"))
			check("login", id, err)
			var paths []string
			for _, request := range e.graph.Requests() {
				path := strings.Fields(request)[1]
				paths = append(paths, path[strings.LastIndex(path, "/")+1:])
			}
			if !cmp.Equal(paths, tt.requests) {
				t.Errorf("requests %q, want %q", paths, tt.requests)
			}
			id, err = p.Revalidate(t.Context(), id)
			check("refresh", id, err)
			id, err = p.RedeemRefreshToken(t.Context(), secret.New("r"))
			check("refresh token as the password", id, err)
			id, err = present(p, t, e.issuer.IDToken(maps.Clone(tt.claims)))
			check("ID token", id, err)
			if lines := strings.Count(log.String(), "\n"); tt.warning == "" && lines > 0 || tt.warning != "" && (lines != 1 || !strings.Contains(log.String(), tt.warning)) {
				t.Errorf("the log is %q, want one line with %q", log, tt.warning)
			}
			if n := len(e.tokenRequests()); n > 1 || n == 0 && len(tt.requests) > 0 {
				t.Errorf("%d access tokens for Graph were requested, want one", n)
			}
		})
	}
}

// TestGraphRequests: the requests as Microsoft documents them.
func TestGraphRequests(t *testing.T) {
	e := startEntra(t)
	var many []string
	for n := range 45 {
		e.graph.AddGroup(guid(n), fmt.Sprint("g", n), aliceOID)
		many = append(many, guid(n))
	}
	login(t, e.provider(t, nil), password("alice", "pw"))
	list := "GET /v1.0/users/" + aliceOID + "/transitiveMemberOf "
	if got, want := e.graph.Requests(), []string{list + "$select=id&$top=999"}; !cmp.Equal(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
	if got := e.tokenRequests(); !cmp.Equal(got, []string{e.graph.URL + "/.default"}) {
		t.Errorf("scopes of the access token: %q, want the default of Graph", got)
	}
	if id := login(t, e.provider(t, by("id", many...)), password("alice", "pw")); len(id.Groups) != 45 {
		t.Errorf("%d groups, want 45", len(id.Groups))
	}
	if got := e.graph.Requests(); len(got) != 3 || got[0] != "POST /v1.0/users/"+aliceOID+"/checkMemberGroups" {
		t.Errorf("requests %q, want three batches of 20", got)
	}
	e.graph.SetPageSize(20)
	p := e.provider(t, by("name", "g1", "g2"))
	if id := login(t, p, password("alice", "pw")); !cmp.Equal(id.Groups, []string{"g1", "g2"}) {
		t.Errorf("groups %q, want g1 and g2", id.Groups)
	}
	names := list + "$select=id,displayName&$top=250"
	want := []string{names, names + "&$skiptoken=20", names + "&$skiptoken=40", "GET /v1.0/groups $filter=displayName in ('g1','g2')&$select=id,displayName&$top=250"}
	got := e.graph.Requests()
	for i := range got {
		got[i] = strings.Replace(got[i], "$select=id,displayName&$skiptoken=20&$top=250", "$select=id,displayName&$top=250&$skiptoken=20", 1)
		got[i] = strings.Replace(got[i], "$select=id,displayName&$skiptoken=40&$top=250", "$select=id,displayName&$top=250&$skiptoken=40", 1)
	}
	if !cmp.Equal(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
	login(t, p, password("alice", "pw"))
	if got := e.graph.Requests(); len(got) != 3 {
		t.Errorf("requests %q, want no second look-up of the names", got)
	}
}

// TestGraphNamesakes: a person who makes a group called like one that rules name gains
// nothing, and loses no deny rule, even while the name is cached.
func TestGraphNamesakes(t *testing.T) {
	long := strings.Repeat("x", 121) // which no filter of Graph takes
	for _, tt := range []struct{ name, mine, other string }{
		{"another case", "ADMINS", "Admins"}, {"a blank at an end", "admins ", "admins"}, {"the same", "admins", "admins"}, {"decomposed", "cafe\u0301", "caf\u00e9"}, {"too long", long, long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := startEntra(t)
			bobOID := guid(0xb)
			e.graph.AddGroup(guid(1), tt.other, bobOID)
			p := e.provider(t, func(c *oidc.Config) { c.Groups.By, c.IgnoreCase = "name", true })
			e.setClaims(map[string]any{"oid": bobOID})
			id := login(t, p, password("bob", "pw"))
			if sure := len(id.Groups) == 1 && id.Unsure == nil; sure != (tt.other != long) {
				t.Errorf("bob's groups %q, unsure %q", id.Groups, id.Unsure)
			}
			e.graph.AddGroup(guid(2), tt.mine, aliceOID) // while the name is cached
			e.setClaims(map[string]any{"oid": aliceOID})
			if id := login(t, p, password("alice", "pw")); len(id.Groups) != 0 || len(id.Unsure) != 1 {
				t.Errorf("alice's groups %q, unsure %q, want her own in unsure", id.Groups, id.Unsure)
			}
			e.setClaims(map[string]any{"oid": bobOID})
			if id := login(t, p, password("bob", "pw")); len(id.Groups) != 0 || len(id.Unsure) != 1 {
				t.Errorf("bob's groups %q, unsure %q, want the name in unsure", id.Groups, id.Unsure)
			}
		})
	}
	e := startEntra(t) // many groups with spellings of one name, which a filter could not hold
	for n := range 30 {
		e.graph.AddGroup(guid(n), "admins"+strings.Repeat(" ", n), aliceOID)
	}
	if id := login(t, e.provider(t, by("name")), password("alice", "pw")); len(id.Groups) != 0 || !cmp.Equal(id.Unsure, []string{"admins"}) {
		t.Errorf("groups %q, unsure %q, want admins in unsure", id.Groups, id.Unsure)
	}
}

// TestGraphBound: a person in more groups than are read is unsure of every group.
func TestGraphBound(t *testing.T) {
	e := startEntra(t)
	for n := range 5001 {
		e.graph.AddGroup(guid(n), fmt.Sprint("g", n), aliceOID)
	}
	p := e.provider(t, nil)
	log := logged(p)
	if id := login(t, p, password("alice", "pw")); len(id.Groups) != 5000 || !cmp.Equal(id.Unsure, []string{"*"}) || !strings.Contains(log.String(), "groups.only") {
		t.Errorf("%d groups, unsure %q, log %q, want 5,000 and unsure of every group", len(id.Groups), id.Unsure, log)
	}
	if id := login(t, e.provider(t, by("id", guid(5000))), password("alice", "pw")); !cmp.Equal(id.Groups, []string{guid(5000)}) || id.Unsure != nil {
		t.Errorf("groups %q, unsure %q, want the one that only names", id.Groups, id.Unsure)
	}
}

// TestGraphFailures: what Graph may answer. A transient failure is an outage, which
// counts as no attempt, so that rights do not flap; a missing permission is not.
func TestGraphFailures(t *testing.T) {
	const (
		unavailable = iota
		rejected
		unsure
	)
	answer := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, line := range header {
				name, value, _ := strings.Cut(line, ": ")
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return answer(code, `{"error":{"code":"X","message":"app-token"}}`, header...)
	}
	next := func(address string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			serveJSON(map[string]any{"value": []any{}, "@odata.nextLink": address})(w, r)
		}
	}
	elsewhere := oidctest.NewGraph(t, "none")
	e := startEntra(t)
	e.graph.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   int
		text   string // in the error, or in the log
		after  int    // requests to Graph of a second login
	}{
		{"missing permission", status(403), unsure, "GroupMember.Read.All", 1},
		{"forbidden by a proxy", answer(403, "<html>"), unavailable, "403", 1},
		{"no such user", answer(404, `{"error":{"code":"Request_ResourceNotFound","message":"app-token"}}`), rejected, aliceOID, 1},
		{"no such path, at another host", status(404), unavailable, "404", 1},
		{"not found by a proxy", answer(404, "<html>"), unavailable, "404", 1},
		{"rate limit", status(429, "Retry-After: 7"), unavailable, "429", 0},
		{"rate limit without a time", status(429), unavailable, "429", 0},
		{"overload", status(503, "Retry-After: 7"), unavailable, "503", 0},
		{"error", status(500), unavailable, "500", 1},
		{"bad request", status(400), unavailable, "400", 1},
		{"redirect", status(302, "Location: "+elsewhere.URL), unavailable, "302", 1},
		{"token refused for good", status(401), unavailable, "401", 2},
		{"not JSON", serveText("<html>"), unavailable, "malformed", 1},
		{"no list", serveText(`{}`), unavailable, "it has no list", 1},
		{"null", serveText(`null`), unavailable, "it has no list", 1},
		{"no list but null", serveText(`{"value":null}`), unavailable, "it has no list", 1},
		{"an error with 200", serveText(`{"error":{"code":"X","message":"app-token"}}`), unavailable, "it has no list", 1},
		{"no ID", serveText(`{"value":[{"displayName":"admins"}]}`), unavailable, "malformed", 1},
		{"broken off", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, unavailable, "", 1},
		{"next page elsewhere", next(elsewhere.URL + "/v1.0/users"), unavailable, "another host", 1},
		{"next page in plain http", next("http://127.0.0.1/v1.0/users"), unavailable, "another host", 1},
		{"too large", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1<<20)) }, unavailable, "bytes", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.graph.Answer(tt.answer)
			p := e.provider(t, nil)
			log := logged(p)
			id, err := authenticate(t.Context(), p, offline("alice", "pw"))
			text := fmt.Sprint(err, log)
			switch {
			case tt.want == unsure && (err != nil || id.Groups != nil || !cmp.Equal(id.Unsure, []string{"*"})):
				t.Errorf("Authenticate = %v, %v, want unsure of every group", id, err)
			case tt.want == rejected && (!errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != providers.RefusedByConfig):
				t.Errorf("Authenticate = %v, %v, want ErrRejected with RefusedByConfig", id, err)
			case tt.want == unavailable && (!isUnavailable(err) || providers.MayBeCounted(err)):
				t.Errorf("Authenticate = %v, %v, want unavailable, not counted", id, err)
			case !strings.Contains(text, tt.text) || strings.Contains(text, "app-token"):
				t.Errorf("error and log %q, want %q and no token", text, tt.text)
			}
			e.graph.Requests()
			if _, err := p.Revalidate(t.Context(), &providers.Identity{RefreshToken: secret.New("old")}); tt.want == rejected && !errors.Is(err, providers.ErrRejected) {
				t.Errorf("Revalidate = %v, want ErrRejected", err)
			} else if rotated, ok := errors.AsType[*providers.RotatedError](err); tt.want != unsure && (!ok || rotated.RefreshToken.Reveal() != "r") {
				t.Errorf("Revalidate = %v, want the new refresh token with it", err)
			}
			if n := len(e.graph.Requests()); n != tt.after {
				t.Errorf("%d requests of the second login, want %d", n, tt.after)
			}
			if n := len(elsewhere.Requests()); n > 0 {
				t.Errorf("%d requests to another host", n)
			}
		})
	}
}

// TestGraphLaterFailures: what no answer about a person's own groups is, never says that
// the person is gone, or in no group.
func TestGraphLaterFailures(t *testing.T) {
	for _, tt := range []struct {
		change func(*oidc.Config)
		path   string // of the request that fails
		status int
		body   string
	}{
		{by("id", guid(1)), "/checkMemberGroups", 200, `{}`},
		{by("id", guid(1)), "/checkMemberGroups", 200, `{"value":null}`},
		{by("id", guid(1)), "/checkMemberGroups", 403, `<html>`},
		{by("name"), "/transitiveMemberOf", 200, `{}`},
		{by("name"), "/v1.0/groups", 200, `{}`},
		{by("name"), "/v1.0/groups", 404, `{"error":{"code":"Request_ResourceNotFound"}}`},
	} {
		e := startEntra(t)
		e.graph.AddGroup(guid(1), "devs", aliceOID)
		e.graph.Fail(tt.path, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tt.status)
			fmt.Fprint(w, tt.body)
		})
		if id, err := authenticate(t.Context(), e.provider(t, tt.change), password("alice", "pw")); !isUnavailable(err) || providers.MayBeCounted(err) {
			t.Errorf("%s: %d %s: Authenticate = %v, %v, want unavailable, not counted", tt.path, tt.status, tt.body, id, err)
		}
	}
}

// TestGraphAvailability: an outage of Graph is logged when it begins and when it ends, and
// only where every login asks Graph is it one of the provider.
func TestGraphAvailability(t *testing.T) {
	for _, tt := range []struct{ by, down, log string }{
		{"id", "[]", "WARN Microsoft Graph is unavailable: people with more than 200 groups cannot log in\nINFO Microsoft Graph is available again\n"},
		{"name", "[sso]", "WARN a provider is unavailable\nINFO a provider is available again\n"},
	} {
		e := startEntra(t)
		var log strings.Builder
		p := e.provider(t, by(tt.by))
		config := providers.Config{Name: "sso", Kind: "oidc"}.WithDefaults()
		c, err := providers.NewChain([]providers.Member{{Provider: p, Config: config}}, providertest.NewThrottle(), providers.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		try := func(name string) error {
			_, err := c.Authenticate(t.Context(), c.Recognize(providers.Credential{Login: providers.Login(name), Secret: secret.New("pw " + name)}))
			return err
		}
		e.graph.Answer(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		for _, name := range []string{"a", "b"} {
			if err := try(name); !errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("by %s: Authenticate = %v, want ErrUnavailable", tt.by, err)
			}
		}
		if got := fmt.Sprint(c.Down()); got != tt.down {
			t.Errorf("by %s: Down() = %s, want %s", tt.by, got, tt.down)
		}
		e.graph.Answer(nil)
		for _, name := range []string{"a", "b"} {
			if err := try(name); err != nil {
				t.Errorf("by %s: Authenticate = %v", tt.by, err)
			}
		}
		var lines strings.Builder
		for _, m := range regexp.MustCompile(`level=(\w+) msg="([^"]*)"`).FindAllStringSubmatch(log.String(), -1) {
			lines.WriteString(m[1] + " " + m[2] + "\n")
		}
		if lines.String() != tt.log {
			t.Errorf("by %s: the log has\n%s, want\n%s", tt.by, log.String(), tt.log)
		}
	}
}

// TestGraphWithoutNames: a client that may not read groups sees their IDs alone.
func TestGraphWithoutNames(t *testing.T) {
	e := startEntra(t)
	e.graph.AddGroup(guid(1), "devs", aliceOID)
	e.graph.Answer(serveText(`{"value":[{"@odata.type":"#microsoft.graph.group","id":"` + guid(1) + `","displayName":null}]}`))
	p := e.provider(t, by("name", "devs"))
	log := logged(p)
	if id := login(t, p, password("alice", "pw")); id.Groups != nil || !cmp.Equal(id.Unsure, []string{"*"}) || !strings.Contains(log.String(), "GroupMember.Read.All") {
		t.Errorf("groups %q, unsure %q, log %q, want unsure of every group", id.Groups, id.Unsure, log)
	}
}

// TestGraphGroupIsGone: an ID in only that is no longer a group's is no reason to take
// the person for gone.
func TestGraphGroupIsGone(t *testing.T) {
	e := startEntra(t)
	for _, status := range []int{400, 404} {
		e.graph.Answer(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(status)
				return
			}
			serveJSON(map[string]any{"value": []any{map[string]any{"id": guid(1)}, map[string]any{"id": guid(2)}}})(w, r)
		})
		if id := login(t, e.provider(t, by("id", guid(1), guid(7))), password("alice", "pw")); !cmp.Equal(id.Groups, []string{guid(1)}) || id.Unsure != nil {
			t.Errorf("%d: groups %q, unsure %q, want the one that is left", status, id.Groups, id.Unsure)
		}
	}
}

// TestGraphPing: check --live tells whether Graph will answer at a login.
func TestGraphPing(t *testing.T) {
	e := startEntra(t)
	for _, tt := range []struct {
		name   string
		change func(*oidc.Config)
		status int // of Graph; 0 for its own answer
		body   string
		want   string
	}{
		{"well", nil, 0, "", "Microsoft Graph: the client may read groups"},
		{"no permission", nil, 403, `{"error":{"code":"Authorization_RequestDenied"}}`, "warning (groups.graph): Microsoft Graph refuses"},
		{"down", nil, 500, "", "warning (groups.graph): people with more than 200 groups cannot log in"},
		{"another host", nil, 200, "{}", "warning (groups.graph): people with more than 200 groups cannot log in"},
		{"by name", by("name"), 0, "", "warning (groups.by): rules name groups by their display names"},
		{"by name, down", by("name"), 500, "", "fault (groups.graph): no groups can be read"},
		{"wrong client secret", func(c *oidc.Config) { c.ClientSecret = secret.New("old") }, 0, "", "warning (groups.graph): people with more than 200 groups cannot log in: Microsoft Graph: client credentials grant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.graph.Answer(nil)
			if tt.status > 0 {
				e.graph.Answer(func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(tt.status)
					fmt.Fprint(w, tt.body)
				})
			}
			found, err := e.provider(t, tt.change).Ping(t.Context())
			if err != nil || !strings.Contains("\n"+found.String(), "\n"+tt.want) {
				t.Errorf("Ping = %v, %v, want %q", found, err, tt.want)
			}
		})
	}
}

// TestGraphConfig: what check says of the keys of Graph.
func TestGraphConfig(t *testing.T) {
	for _, tt := range []struct {
		change func(*oidc.Config)
		want   string // "" for no fault
	}{
		{func(c *oidc.Config) {}, ""},
		{func(c *oidc.Config) { c.Groups.Graph += "/" }, ""},
		{func(c *oidc.Config) { c.Groups.Graph = "http://graph.microsoft.com" }, "groups.graph"},
		{func(c *oidc.Config) { c.Groups.Graph = "https://graph.microsoft.com/v1.0" }, "groups.graph"},
		{func(c *oidc.Config) { c.Groups.Graph = "graph.microsoft.com" }, "groups.graph"},
		{func(c *oidc.Config) { c.Groups.Graph = "https://a@graph.microsoft.com" }, "groups.graph"},
		{func(c *oidc.Config) { c.ClientSecret = secret.Text{} }, "groups.graph"},
		{func(c *oidc.Config) { c.Groups.Claim = "roles" }, "groups.claim"},
		{by("sam"), "groups.by"},
		{func(c *oidc.Config) { c.Groups.Claim, c.Groups.Graph, c.Groups.By = "groups", "", "id" }, "groups.by"},
		{func(c *oidc.Config) { c.Groups.Rename = map[string]string{guid(1): "devs"} }, ""},
		{func(c *oidc.Config) { c.Groups.By, c.Groups.Rename = "name", map[string]string{"a": "b"} }, "groups.rename"},
		{by("name", guid(1)), "groups.only[0]"},
		{by("id", strings.ToUpper(guid(10))), "groups.only[0]"},
		{func(c *oidc.Config) { by("id", strings.ToUpper(guid(10)))(c); c.IgnoreCase = true }, ""},
	} {
		cfg := oidc.Config{Issuer: "https://login.microsoftonline.com/t/v2.0", ClientID: "c", ClientSecret: secret.New("s"), Grants: []string{"password"}}
		cfg.Groups.Graph = "https://graph.microsoft.com"
		tt.change(&cfg)
		var keys []string
		cfg.WithDefaults().Validate(func(key, _ string) { keys = append(keys, key) })
		if got := strings.Join(keys, " "); got != tt.want {
			t.Errorf("faults at %q, want %q: %+v", got, tt.want, cfg.Groups)
		}
	}
}
