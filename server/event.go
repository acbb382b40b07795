package server

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"shorepass/policy"
	"shorepass/registry"
	"shorepass/session"
)

// event describes one request that decides something: begun in the middleware,
// filled on the request's way, and written once: the audit line, the log line
// and the metrics all come from it. It never holds a secret.
type event struct {
	Time      time.Time        `json:"time"`    // when it began, by the clock that all replicas go by
	Request   string           `json:"request"` // the request's id
	Status    int              `json:"status"`
	User      string           `json:"user"` // as the provider knows it; empty for anonymous and for whom nobody proved
	Subject   string           `json:"subject,omitempty"`
	Provider  string           `json:"provider,omitempty"`
	Method    string           `json:"method,omitempty"`
	Account   string           `json:"account,omitempty"` // the login name as it was given
	Address   string           `json:"address"`
	ClientID  string           `json:"client,omitempty"`
	UserAgent string           `json:"user_agent,omitempty"`
	Service   string           `json:"service,omitempty"`
	Asked     []string         `json:"asked,omitempty"`
	Granted   []string         `json:"granted,omitempty"`
	Rules     []policy.Verdict `json:"rules,omitempty"`
	Omitted   int              `json:"omitted,omitempty"`    // of Asked and Rules, where nobody was proved
	TokenType string           `json:"token_type,omitempty"` // of the token of ours that was brought: refresh, pat, robot
	Session   string           `json:"session,omitempty"`
	JTI       string           `json:"jti,omitempty"`
	Duration  float64          `json:"duration"` // seconds
	Reason    string           `json:"reason,omitempty"`

	Action string  `json:"action,omitempty"` // empty for a question to the token endpoint
	Target *target `json:"target,omitempty"` // whose session it was about, where that was one
	Ended  *int    `json:"ended,omitempty"`  // how many sessions it ended; actionRevoke only

	began    time.Time // by this machine's clock
	origin   origin    // where the request comes from
	grant    string    // what was brought, for metrics
	recorded bool      // the audit line is out, or could not be written
}

// The actions beside a question to the token endpoint.
const (
	actionRevoke     = "revoke"
	actionIntrospect = "introspect"
)

// target is the session that a request was about, where it is not the one that
// proved who asks.
type target struct {
	Session  string `json:"session"`
	User     string `json:"user"`
	Subject  string `json:"subject"`
	Provider string `json:"provider"`
}

func newTarget(of *session.Session) *target {
	return &target{of.ID, of.Identity.User, of.Identity.Subject, of.Identity.Provider}
}

// maxAudited bounds what the client sends and the audit line repeats, in bytes.
const maxAudited = 256

// finish notes how the request ended. What was granted is gone with an error
// that came after the decision.
func (e *event) finish(status int) {
	e.Status, e.Duration = status, time.Since(e.began).Seconds()
	if status != http.StatusOK {
		e.Granted, e.JTI = nil, ""
	}
	if e.Provider == "" {
		e.Asked, e.Rules = firstOf(e, e.Asked), firstOf(e, e.Rules)
	}
}

// maxFromNobody is how much of what was asked, and of the rules about it, is
// written down where nobody was proved. A question has up to 256 scopes, each
// of which several rules may match, so that a stranger's 60 KB could become a
// line of megabytes, and many of them a full disk. What was granted is always
// written whole.
const maxFromNobody = 16

func firstOf[T any](e *event, all []T) []T {
	if len(all) <= maxFromNobody {
		return all
	}
	e.Omitted += len(all) - maxFromNobody
	return all[:maxFromNobody]
}

func (e *event) asks(q *question) {
	e.brings(q.credential)
	e.Service = q.service
	e.Asked = make([]string, len(q.scopes))
	for i, s := range q.scopes {
		e.Asked[i] = s.String()
	}
}

// brings notes a credential that is not proved yet.
func (e *event) brings(c credential) {
	e.Account, e.ClientID, e.UserAgent = bounded(string(c.login)), bounded(c.clientID), bounded(e.origin.userAgent)
	if e.Account == "" && c.kind == kindAnonymous {
		e.Account = bounded(c.account)
	}
	e.grant = c.kind.grant()
}

func (e *event) isFrom(who principal) {
	if who.identity != nil {
		e.User, e.Subject = who.identity.User, who.identity.Subject
		e.Provider, e.Method = who.identity.Provider, string(who.identity.Method)
	}
	if who.session != nil {
		e.Session, e.TokenType = who.session.ID, string(who.session.Kind)
	}
}

func (e *event) decided(d policy.Decision) {
	e.Granted = scopesOf(d.Access)
	e.Rules = d.Rules
}

func scopesOf(access []registry.Access) []string {
	scopes := make([]string, len(access))
	for i, a := range access {
		scopes[i] = registry.Scope(a).String()
	}
	return scopes
}

// tokenShapes are what a token of ours, or anybody's JWT, looks like.
var tokenShapes = regexp.MustCompile(`(?i)sp_[rpb]_[0-9a-z]{8,}|eyJ[0-9a-z_-]{8,}(\.[0-9a-z_-]*)+`)

// withoutTokens takes out of a text that a client sent what looks like a token:
// some write it where a user name or a client_id belongs, and both are kept in
// the audit log and beside the session.
func withoutTokens(text string) string {
	if !strings.Contains(text, "_") && !strings.Contains(text, ".") {
		return text
	}
	return tokenShapes.ReplaceAllString(text, "[redacted]")
}

// bounded cuts what a client made up to a length that fits into a line.
func bounded(text string) string {
	text = withoutTokens(text)
	if len(text) <= maxAudited {
		return text
	}
	return strings.ToValidUTF8(text[:maxAudited], "") + "…"
}
