package server

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"

	"shorepass/policy"
	"shorepass/registry"
)

// request is the state of one request to an audited endpoint. The middleware
// observed makes it, the handler fills it in, and it is recorded once, before the
// answer is sent. The audit line, the log line and the metrics are made from it.
type request struct {
	line      auditLine
	storeTime time.Time // when the request began, by the store's clock
	localTime time.Time // the same by this machine's clock
	origin    origin
	method    string // the metrics' label: what the credential is, methodUnknown until it is parsed
	recorded  bool   // the audit line was written, or its write failed
	refusedBy string // the provider that refused the credential or was unavailable; empty where none was asked
	outcome   string // of the rules, for the metrics; empty where they decided nothing
}

// newRequest returns the state of a request that begins now. now is the store's
// time.
func newRequest(action string, now time.Time, from origin) *request {
	req := &request{
		line:      auditLine{Time: now, Request: requestID(), Action: action},
		storeTime: now, localTime: time.Now(), origin: from, method: methodUnknown,
	}
	if from.peer.IsValid() {
		req.line.Address = from.peer.String()
	}
	return req
}

// requestID returns 128 random bits as text.
func requestID() string { return rand.Text() }

// noteCredential records a credential that is not authenticated yet.
func (r *request) noteCredential(c credential) {
	l := &r.line
	l.Account, l.ClientID, l.UserAgent = auditText(string(c.login)), auditText(c.clientID), auditText(r.origin.userAgent)
	if l.Account == "" && c.kind == kindAnonymous {
		l.Account = auditText(c.account)
	}
	r.method = c.method()
}

// noteQuestion records the question and its credential.
func (r *request) noteQuestion(q *question) {
	r.noteCredential(q.credential)
	r.line.Service = q.service
	r.line.Asked = make([]string, len(q.scopes))
	for i, s := range q.scopes {
		r.line.Asked[i] = s.String()
	}
}

// notePrincipal records the authenticated principal.
func (r *request) notePrincipal(caller principal) {
	l := &r.line
	if caller.identity != nil {
		l.User, l.Subject = caller.identity.User, caller.identity.Subject
		l.Provider, l.Method = caller.identity.Provider, string(caller.identity.Method)
		l.ACR, l.AMR = auditText(caller.identity.ACR), auditTexts(caller.identity.AMR[:min(len(caller.identity.AMR), maxAMR)])
	}
	if caller.session != nil {
		l.Session, l.TokenType = caller.session.ID, string(caller.session.Kind)
	}
}

// maxAuditGroups bounds Groups and Unsure of an audit line, in entries each.
const maxAuditGroups = 64

// noteGroupsAndClaims records the groups and claims of a principal that rules or
// server.operators name, or with allGroups every group. asked is the question as
// the policy gets it.
func (r *request) noteGroupsAndClaims(gen *Generation, allGroups bool, caller principal, asked policy.Request) {
	if caller.identity == nil {
		return
	}
	l := &r.line
	groups, unsure := gen.Policy.MatchedGroups(asked)
	if allGroups {
		l.Groups, l.Unsure = asked.Groups, asked.Unsure
	} else {
		groups = gen.addOperatorGroups(caller.identity, groups)
		l.Groups, l.Unsure = groups[:min(len(groups), maxAuditGroups)], unsure[:min(len(unsure), maxAuditGroups)]
		l.GroupsOmitted = len(groups) - len(l.Groups) + len(unsure) - len(l.Unsure)
	}
	for path, value := range gen.Policy.ReferencedClaims(asked) {
		if l.Claims == nil {
			l.Claims = make(map[string]string)
		}
		l.Claims[path] = claimText(value)
	}
}

// claimText formats a claim for the audit line: text as it is, anything else as
// JSON.
func claimText(value any) string {
	if text, ok := value.(string); ok {
		return auditText(text)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "?" // unreachable: a claim was decoded from JSON
	}
	return auditText(string(text))
}

// noteDecision records the decision about the scopes that were asked, narrowed by the
// limits of a token.
func (r *request) noteDecision(asked []registry.Scope, d policy.Decision) {
	r.line.Granted = scopesOf(d.Access)
	r.line.Denied = deniedScopes(asked, d.Access)
	r.line.Rules = d.Rules
	switch {
	case len(asked) == 0:
	case len(r.line.Granted) == 0:
		r.outcome = "denied"
	case len(r.line.Denied) > 0:
		r.outcome = "partial"
	default:
		r.outcome = "granted"
	}
}

// deniedScopes returns what was asked and not granted. granted has a subset of asked, in
// the same order.
func deniedScopes(asked []registry.Scope, granted []registry.Access) []string {
	var denied []string
	for _, scope := range asked {
		var got []string
		if len(granted) > 0 && granted[0].Type == scope.Type && granted[0].Class == scope.Class && granted[0].Name == scope.Name {
			got, granted = granted[0].Actions, granted[1:]
		}
		isGranted := func(action string) bool { return slices.Contains(got, action) }
		if !slices.ContainsFunc(scope.Actions, func(action string) bool { return !isGranted(action) }) {
			continue
		}
		scope.Actions = slices.DeleteFunc(slices.Clone(scope.Actions), isGranted)
		denied = append(denied, scope.String())
	}
	return denied
}

func scopesOf(access []registry.Access) []string {
	scopes := make([]string, len(access))
	for i, a := range access {
		scopes[i] = registry.Scope(a).String()
	}
	return scopes
}

// record completes the audit line for an answer with status and writes it. It is
// idempotent: a second call does nothing. The error is that of [Audit.write].
func (r *request) record(to *Audit, status int) error {
	if r.recorded {
		return nil
	}
	r.recorded = true
	r.line.complete(status, time.Since(r.localTime))
	return to.write(&r.line)
}
