package server

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"shorepass/policy"
	"shorepass/registry"
)

// request is the state of one request to an audited endpoint: begun by
// observed, filled in on its way, and recorded once, before it is answered. The
// audit line, the log line and the metrics are all made from it.
type request struct {
	line      auditLine
	storeTime time.Time // when it began, by the store's clock
	localTime time.Time // the same by this machine's clock
	origin    origin    // where it comes from
	method    string    // label of the metrics: what the credential is, "unknown" until it is parsed
	recorded  bool      // the audit line is written, or could not be
}

// newRequest begins a request. at is the store's time.
func newRequest(action string, at time.Time, from origin) *request {
	req := &request{
		line:      auditLine{Time: at, Request: requestID(), Action: action},
		storeTime: at, localTime: time.Now(), origin: from, method: methodUnknown,
	}
	if from.peer.IsValid() {
		req.line.Address = from.peer.String()
	}
	return req
}

// requestID returns 128 random bits, printed.
func requestID() string { return rand.Text() }

// noteCredential notes a credential before it is proved.
func (r *request) noteCredential(c credential) {
	l := &r.line
	l.Account, l.ClientID, l.UserAgent = auditText(string(c.login)), auditText(c.clientID), auditText(r.origin.userAgent)
	if l.Account == "" && c.kind == kindAnonymous {
		l.Account = auditText(c.account)
	}
	r.method = c.method()
}

// noteQuestion notes what is asked, and the credential with it.
func (r *request) noteQuestion(q *question) {
	r.noteCredential(q.credential)
	r.line.Service = q.service
	r.line.Asked = make([]string, len(q.scopes))
	for i, s := range q.scopes {
		r.line.Asked[i] = s.String()
	}
}

// notePrincipal notes who was proved.
func (r *request) notePrincipal(caller principal) {
	l := &r.line
	if caller.identity != nil {
		l.User, l.Subject = caller.identity.User, caller.identity.Subject
		l.Provider, l.Method = caller.identity.Provider, string(caller.identity.Method)
	}
	if caller.session != nil {
		l.Session, l.TokenType = caller.session.ID, string(caller.session.Kind)
	}
}

// maxWatched bounds the groups in an audit line.
const maxWatched = 64

// noteWatched notes the groups and claims of a principal that rules or
// server.operators name. asked is the question that policy gets.
func (r *request) noteWatched(gen *Generation, allGroups bool, caller principal, asked policy.Request) {
	if caller.identity == nil {
		return
	}
	l := &r.line
	groups, unsure := gen.Policy.MatchedGroups(asked)
	if allGroups {
		l.Groups, l.Unsure = asked.Groups, asked.Unsure
	} else {
		groups = gen.addOperatorGroups(caller.identity, groups)
		l.Groups, l.Unsure = groups[:min(len(groups), maxWatched)], unsure[:min(len(unsure), maxWatched)]
		l.More = len(groups) - len(l.Groups) + len(unsure) - len(l.Unsure)
	}
	for path, value := range gen.Policy.ReferencedClaims(asked) {
		if l.Claims == nil {
			l.Claims = make(map[string]string)
		}
		l.Claims[path] = claimText(value)
	}
}

// claimText returns a claim as an audit line has it: a text as it is, anything
// else as JSON.
func claimText(value any) string {
	if text, ok := value.(string); ok {
		return auditText(text)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "?" // a claim came from JSON, so that this does not happen
	}
	return auditText(string(text))
}

// noteDecision notes what policy decided.
func (r *request) noteDecision(d policy.Decision) {
	r.line.Granted = scopesOf(d.Access)
	r.line.Rules = d.Rules
}

func scopesOf(access []registry.Access) []string {
	scopes := make([]string, len(access))
	for i, a := range access {
		scopes[i] = registry.Scope(a).String()
	}
	return scopes
}

// record completes the audit line, of an answer with status, and writes it,
// unless that was done already. The error is that of [Audit.write].
func (r *request) record(to *Audit, status int) error {
	if r.recorded {
		return nil
	}
	r.recorded = true
	r.line.complete(status, time.Since(r.localTime))
	return to.write(&r.line)
}
