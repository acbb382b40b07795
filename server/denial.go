package server

import (
	"fmt"
	"net/http"
	"slices"

	"shorepass/policy"
	"shorepass/registry"
)

// denial is a token request of an authenticated person who is granted nothing of what
// was asked. Without our sentence the client prints the registry's own words, that the
// repository does not exist or may require a login.
type denial struct {
	user    string           // the user name
	limited bool             // the credential is a token with limits of its own
	asked   []registry.Scope // repositories and what was asked on them
	rights  []registry.Access
	contact string
}

// deniable returns the repositories whose refusal is explained by a 403. There are none,
// and the answer is a token with an empty access, where
//
//   - server.explain_denials is off;
//   - the request is anonymous, which is told to log in;
//   - something was granted;
//   - the request asks for an offline token, since it is a login;
//   - no action on a named repository was asked: the catalog, a login without a scope.
func (g *Generation) deniable(q *question, caller principal, granted []registry.Access) []registry.Scope {
	if !*g.Config.ExplainDenials || caller.identity == nil || len(granted) > 0 || q.credential.offline {
		return nil
	}
	var asked []registry.Scope
	for _, scope := range q.scopes {
		if scope.Type == "repository" && scope.Name != "" && len(scope.Actions) > 0 {
			asked = append(asked, scope)
		}
	}
	return asked
}

// explainDenial returns the 403 of a request that is granted nothing, or nil where a
// token with an empty access is the answer. request is the request as the policy
// decided it.
func (g *Generation) explainDenial(q *question, caller principal, request policy.Request, decision policy.Decision) error {
	asked := g.deniable(q, caller, decision.Access)
	if len(asked) == 0 {
		return nil
	}
	request.Scopes = make([]registry.Scope, len(asked))
	for i, scope := range asked {
		scope.Actions = []string{"*"}
		request.Scopes[i] = scope
	}
	rights, err := caller.narrow(q.service, g.Policy.Decide(request))
	if err != nil {
		return err
	}
	d := denial{caller.user(), caller.session != nil && caller.session.Limits != "", asked, rights.Access, g.Config.Contact}
	if d.onlyLooks() {
		return nil
	}
	return httpError{status: http.StatusForbidden, code: codeDenied, oauth: "access_denied", message: d.sentence()}
}

// onlyLooks reports whether only pull was asked, and the person may do something else on
// one of the repositories. go-containerregistry looks before it writes, and takes an
// empty access for "not there, go on" where a 403 would end it.
func (d denial) onlyLooks() bool {
	onlyPull := !slices.ContainsFunc(d.asked, func(s registry.Scope) bool { return !slices.Equal(s.Actions, []string{"pull"}) })
	return onlyPull && len(d.rights) > 0
}

// sentence says why nothing was granted. It names an action only where that was asked
// alone: clients ask for more than the person wants, docker push and pull to look, skopeo
// "*". It is the same for repositories that exist and for others.
func (d denial) sentence() string {
	user := auditText(d.user)
	without := slices.DeleteFunc(slices.Clone(d.asked), d.hasRights)
	switch {
	case len(without) > 0 && d.limited:
		return fmt.Sprintf("you are logged in as %s with a token that has no rights on %s; check the name, or ask %s", user, nameRepositories(without), d.contact)
	case len(without) > 0:
		return fmt.Sprintf("you are logged in as %s, who has no rights on %s; check the name, or ask %s", user, nameRepositories(without), d.contact)
	case d.limited:
		return fmt.Sprintf("you are logged in as %s with a token that may not %s %s; ask %s", user, refusedAction(d.asked), nameRepositories(d.asked), d.contact)
	}
	return fmt.Sprintf("you are logged in as %s, who may not %s %s; ask %s", user, refusedAction(d.asked), nameRepositories(d.asked), d.contact)
}

func (d denial) hasRights(scope registry.Scope) bool {
	return slices.ContainsFunc(d.rights, func(a registry.Access) bool { return a.Name == scope.Name && a.Class == scope.Class })
}

// refusedAction names the action that was asked alone.
func refusedAction(asked []registry.Scope) string {
	alone := func(action string) bool {
		return !slices.ContainsFunc(asked, func(s registry.Scope) bool { return !slices.Equal(s.Actions, []string{action}) })
	}
	switch {
	case alone("delete"):
		return "delete"
	case alone("push"):
		return "push to"
	}
	return "do this to"
}

// nameRepositories names two repositories at most.
func nameRepositories(scopes []registry.Scope) string {
	switch len(scopes) {
	case 1:
		return scopes[0].Name
	case 2:
		return scopes[0].Name + " and " + scopes[1].Name
	}
	return scopes[0].Name + ", " + scopes[1].Name + " and others"
}
