// Package oidctest has OpenID providers for tests.
//
// [Start] runs the real oidc-provider on Node, with users, groups, rotating
// keys, and rotating refresh tokens, of which a second use ends the grant. A
// test changes all of that while the provider runs, and reads how many requests
// each endpoint got. [Browser] fills its login, consent and logout pages as a person
// does; a real browser fills the fields login and password, and presses the buttons
// button[value=continue] and button[value=cancel]. [NewIssuer] is a fake in the process, for what a real
// provider cannot be made to do: tokens signed with the wrong key, responses
// without end, and the tokens of CI jobs.
//
// Another module can use the package too if its source is there: the provider's
// script is in the folder op, into which npm installs its packages at first use.
package oidctest
