// Package storetest is the conformance suite of [session.Store] and
// [throttle.Store]: every store runs it and must pass.
package storetest

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"shorepass/session"
)

// Run tests the contract of [session.Store]. open returns a new, empty store that
// is closed when the test ends.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s session.Store)
	}{
		{"a created session is found by its hash", testCreate},
		{"names with special characters are stored unchanged", testOddNames},
		{"bytes that are not UTF-8 are stored unchanged", testOddBytes},
		{"logins of a person share a sign-in, or have one each", testPersons},
		{"a later login replaces the refresh token of a shared sign-in", testSharedToken},
		{"a derived session points to the sign-in unchanged", testDerive},
		{"a grant is spent once", testGrant},
		{"grants beyond Keep are deleted", testKeepGrants},
		{"a grant that has ended cannot be spent", testEndGrant},
		{"grants end with the browser's session of their login", testEndWithGrants},
		{"grants of persons and logins end", testEndGrants},
		{"nothing is derived from a session that has ended", testFrom},
		{"no concurrent grant survives the end of its session", testGrantRace},
		{"a session replaces another", testReplaces},
		{"Admit evicts sessions at the bound", testPerPerson},
		{"ended sessions beyond KeepEnded are deleted", testKeepEnded},
		{"one caller at a time holds a lease", testLease},
		{"an answer writes what Next changes, and nothing else", testStoreAnswer},
		{"an answer keeps what a concurrent login wrote", testStoreAnswerAfterLogin},
		{"sessions adopt the stamps that Adopts returns", testAdopt},
		{"a pending end becomes final unless the provider answers again", testPending},
		{"sign-ins that were not asked about lately are returned", testNotAskedSince},
		{"the identity is read unless its version is known", testFind},
		{"an answer can shorten the lifetime of sessions", testLifetime},
		{"a circuit breaker is written by compare-and-swap", testBreaker},
		{"a replica reads the tallies of the others", testTallies},
		{"sweep deletes ended sessions that were never used early", testSweepUnused},
		{"one caller at a time holds the lease of a first use", testFirstUse},
		{"the last use never moves back", testUsed},
		{"a session ends once", testEnd},
		{"a list selects, orders and pages", testList},
		{"a person's sessions are listed in one bounded read", testListPerson},
		{"persons are listed by user name and provider", testListPersons},
		{"a person without sessions is forgotten after a while", testForgettable},
		{"a forgotten person leaves only tokens to revoke", testForgetPerson},
		{"a forgotten person logs in again", testForgottenLogsIn},
		{"a login and a deletion of its person exclude each other", testForgetRace},
		{"the live sessions of each kind are counted", testCount},
		{"sweep ends and deletes sessions", testSweep},
		{"the refresh token of a sign-in without a live session is taken once", testTakeRevocable},
		{"a sealed token is replaced by compare-and-swap", testReseal},
		{"the first value of a setting is stored", testSettings},
		{"concurrent first logins make one sign-in", testFirstLogins},
		{"no concurrent write undoes a revocation", testConcurrent},
		{"a closed store returns errors", testClosed},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func hash(text string) session.Hash { return sha256.Sum256([]byte(text)) }

func identity(user string) session.StoredIdentity {
	f := session.StoredIdentity{User: user, Body: fmt.Appendf(nil, `{"user":%q,"groups":["team of %s"]}`, user, user)}
	sum := sha256.Sum256(f.Body)
	copy(f.Version[:], sum[:])
	return f
}

// draft returns a login's session at a provider whose logins share a sign-in.
func draft(name, user string) *session.Draft {
	return &session.Draft{
		Row: session.Row{
			Hash: hash(name), Kind: session.KindRefresh, Service: "registry",
			ProviderID: -42, Stamp: "s1", Created: epoch, Expires: epoch.Add(1000 * time.Hour),
			Login: session.Login{Method: "password", Name: "CORP\\" + user, SID: "sid of " + name, ACR: "gold", AMR: []string{"pwd", "otp"}, Time: epoch.Add(-time.Hour)},
		},
		Provider: "corp", Subject: "subject of " + user, Identity: identity(user),
		Client: session.Client{Address: netip.MustParseAddr("192.0.2.7"), ID: "docker", UserAgent: "docker/28"},
		Bound:  1000,
	}
}

// perLoginDraft returns a session of a login that has a sign-in and a provider's
// refresh token of its own.
func perLoginDraft(name, user string) *session.Draft {
	d := draft(name, user)
	d.LoginID, d.Sealed = d.Hash.ID(), []byte("sealed "+name)
	return d
}

func create(t *testing.T, s session.Store, d *session.Draft) *session.Row {
	t.Helper()
	must(t, s.Create(t.Context(), d))
	return find(t, s, d.Hash)
}

func find(t *testing.T, s session.Store, h session.Hash) *session.Row {
	t.Helper()
	row, err := s.Find(t.Context(), h, session.Version{})
	must(t, err)
	row.Body = nil // testFind tests it
	return row
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
