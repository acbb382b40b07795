package pages

import (
	"slices"
	"strings"
	"time"

	"shorepass/session"
)

// soon is how long before its end a login is marked.
const soon = 7 * 24 * time.Hour

// loginView is a session as the list of logins shows it.
type loginView struct {
	ID      string
	What    string // "docker login", "Access token laptop"
	Where   string // the host of its service; empty for every service
	Limits  string // what it is good for at most; empty for everything
	Client  string // what made it: "docker 28.5 on Linux"
	Address string // from which it was made
	Made    moment
	Used    *moment // nil where it was never used
	UsedBy  string  // what used it last, from where, if that differs from what made it
	Ends    moment  // at the latest
	Unused  bool    // it ends then only if it is not used before

	Current bool   // of this browser
	New     bool   // made since the last visit
	Soon    bool   // ends soon
	Pending string // why it is about to end; empty unless it is
	Why     string // why it ended, and by whom
	Ended   *moment
}

// login returns the view of a session.
func (p *Pages) login(t *texts, one, web *session.Session, now time.Time) loginView {
	l := loginView{
		ID: one.ID, What: t.kindOf(one), Where: p.host(one.Service), Limits: p.describeLimits(t, one.Limits), Client: t.describeClient(one.Client), Address: addressText(one.Client),
		Made: t.moment(one.Created, now), Current: one.ID == web.ID,
	}
	switch {
	case l.Current:
		l.Used = new(t.moment(now, now)) // the store has it a minute later
	case !one.LastUsed.IsZero():
		l.Used, l.UsedBy = new(t.moment(one.LastUsed, now)), t.usedBy(one)
	}
	if !one.Ended.IsZero() {
		l.Ended, l.Why = new(t.moment(one.Ended, now)), t.why(one, web)
		return l
	}
	p.setEnd(&l, t, one, now)
	if one.Reason != "" {
		l.Pending = t.get(reasonKeys[one.Reason])
	}
	return l
}

// setEnd says when a live session ends. One that was made for a week or less, or was not
// used yet, does not end soon: that is as its person expects.
func (p *Pages) setEnd(l *loginView, t *texts, one *session.Session, now time.Time) {
	ends := p.expires(one)
	lasted := ends.Sub(one.Created)
	idle := p.Session.IdleEnd(one)
	if one.Kind == session.KindRefresh && !idle.IsZero() && idle.Before(ends) {
		l.Unused = true
		if ends = idle; one.LastUsed.IsZero() {
			lasted = 0
		}
	}
	l.Ends, l.Soon = t.moment(ends, now), ends.Sub(now) <= soon && lasted > soon
}

// kindOf names a session: what kind it is, and what the person called it.
func (t *texts) kindOf(s *session.Session) string {
	switch s.Kind {
	case session.KindPAT:
		return t.get("me.kind.pat", s.Label)
	case session.KindBrowser:
		return t.get("me.kind.browser")
	case session.KindRobot:
		return t.get("me.kind.robot")
	}
	return t.get("me.kind.refresh")
}

// host returns what people call a service: its first host, or its name where it has none.
func (p *Pages) host(service string) string {
	if i := slices.IndexFunc(p.Services, func(s Service) bool { return s.Name == service }); i >= 0 && len(p.Services[i].Hosts) > 0 {
		return p.Services[i].Hosts[0]
	}
	return service
}

// usedBy says what used a session last, and from where, or "" if that is what made it.
func (t *texts) usedBy(s *session.Session) string {
	client, address := t.describeClient(s.Last), addressText(s.Last)
	if client == t.describeClient(s.Client) && address == addressText(s.Client) || s.Last == (session.Client{}) {
		return ""
	}
	if address == "" {
		return client
	}
	return client + ", " + address
}

func addressText(c session.Client) string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}

// reasonKeys are the texts of the reasons for which sessions end.
var reasonKeys = map[session.Reason]string{
	session.ReasonRevoked: "me.reason.revoked", session.ReasonEnded: "me.reason.ended", session.ReasonStamp: "me.reason.stamp",
	session.ReasonGone: "me.reason.gone", session.ReasonExpired: "me.reason.expired", session.ReasonSignIn: "me.reason.sign_in",
	session.ReasonIdle: "me.reason.idle", session.ReasonUnused: "me.reason.unused", session.ReasonPerPerson: "me.reason.per_person",
	session.ReasonReplaced: "me.reason.replaced",
}

// why says why a session ended, and who revoked it.
func (t *texts) why(one, web *session.Session) string {
	operator, isOperator := strings.CutSuffix(one.By, session.ByOperator)
	switch {
	case one.Reason != session.ReasonRevoked:
		return t.get(reasonKeys[one.Reason])
	case one.By == web.Identity.User:
		return t.get("me.reason.revoked.you")
	case one.By == bySignOut:
		return t.get("me.reason.revoked.sign_out")
	case one.By == session.ByBackChannelLogout:
		return t.get("me.reason.revoked.provider")
	case one.By == session.ByTokenHolder:
		return t.get("me.reason.revoked.holder")
	case isOperator:
		return t.get("me.reason.revoked.operator", operator)
	case one.By != "":
		return t.get("me.reason.revoked.by", one.By)
	}
	return t.get("me.reason.revoked")
}
