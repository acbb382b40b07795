package pages

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"shorepass/policy"
	"shorepass/providers"
)

// rightsView is what a person, or a token of theirs, may do today.
type rightsView struct {
	Allow []rightView
	Deny  []rightView // what is taken away from these
	More  bool        // others are left out
}

// rightView is one line of rights.
type rightView struct {
	What      string // "team-a/**", or "registry:catalog" of another type
	Where     string // the hosts of its services; empty for all
	Actions   string // "pull, push"
	Sometimes bool   // a condition decides, such as the address or the time
}

// rightsShown bounds the lines of each of Allow and Deny, so that a page stays small.
const rightsShown = 20

// showRights answers GET /me/rights: what the person may do today. It is no part of /me,
// since the rules may take longer than a page.
func (p *Pages) showRights(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.signedIn(ctx, v)
	if err != nil {
		return nil, err
	}
	rights := p.viewRights(v.text, p.Rights(web.Identity))
	return p.page(v, http.StatusOK, "rights", view{Title: v.text.get("rights.title"), Person: web.Identity.User, Data: rights}), nil
}

// tokenRights returns what a personal access token could do today: what the rules grant its
// person by this method, within the limits.
func (p *Pages) tokenRights(id *providers.Identity, limits string) (policy.Rights, error) {
	parsed, err := policy.ParseLimits(limits)
	if err != nil {
		return policy.Rights{}, err
	}
	byToken := *id
	byToken.Method = providers.MethodPAT
	return parsed.NarrowRights(p.Rights(&byToken)), nil
}

// viewRights returns rights as a page shows them, or nil for none.
func (p *Pages) viewRights(t *texts, r policy.Rights) *rightsView {
	if r.IsEmpty() {
		return nil
	}
	allow, deny := min(len(r.Allow), rightsShown), min(len(r.Deny), rightsShown)
	more := r.More || allow < len(r.Allow) || deny < len(r.Deny)
	return &rightsView{Allow: p.viewRightList(t, r.Allow[:allow]), Deny: p.viewRightList(t, r.Deny[:deny]), More: more}
}

func (p *Pages) viewRightList(t *texts, all []policy.Right) (views []rightView) {
	for _, one := range all {
		view := rightView{What: t.list(one.Repositories), Actions: strings.Join(one.Actions, ", "), Sometimes: one.Conditional}
		if !slices.Equal(one.Types, []string{"repository"}) {
			view.What = strings.Join(one.Types, ", ") + ": " + view.What
		}
		if slices.Equal(one.Actions, []string{"*"}) {
			view.Actions = t.get("rights.everything")
		}
		var hosts []string
		for _, service := range one.Services {
			hosts = append(hosts, p.host(service))
		}
		view.Where = strings.Join(hosts, ", ")
		views = append(views, view)
	}
	return views
}
