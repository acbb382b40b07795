package server

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"shorepass/policy"
	"shorepass/session"
)

// auditLine is one line of the audit log, a JSON object: a public schema, version
// 2, which added groups, groups_omitted, unsure and claims. Names, meanings and the
// order of fields are kept; a new version may add fields, and changes nothing of
// those that are there. A line never holds a secret, and every text of a client in
// it is bounded.
type auditLine struct {
	Time    time.Time `json:"time"`    // when the request began, by the store's clock, which all replicas go by
	Request string    `json:"request"` // the request's id, which the client got as X-Request-Id
	Status  int       `json:"status"`  // of the answer

	// Who asked. Unless authenticated, User is "", and Subject, Provider and
	// Method are left out.
	User     string `json:"user"`               // the user name
	Subject  string `json:"subject,omitempty"`  // the provider's id of the account, which never changes
	Provider string `json:"provider,omitempty"` // name of the provider
	Method   string `json:"method,omitempty"`   // how the account was proved: a providers.Method
	Account  string `json:"account,omitempty"`  // the login name as typed; of an anonymous request the account parameter

	// What rules see of the person. Each is left out where it is empty.
	Groups []string          `json:"groups,omitempty"`         // names of groups that an entry of rules or of server.operators matches, at most 64; with audit.groups = "all" every group
	More   int               `json:"groups_omitted,omitempty"` // how many more there are of Groups and of Unsure
	Unsure []string          `json:"unsure,omitempty"`         // likewise of groups that the person may or may not be in; "*" for any
	Claims map[string]string `json:"claims,omitempty"`         // claims that rules name, by their dotted paths: a text, or JSON, of at most 256 bytes

	// Where from.
	Address   string `json:"address"`              // the client, or the peer where a proxy is not trusted
	ClientID  string `json:"client,omitempty"`     // client_id
	UserAgent string `json:"user_agent,omitempty"` // User-Agent

	// What for, and what came of it.
	Service   string           `json:"service,omitempty"`    // the registry asked about
	Asked     []string         `json:"asked,omitempty"`      // scopes; of a revocation the selector, as "name=value"
	Granted   []string         `json:"granted,omitempty"`    // scopes in the access token; none unless Status is 200
	Rules     []policy.Verdict `json:"rules,omitempty"`      // the rules that matched or failed
	Omitted   int              `json:"omitted,omitempty"`    // how many entries of Asked and Rules were cut off; never where authenticated
	TokenType string           `json:"token_type,omitempty"` // kind of the session that was redeemed: "refresh", "pat", "robot"
	Session   string           `json:"session,omitempty"`    // id of the session that was redeemed or made
	JTI       string           `json:"jti,omitempty"`        // of the access token made, or introspected
	Duration  float64          `json:"duration"`             // until the answer, in seconds
	Reason    string           `json:"reason,omitempty"`     // why it was refused, or is not active

	// What the endpoints beside the token endpoint add.
	Action string       `json:"action,omitempty"` // "revoke" or "introspect"; left out for a token request
	Target *auditTarget `json:"target,omitempty"` // the session of the token that was sent, where there is one
	Ended  *int         `json:"ended,omitempty"`  // how many sessions a revocation ended
}

// The values of Action.
const (
	actionRevoke     = "revoke"
	actionIntrospect = "introspect"
)

// auditTarget is the session that a request was about, as opposed to the session of
// its credential.
type auditTarget struct {
	Session  string `json:"session"`
	User     string `json:"user"`
	Subject  string `json:"subject"`
	Provider string `json:"provider"`
}

func newAuditTarget(of *session.Session) *auditTarget {
	return &auditTarget{of.ID, of.Identity.User, of.Identity.Subject, of.Identity.Provider}
}

// complete fills in how the request ended. After an error nothing is granted, also
// where the decision came before it.
func (l *auditLine) complete(status int, took time.Duration) {
	l.Status, l.Duration = status, took.Seconds()
	if status != http.StatusOK {
		l.Granted, l.JTI = nil, ""
	}
	if l.Provider == "" {
		l.Asked, l.Rules = truncateEntries(l, l.Asked), truncateEntries(l, l.Rules)
	}
}

// maxUnauthenticatedEntries bounds the entries of Asked and of Rules, unless
// authenticated. A request has up to 256 scopes, each of which several rules
// may match, so that a stranger's 60 KB could become a line of megabytes, and
// many of them a full disk. Granted is always written whole.
const maxUnauthenticatedEntries = 16

func truncateEntries[T any](l *auditLine, all []T) []T {
	if len(all) <= maxUnauthenticatedEntries {
		return all
	}
	l.Omitted += len(all) - maxUnauthenticatedEntries
	return all[:maxUnauthenticatedEntries]
}

// tokenShapes matches our own tokens, and JWTs.
var tokenShapes = regexp.MustCompile(`(?i)sp_[rpbwo]_[0-9a-z]{8,}|eyJ[0-9a-z_-]{8,}(\.[0-9a-z_-]*)+`)

// redactTokens redacts tokens in a text from a client: some clients write one
// where a user name or a client_id belongs, and both go to the audit log and the
// store.
func redactTokens(text string) string {
	if !strings.Contains(text, "_") && !strings.Contains(text, ".") {
		return text
	}
	return tokenShapes.ReplaceAllString(text, "[redacted]")
}

// maxAuditText bounds a text in an audit line, in bytes.
const maxAuditText = 256

// auditText cuts a text that a client may have made to maxAuditText, without
// tokens.
func auditText(text string) string {
	text = redactTokens(text)
	if len(text) <= maxAuditText {
		return text
	}
	return strings.ToValidUTF8(text[:maxAuditText], "") + "…"
}
