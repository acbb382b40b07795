package pages

import (
	"net/http"
	"net/url"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

// Visit is one request to a page.
type Visit struct {
	Request *http.Request // its body was read: see Form
	Form    url.Values    // of a POST; nil where the body is no form
	Client  session.Client
	ID      string    // of the request, as in the log and the audit line
	Now     time.Time // by the store's clock
	Record  Record    // filled in by the handler

	text    *texts         // the language of the person
	cookies []*http.Cookie // that any response sets or deletes
}

// setCookie sets or deletes a cookie with whichever response follows, a page of an error
// too.
func (v *Visit) setCookie(c *http.Cookie) { v.cookies = append(v.cookies, c) }

// Record is what a visit did, for its audit line. A visit without an Action has none.
type Record struct {
	Action   Action
	Account  string              // the login name as it was typed
	Provider string              // that was asked, where Identity is nil
	Identity *providers.Identity // the person; nil unless authenticated
	Session  *session.Session    // the browser session that was made or used
	Target   *session.Session    // the session that was made or ended
	Service  string              // of a one-time password
	Asked    []string            // limits and end of a personal access token, as "name=value"
	Ended    *int                // the number of sessions that ended
	Err      error               // why the visit was refused
}

// Action is what a person or a provider did, as the audit line names it.
type Action string

const (
	ActionSignIn            Action = "sign_in"
	ActionSignOut           Action = "sign_out"
	ActionOneTimePassword   Action = "one_time_password"
	ActionAccessToken       Action = "personal_access_token"
	ActionRevoke            Action = "revoke"
	ActionBackChannelLogout Action = "back_channel_logout"
)

// Response is the answer to a visit, which the server writes.
type Response struct {
	Status   int
	Location string         // of a 303
	Cookies  []*http.Cookie // set or deleted
	Header   http.Header    // further fields; nil for none
	Body     []byte         // HTML unless Header has another Content-Type
}
