// Package e2e holds the end-to-end tests: the shorepass binary as it ships,
// between real directories and OpenID providers on one side and real
// registries, with the clients that people use, on the other.
//
// A test makes a [server] (one shorepass, and registries that trust it), a
// [home] for somebody who works there (where a client keeps what it knows),
// and lets each [client] of the table play its part. What a client prints is
// part of what is tested, since that is all a person at a terminal gets.
//
// The package is a module of its own, so that what only the tests need
// (containerd's resolver) is no dependency of the product. Programs that are
// no Go libraries come from e2e/install; where one is missing the tests that
// need it skip and say which, or fail where CI is "true".
//
// Every password and token that a test uses is remembered, and when all tests
// are done everything that any server logged, audited or counted meanwhile,
// at its most talkative, is searched for them.
package e2e
