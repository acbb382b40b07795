package oidctest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Graph is a fake of Microsoft Graph, with what shorepass asks of it, since Entra ID
// cannot be run: a user's groups, whole or of a list, and the groups of a name. It
// accepts one access token.
type Graph struct {
	URL    string
	Server *httptest.Server

	mu       sync.Mutex
	token    string
	names    map[string]string   // display names of groups, by ID
	members  map[string][]string // group IDs, by user ID
	roles    map[string][]string // IDs of directory roles, by user ID
	pageSize int
	answer   http.HandlerFunc // in place of the own one, for paths that end with failing; nil for none
	failing  string
	requests []string // method, path, and decoded query
}

// NewGraph starts a Graph that accepts an access token, until the test ends. It speaks
// TLS with the certificate of every [httptest.Server].
func NewGraph(tb testing.TB, token string) *Graph {
	tb.Helper()
	g := &Graph{token: token, names: map[string]string{}, members: map[string][]string{}, roles: map[string][]string{}}
	g.Server = httptest.NewTLSServer(g)
	g.URL = g.Server.URL
	tb.Cleanup(g.Server.Close)
	return g
}

// AddGroup adds a group and its members.
func (g *Graph) AddGroup(id, displayName string, users ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names[id] = displayName
	for _, user := range users {
		g.members[user] = append(g.members[user], id)
	}
}

// AddUser adds a user without groups, and with the directory roles of these IDs.
func (g *Graph) AddUser(id string, roles ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[id], g.roles[id] = append([]string{}, g.members[id]...), roles
}

// SetPageSize bounds the entries of a page, below what a request allows.
func (g *Graph) SetPageSize(entries int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pageSize = entries
}

// SetToken sets the only access token that is accepted from now on.
func (g *Graph) SetToken(token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.token = token
}

// Answer sets the answer to every request; nil restores the original ones.
func (g *Graph) Answer(h http.HandlerFunc) { g.Fail("", h) }

// Fail sets the answer to every request of a path that ends with suffix; nil restores
// the original one.
func (g *Graph) Fail(suffix string, h http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer, g.failing = h, suffix
}

// Requests returns the requests since the last call: "GET /v1.0/groups $top=250".
func (g *Graph) Requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.requests
	g.requests = nil
	return all
}

// ServeHTTP implements [http.Handler].
func (g *Graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	query, _ := url.QueryUnescape(r.URL.RawQuery)
	g.requests = append(g.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+query))
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1.0/"), "/")
	switch {
	case g.answer != nil && strings.HasSuffix(r.URL.Path, g.failing):
		g.answer(w, r)
	case r.Header.Get("Authorization") != "Bearer "+g.token:
		graphError(w, http.StatusUnauthorized, "InvalidAuthenticationToken")
	case len(parts) == 1 && parts[0] == "groups":
		g.page(w, r, g.named(r.URL.Query().Get("$filter")))
	case len(parts) != 3 || parts[0] != "users":
		graphError(w, http.StatusBadRequest, "BadRequest")
	case g.members[parts[1]] == nil:
		graphError(w, http.StatusNotFound, "Request_ResourceNotFound")
	case parts[2] == "transitiveMemberOf":
		g.page(w, r, append(g.objects(g.roles[parts[1]], "#microsoft.graph.directoryRole"), g.objects(g.members[parts[1]], "#microsoft.graph.group")...))
	case parts[2] == "checkMemberGroups" && r.Method == http.MethodPost:
		g.check(w, r, g.members[parts[1]])
	default:
		graphError(w, http.StatusBadRequest, "BadRequest")
	}
}

func (g *Graph) objects(ids []string, kind string) []map[string]any {
	var all []map[string]any
	for _, id := range ids {
		all = append(all, map[string]any{"@odata.type": kind, "id": id, "displayName": g.names[id]})
	}
	return all
}

// named returns the groups of a filter "displayName in ('a','b')", which compares
// without case.
func (g *Graph) named(filter string) []map[string]any {
	list := strings.TrimSuffix(strings.TrimPrefix(filter, "displayName in ("), ")")
	var ids []string
	for id, name := range g.names {
		if slices.ContainsFunc(strings.Split(list, "','"), func(text string) bool {
			return strings.EqualFold(strings.ReplaceAll(strings.Trim(text, "'"), "''", "'"), name)
		}) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return g.objects(ids, "#microsoft.graph.group")
}

// page writes the page that $top and the address of the last page ask for, with the
// members that $select names.
func (g *Graph) page(w http.ResponseWriter, r *http.Request, all []map[string]any) {
	query := r.URL.Query()
	size, _ := strconv.Atoi(query.Get("$top"))
	if g.pageSize > 0 {
		size = g.pageSize
	}
	from, _ := strconv.Atoi(query.Get("$skiptoken"))
	to := min(from+size, len(all))
	selected := append(strings.Split(query.Get("$select"), ","), "@odata.type")
	page := []map[string]any{}
	for _, one := range all[from:to] {
		shown := map[string]any{}
		for _, name := range selected {
			shown[name] = one[name]
		}
		page = append(page, shown)
	}
	answer := map[string]any{"value": page}
	if to < len(all) {
		query.Set("$skiptoken", strconv.Itoa(to))
		answer["@odata.nextLink"] = fmt.Sprintf("https://%s%s?%s", r.Host, r.URL.Path, query.Encode())
	}
	writeJSON(w, answer)
}

// check answers checkMemberGroups, for up to 20 groups.
func (g *Graph) check(w http.ResponseWriter, r *http.Request, groups []string) {
	var asked struct {
		GroupIDs []string `json:"groupIds"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || len(asked.GroupIDs) > 20 {
		graphError(w, http.StatusBadRequest, "Request_BadRequest")
		return
	}
	in := slices.DeleteFunc(asked.GroupIDs, func(id string) bool { return !slices.Contains(groups, id) })
	writeJSON(w, map[string]any{"value": in})
}

func graphError(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": code, "message": "as Graph says it"}})
}
