// Package e2e holds the end-to-end tests. They run the shorepass binary between
// real directories and OpenID providers on one side, and real registries with
// their clients on the other.
//
// A test starts a [server] and registries that trust it, makes a [home] for each
// user (the folder of the client configuration), and runs each [client] of the
// table. The tests check the output of clients too, because a person at a
// terminal sees nothing else; docs/clients.md has all of it. The package browser drives
// a Chromium through the pages.
//
// The package is a module of its own, so that dependencies of the tests alone
// (containerd's resolver) are no dependencies of the product. Other programs are
// installed by e2e/install. A test whose program is missing skips and names it;
// where CI is "true" it fails.
//
// The tests record every password and token that they use in secrets. After the
// last test TestMain searches the output of every shorepass for them: the log at
// debug level, the audit lines and the metrics.
package e2e
