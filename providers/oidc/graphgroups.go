package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"shorepass/providers"
)

// Values of Groups.By.
const (
	groupsByID   = "id"
	groupsByName = "name"
)

// Bounds of reading a person's groups from Graph. A page of names is smaller than
// the 999 entries that Graph allows, so that it fits into maxBody: a display name has
// up to 256 characters.
const (
	maxGraphGroups   = 5000
	maxGraphPages    = 64
	graphPageOfIDs   = 999
	graphPageOfNames = 250
	graphCheckBatch  = 20 // checkMemberGroups takes no more
)

// objectID matches the ID of an object in Entra ID, a GUID.
var objectID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// graphGroups reads the groups of people from Microsoft Graph. It is safe for
// concurrent use.
type graphGroups struct {
	*graph
	byName bool
	only   []string // the object IDs in groups.only, if by ID and there is nothing else
	namer  *providers.GroupNamer
	names  *graphNames

	log  *logger
	down atomic.Bool // see recordAvailability
}

// newGraphGroups returns a reader for the groups that namer keeps, or nil if
// groups.graph is not set.
func newGraphGroups(client *client, discovery *discovery, namer *providers.GroupNamer, log *logger) (*graphGroups, error) {
	g, err := newGraph(client, discovery)
	if g == nil || err != nil {
		return nil, err
	}
	groups := client.cfg.Groups
	read := &graphGroups{graph: g, byName: groups.By == groupsByName, namer: namer, names: newGraphNames(), log: log}
	if !read.byName && !slices.ContainsFunc(groups.Only, func(glob string) bool { return !objectID.MatchString(glob) }) {
		read.only = groups.Only
	}
	return read, nil
}

// graphProblem says why the groups of a person are not known, for reasons that do not
// pass by themselves. Then deny rules for any group apply to the person.
type graphProblem string

const (
	graphNoOID      graphProblem = `the token has no claim "oid" with an object ID, by which Microsoft Graph knows the person: put "profile" into scopes`
	graphForbidden  graphProblem = "Microsoft Graph refuses the groups of people to the client (403): give the client the application permissions GroupMember.Read.All and User.Read.All of Microsoft Graph, with admin consent"
	graphNoName     graphProblem = "Microsoft Graph does not show the client the names of groups: give the client the application permission GroupMember.Read.All of Microsoft Graph, with admin consent"
	graphIncomplete graphProblem = `the person is in more than 5,000 groups: with groups.by = "id", list the object IDs of the groups that rules name in groups.only`
	graphOtherNames graphProblem = `the token has groups by name, and Microsoft Graph would have them by ID: have Entra ID send the object IDs of groups, or set groups.by = "name"`
)

// find returns the groups of the person that the claims name. problem is why some may
// be missing, "" if none is. The error is a rejection if Graph knows no such user, and
// else means unavailable, marked with [providers.NotCounted].
func (g *graphGroups) find(ctx context.Context, sets claimSets) (found []providers.FoundGroup, problem graphProblem, err error) {
	_, value, _ := sets.find(claimPath{"oid"})
	oid, _ := value.(string)
	if !objectID.MatchString(oid) {
		return nil, graphNoOID, nil
	}
	found, complete, err := g.memberships(ctx, oid)
	if saysNotFound(err) {
		g.recordAvailability(nil)
		return nil, "", reject("Microsoft Graph has no user with the object ID %s of the claim oid", oid)
	}
	if err == nil && g.byName {
		if problem = g.checkNames(found); problem == "" {
			err = g.markNamesakes(ctx, found)
		}
	}
	g.recordAvailability(err)
	switch {
	case saysForbidden(err):
		return nil, graphForbidden, nil
	case err != nil:
		err = providers.NotCounted(fmt.Errorf("ask Microsoft Graph at %s: %w", g.host.Host, err))
		if !g.byName { // most logins do without Graph
			err = providers.SomeAccounts(err)
		}
		return nil, "", err
	case problem != "":
		return nil, problem, nil
	case !complete:
		problem = graphIncomplete
	}
	return found, problem, nil
}

// recordAvailability logs when Graph stops to answer and when it answers again. Where
// every login asks Graph, the chain does that for the provider.
func (g *graphGroups) recordAvailability(err error) {
	if g.byName || errors.Is(err, context.Canceled) {
		return
	}
	down := err != nil && !saysForbidden(err)
	if g.down.Swap(down) == down {
		return
	}
	if down {
		g.log.get().Warn("Microsoft Graph is unavailable: people with more than 200 groups cannot log in", "error", err)
		return
	}
	g.log.get().Info("Microsoft Graph is available again")
}

// checkNames returns a problem if a group has no name: Graph leaves out what the
// client may not read.
func (g *graphGroups) checkNames(found []providers.FoundGroup) graphProblem {
	if slices.ContainsFunc(found, func(one providers.FoundGroup) bool { return one.Name == "" }) {
		return graphNoName
	}
	return ""
}

