// Package storetest holds any [session.Store] against its contract.
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

// Run plays the contract on stores that open opens: each new and empty, and
// closed by the test's end.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s session.Store)
	}{
		{"what was created is found", testCreate},
		{"odd names are kept as they are", testOddNames},
		{"odd bytes of a provider too", testOddBytes},
		{"persons, and their sign-ins", testPersons},
		{"logins that share a token", testSharedToken},
		{"what a session yields", testYield},
		{"grants", testGrant},
		{"too many grants", testKeepGrants},
		{"too many sessions of a person", testPerPerson},
		{"too many ended ones", testKeepEnded},
		{"one lease at a time", testLease},
		{"answers", testStoreAnswer},
		{"an answer after a login", testStoreAnswerAfterLogin},
		{"stamps that sessions adopt", testAdopt},
		{"ends that are pending", testPending},
		{"who was not asked for long", testUnasked},
		{"identity that come with a session", testFind},
		{"a life that is bounded", testLifetime},
		{"circuit breakers", testBreaker},
		{"what replicas count of providers", testTallies},
		{"what was never used", testSweepUnused},
		{"leases of first uses", testFirstUse},
		{"uses", testUsed},
		{"endings", testEnd},
		{"lists", testList},
		{"sweeps", testSweep},
		{"refresh tokens to revoke", testTakeRevocable},
		{"sealing anew", testReseal},
		{"settings", testSettings},
		{"first logins at the same moment", testFirstLogins},
		{"a revocation at once with everything else", testConcurrent},
		{"after closing", testClosed},
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

// draft is a session of a person whose logins share a sign-in.
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

// ownDraft is a session of a login that has a sign-in of its own.
func ownDraft(name, user string) *session.Draft {
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
	row.Body = nil // which testFind looks at
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
