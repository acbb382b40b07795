package pages

import (
	"context"
	"net/http"

	"shorepass/session"
)

// What a revocation ends, beside the ID of one session.
const (
	revokeAll    = "all"
	revokeOthers = "others" // all but that of this browser, and every one-time password
)

// revokeView is the data of revoke.html.
type revokeView struct {
	Session string   // revokeAll or revokeOthers
	Kinds   []string // "3 docker logins"
}

// askRevocation answers GET /me/revoke: whether all sessions, or all others, are to end,
// since machines may be using them.
func (p *Pages) askRevocation(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.signedIn(ctx, v)
	if err != nil {
		return nil, err
	}
	what := v.Request.URL.Query().Get("session")
	if what != revokeAll && what != revokeOthers {
		return nil, errNotFound
	}
	all, err := p.Admin.ListPerson(ctx, web.Identity.Provider, web.Identity.Subject)
	if err != nil {
		return nil, err
	}
	counts := map[session.Kind]int{session.KindRefresh: all.LiveCount - len(all.Live)} // what is not listed are refresh tokens
	for i := range all.Live {
		if one := &all.Live[i]; what == revokeAll || one.ID != web.ID {
			counts[one.Kind]++
		}
	}
	data := revokeView{Session: what}
	for _, kind := range []session.Kind{session.KindRefresh, session.KindPAT, session.KindBrowser} {
		if n := counts[kind]; n > 0 {
			data.Kinds = append(data.Kinds, v.text.count("revoke.kind."+string(kind), n))
		}
	}
	return p.page(v, http.StatusOK, "revoke", view{Title: v.text.get("revoke.title." + what), Person: web.Identity.User, Data: data}), nil
}

// revoke answers POST /me/revoke: it ends sessions of the person, and of no other person.
// Another person's session looks like one that does not exist. It is idempotent. Ending is
// always allowed, so that the browser's session need not be fresh.
func (p *Pages) revoke(ctx context.Context, v *Visit) (*Response, error) {
	web, err := p.signedIn(ctx, v)
	if err != nil {
		return nil, err
	}
	v.Record.Action, v.Record.Ended = ActionRevoke, new(int)
	mine := session.Selector{Provider: web.Identity.Provider, Subject: web.Identity.Subject}
	what := v.Form.Get("session")
	if err := p.end(ctx, v, web, mine, what); err != nil {
		return nil, err
	}
	if what == revokeAll || what == web.ID {
		v.setCookie(p.deletion(cookieSession))
		return redirect("/logout"), nil // which says that the person is signed out
	}
	return redirect("/me"), nil
}

// end ends those sessions of a selection that what names, and counts them in the visit's
// record.
func (p *Pages) end(ctx context.Context, v *Visit, web *session.Session, mine session.Selector, what string) error {
	revoke := func(sel session.Selector) error {
		ended, err := p.Admin.Revoke(ctx, sel, web.Identity.User)
		*v.Record.Ended += ended
		return err
	}
	switch what {
	case "":
		return errNotFound
	case revokeAll:
		return revoke(mine)
	case revokeOthers:
		mine.Except = web.ID
		return revoke(mine)
	}
	mine.ID = what
	found, err := p.Admin.List(ctx, mine)
	if err != nil || len(found) == 0 {
		return err
	}
	v.Record.Target = &found[0]
	return revoke(mine)
}