// namesOthers reports whether the groups of a token, of those that only keeps, have
// names other than Graph would give: a rule that denies one of them would miss the
// people whose groups Graph tells.
func (g *graphGroups) namesOthers(found []providers.FoundGroup) bool {
	return slices.ContainsFunc(found, func(one providers.FoundGroup) bool {
		_, kept := g.namer.Name(one)
		return kept && !objectID.MatchString(one.Name)
	})
}

// memberships returns the groups that a user is in, directly or through other groups,
// and whether these are all, of those that groups.only keeps.
func (g *graphGroups) memberships(ctx context.Context, oid string) (found []providers.FoundGroup, complete bool, err error) {
	if len(g.only) == 0 {
		return g.list(ctx, oid)
	}
	found, err = g.check(ctx, oid)
	// An ID that is no longer a group's may be an error too. It must not be taken for
	// a user who is gone.
	if isGraphStatus(err, http.StatusNotFound) || isGraphStatus(err, http.StatusBadRequest) {
		return g.list(ctx, oid)
	}
	return found, true, err
}

// check asks which of the groups in only the user is in.
func (g *graphGroups) check(ctx context.Context, oid string) (found []providers.FoundGroup, err error) {
	address := g.address("/users/"+url.PathEscape(oid)+"/checkMemberGroups", nil)
	for batch := range slices.Chunk(g.only, graphCheckBatch) {
		var answer struct {
			Value []string `json:"value"`
		}
		if err := g.request(ctx, http.MethodPost, address, map[string][]string{"groupIds": batch}, &answer); err != nil {
			return nil, err
		}
		if answer.Value == nil {
			return nil, errNoList
		}
		for _, id := range batch { // in the spelling of only
			if slices.ContainsFunc(answer.Value, func(member string) bool { return strings.EqualFold(member, id) }) {
				found = append(found, providers.FoundGroup{Name: id})
			}
		}
	}
	return found, nil
}

// list returns the user's groups, and whether these are all. There is no OData cast
// to groups in the request: with one, Graph answers from an index that lags behind.
func (g *graphGroups) list(ctx context.Context, oid string) (found []providers.FoundGroup, complete bool, err error) {
	query := url.Values{"$select": {"id"}, "$top": {strconv.Itoa(graphPageOfIDs)}}
	if g.byName {
		query = url.Values{"$select": {"id,displayName"}, "$top": {strconv.Itoa(graphPageOfNames)}}
	}
	complete, err = g.pages(ctx, g.address("/users/"+url.PathEscape(oid)+"/transitiveMemberOf", query), func(one graphObject) bool {
		switch {
		case one.Type != "" && one.Type != "#microsoft.graph.group":
			return true // a directory role or an administrative unit
		case len(found) == maxGraphGroups:
			return false
		case g.byName:
			found = append(found, providers.FoundGroup{Name: one.DisplayName, ID: one.ID})
		default:
			found = append(found, providers.FoundGroup{Name: one.ID})
		}
		return true
	})
	return found, complete, err
}

// errNoList means that an answer of Graph, perhaps of a proxy in front of it, has no list.
// Taken for an empty one, it would turn off deny rules.
var errNoList = errors.New("malformed answer: it has no list of groups")

// graphObject is a group in an answer of Graph.
type graphObject struct {
	Type        string `json:"@odata.type"`
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// pages calls visit for each object of a list, until it returns false, and reports
// whether it was called for all. Pages are bounded, since Graph may send empty ones.
func (g *graph) pages(ctx context.Context, address string, visit func(graphObject) bool) (complete bool, err error) {
	for range maxGraphPages {
		var page struct {
			Value []graphObject `json:"value"`
			Next  string        `json:"@odata.nextLink"`
		}
		if err := g.request(ctx, http.MethodGet, address, nil, &page); err != nil {
			return false, err
		}
		if page.Value == nil {
			return false, errNoList
		}
		for _, one := range page.Value {
			if !objectID.MatchString(one.ID) {
				return false, errors.New("malformed answer: an object has no ID")
			}
			if !visit(one) {
				return false, nil
			}
		}
		switch {
		case page.Next == "":
			return true, nil
		case !g.isAddress(page.Next):
			return false, errors.New("the next page is on another host")
		}
		address = page.Next
	}
	return false, nil
}

// markNamesakes marks the groups as unsure whose name another group in Entra ID has
// too: by default each person may create groups there, with any name.
func (g *graphGroups) markNamesakes(ctx context.Context, found []providers.FoundGroup) error {
	own := make(map[string][]providers.FoundGroup, len(found))
	for _, one := range found {
		if _, kept := g.namer.Name(one); kept && utf8.RuneCountInString(one.Name) <= maxFilterName {
			own[nameKey(one.Name)] = append(own[nameKey(one.Name)], one)
		}
	}
	unique, err := g.names.unique(ctx, g.graph, own)
	if err != nil {
		return err
	}
	for i, one := range found {
		found[i].Unsure = !unique[nameKey(one.Name)]
	}
	return nil
}
