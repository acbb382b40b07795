// Package oidctest has OpenID providers for tests.
//
// [Start] runs the real oidc-provider, on Node, with people, groups, refresh
// tokens that rotate and whose second use ends the grant, and keys that rotate;
// a test changes all of that while it runs, and reads how often each endpoint
// was asked. [NewIssuer] is one in the process, for what a real one cannot be
// made to do: tokens signed with the wrong key, answers without end, and the
// tokens of CI jobs.
//
// It can be used from another module too, as long as its source is at hand: the
// provider's script stands in the folder op beside this file, and what it needs
// is installed there by npm at first use.
package oidctest
