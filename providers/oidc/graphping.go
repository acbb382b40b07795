package oidc

import (
	"context"
	"net/http"
	"net/url"

	"shorepass/providers"
)

// ping requests an access token for Graph, if there is none, and the ID of one group.
func (g *graphGroups) ping(ctx context.Context) providers.Findings {
	if g == nil {
		return nil
	}
	var found providers.Findings
	if g.byName {
		found = append(found, providers.Warningf("groups.by", "rules name groups by their display names, and by default each person in Entra ID may create a group with any name: "+
			"turn that off there (security groups and Microsoft 365 groups), or use object IDs, to which groups.rename can give names"))
	}
	query := url.Values{"$select": {"id"}, "$top": {"1"}}
	var page struct {
		Value []struct{} `json:"value"`
	}
	err := g.request(ctx, http.MethodGet, g.address("/groups", query), nil, &page)
	if err == nil && page.Value == nil {
		err = errNoList
	}
	switch {
	case err == nil:
		return append(found, providers.Infof("Microsoft Graph: the client may read groups"))
	case saysForbidden(err):
		return append(found, providers.Warningf("groups.graph", "%s", graphForbidden))
	case g.byName: // every login asks Graph
		return append(found, providers.Faultf("groups.graph", "no groups can be read from Microsoft Graph: %v", err))
	}
	return append(found, providers.Warningf("groups.graph", "people with more than 200 groups cannot log in: Microsoft Graph: %v", err))
}
