package server

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"shorepass/policy"
	"shorepass/session"
)

// auditLine is one line of the audit log, a JSON object. Its schema is public,
// version 5 (docs/audit.schema.json): version 2 added groups, groups_omitted, unsure and
// claims, version 3 denied, version 4 truncated, version 5 acr, amr, and the actions of
// the pages. Names, meanings and order of the fields are stable: a new version may add
// fields, and texts of action and reason, and changes none that exist. A line never holds
// a secret, and is bounded (auditbound.go), as is every text from a client.
type auditLine struct {
	Time    time.Time `json:"time"`    // when the request began, by the store's clock, which all replicas use
	Request string    `json:"request"` // the request's id, which the client receives as X-Request-Id
	Status  int       `json:"status"`  // of the answer; 401 also where the docker engine gets 403 for it (engine.go)

	// The principal. Unless authenticated, User is "", and Subject, Provider and
	// Method are left out; but Provider is that at which a sign-in was refused.
	User     string   `json:"user"`               // the user name
	Subject  string   `json:"subject,omitempty"`  // the provider's id of the account, which never changes
	Provider string   `json:"provider,omitempty"` // name of the provider
	Method   string   `json:"method,omitempty"`   // how the account was authenticated: a providers.Method
	ACR      string   `json:"acr,omitempty"`      // the provider's authentication context class at the login
	AMR      []string `json:"amr,omitempty"`      // its authentication methods there, at most 16
	Account  string   `json:"account,omitempty"`  // the login name as typed; of an anonymous request the account parameter

	// What rules see of the person. Each field is left out where it is empty.
	Groups        []string          `json:"groups,omitempty"`         // names of groups that an entry of rules or of server.operators matches, at most 64; with audit.groups = "all" every group
	GroupsOmitted int               `json:"groups_omitted,omitempty"` // number of further entries of Groups and Unsure
	Unsure        []string          `json:"unsure,omitempty"`         // likewise for groups that the person may or may not be in; "*" for any
	Claims        map[string]string `json:"claims,omitempty"`         // claims that rules name, by dotted path: text, or JSON, of at most 256 bytes

	// The client.
	Address   string `json:"address"`              // of the client, or of the peer where a proxy is not trusted
	ClientID  string `json:"client,omitempty"`     // client_id
	UserAgent string `json:"user_agent,omitempty"` // User-Agent

	// The question and the answer.
	Service   string           `json:"service,omitempty"`    // the registry asked about
	Asked     []string         `json:"asked,omitempty"`      // scopes; of a revocation the selector, of a new personal access token its limits and end, as "name=value"
	Granted   []string         `json:"granted,omitempty"`    // scopes in the access token; none unless Status is 200
	Denied    []string         `json:"denied,omitempty"`     // the rest of asked, which the rules or the token's limits do not grant; left out where no rule was evaluated
	Rules     []policy.Verdict `json:"rules,omitempty"`      // the rules that matched or failed
	Omitted   int              `json:"omitted,omitempty"`    // number of entries of Asked, Denied and Rules cut off; only where not authenticated
	TokenType string           `json:"token_type,omitempty"` // kind of the session that was redeemed: "refresh", "pat", "robot", "browser"
	Session   string           `json:"session,omitempty"`    // id of the session that was redeemed or issued
	JTI       string           `json:"jti,omitempty"`        // of the access token that was issued or introspected
	Duration  float64          `json:"duration"`             // until the answer, in seconds
	Reason    string           `json:"reason,omitempty"`     // why the request was refused, or the introspected token is not active

	// Fields of the endpoints other than the token endpoint.
	Action string       `json:"action,omitempty"` // "revoke", "introspect", or a pages.Action; left out for a token request
	Target *auditTarget `json:"target,omitempty"` // the session that the request is about, where a token names one, or that a person made on a page
	Ended  *int         `json:"ended,omitempty"`  // number of sessions that a revocation or a logout ended

	Truncated int `json:"truncated,omitempty"` // number of entries of lists and of ends of texts that were cut off, since the line would have been too long
}

// The values of Action.
const (
	actionRevoke     = "revoke"
	actionIntrospect = "introspect"
)

// auditTarget names the session that a request is about, as opposed to the session
// of its credential.
type auditTarget struct {
	Session  string `json:"session"`
	User     string `json:"user"`
	Subject  string `json:"subject"`
	Provider string `json:"provider"`
}

func newAuditTarget(of *session.Session) *auditTarget {
	return &auditTarget{of.ID, of.Identity.User, of.Identity.Subject, of.Identity.Provider}
}

// complete fills in the outcome of the request. After an error nothing counts as
// granted, even if the decision came first.
func (l *auditLine) complete(status int, took time.Duration) {
	l.Status, l.Duration = status, took.Seconds()
	if status != http.StatusOK {
		l.Granted, l.JTI = nil, ""
	}
	if l.Provider == "" {
		l.Asked, l.Denied, l.Rules = truncateEntries(l, l.Asked), truncateEntries(l, l.Denied), truncateEntries(l, l.Rules)
	}
}

// maxUnauthenticatedEntries bounds Asked, Denied and Rules of a request that is not
// authenticated. A request has up to 256 scopes, and several rules may match each,
// so that without a bound 60 KB from a stranger would become megabytes of audit
// log, and many such requests fill the disk. Granted is never truncated.
const maxUnauthenticatedEntries = 16

// truncateEntries cuts all to maxUnauthenticatedEntries and counts the rest in
// l.Omitted.
func truncateEntries[T any](l *auditLine, all []T) []T {
	if len(all) <= maxUnauthenticatedEntries {
		return all
	}
	l.Omitted += len(all) - maxUnauthenticatedEntries
	return all[:maxUnauthenticatedEntries]
}

// tokenShapes matches tokens of ours and JWTs.
var tokenShapes = regexp.MustCompile(`(?i)sp_[rpbwo]_[0-9a-z]{8,}|eyJ[0-9a-z_-]{8,}(\.[0-9a-z_-]*)+`)

// redactTokens redacts tokens in a text from a client. Some clients send a token
// where a user name or a client_id belongs, and both are written to the audit log
// and the store.
func redactTokens(text string) string {
	if !strings.Contains(text, "_") && !strings.Contains(text, ".") {
		return text
	}
	return tokenShapes.ReplaceAllString(text, "[redacted]")
}

// maxAuditText bounds a text from a client in an audit line, in bytes.
const maxAuditText = 256

// maxAMR bounds the authentication methods in an audit line.
const maxAMR = 16

// auditTexts returns texts as the audit line has them: each as by [auditText].
func auditTexts(all []string) []string {
	var texts []string
	for _, one := range all {
		texts = append(texts, auditText(one))
	}
	return texts
}

// auditText returns a text from a client as the audit line has it: with tokens
// redacted, and truncated to maxAuditText.
func auditText(text string) string {
	text = redactTokens(text)
	if len(text) <= maxAuditText {
		return text
	}
	return strings.ToValidUTF8(text[:maxAuditText], "") + "…"
}
