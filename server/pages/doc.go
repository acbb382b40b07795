// Package pages is the HTML of shorepass: the sign-in page, logout, and the page on which a
// person sees and ends their logins.
//
// A request enters by [Pages.Serve] (pages.go), which finds its handler in the table of
// routes (routes.go). A handler reads a [Visit], notes in its [Record] what it did, and
// returns a [Response] (visit.go); the server writes the audit line of the record and then
// the response (page.go of package server). No handler writes to a connection.
//
//	/login, /login/NAME/callback    signin.go, callback.go: forms, authorization code grant
//	/logout, /logout/NAME           logout.go, backchannel.go
//	/me, /me/revoke                 me.go, logins.go, revoke.go: a person's sessions
//	/me/rights                      rights.go: what the person may do today
//	/me/one-time                    onetime.go: a one-time password, in a fresh session
//	/me/new-token                   tokens.go, tokenform.go, tokenpage.go: a personal access token, likewise
//
// A person who has signed in has a session of kind browser, whose token is a cookie
// (cookies.go); handlers ask for it, and for a fresh one (signedin.go). A sign-in in progress
// is a sealed cookie (flow.go): the server keeps no state of it, so that any replica answers
// any step.
//
// Errors become pages in problem.go alone. Templates are in templates/, the texts of each
// language in texts/ (render.go). The stylesheet, a script that pages work without, and the
// logo are in assets/ (assets.go); the shades of the operator's color are derived in
// color.go. A test renders every page with sample data: SAMPLES=FOLDER go test -run
// TestSamples keeps them.
//
// Invariants: a GET changes nothing but what the callback of a sign-in must; every POST but
// the back-channel's passes the standard library's cross-origin protection; no redirect
// leads to an address that a request names; no text of a provider reaches a page.
package pages
