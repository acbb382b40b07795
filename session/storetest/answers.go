package storetest

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/session"
)

func testLease(t *testing.T, s session.Store) {
	row := create(t, s, draft("a", "alice"))
	p := row.SignIn
	now := epoch.Add(time.Hour)
	var won atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			ok, err := s.LeaseSignIn(t.Context(), p.ID, p.Asked, now, now.Add(15*time.Second))
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	group.Wait()
	check(t, "leases won by twenty at once", won.Load(), 1)
	check(t, "the lease", find(t, s, row.Hash).SignIn.Lease, now.Add(15*time.Second))
	lease := func(asked, now time.Time) bool {
		t.Helper()
		ok, err := s.LeaseSignIn(t.Context(), p.ID, asked, now, now.Add(15*time.Second))
		must(t, err)
		return ok
	}
	check(t, "while it lasts", lease(p.Asked, now.Add(14*time.Second)), false)
	check(t, "after its end", lease(p.Asked, now.Add(15*time.Second)), true)
	giveUp := func(end, now time.Time) bool {
		t.Helper()
		ok, err := s.LeaseSignIn(t.Context(), p.ID, p.Asked, end, now)
		must(t, err)
		return ok
	}
	check(t, "given up by one whose lease is over", giveUp(now.Add(15*time.Second), now.Add(16*time.Second)), false)
	check(t, "given up", giveUp(now.Add(30*time.Second), now.Add(14*time.Second)), true)
	check(t, "at once after that", lease(p.Asked, now.Add(15*time.Second)), true)
	if err := s.StoreAnswer(t.Context(), &session.AnswerUpdate{SignIn: p.ID, Lease: now.Add(15 * time.Second), Next: answered(now, nil)}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("StoreAnswer by one that lost the lease: %v, want ErrNotFound", err)
	}
	err := s.StoreAnswer(t.Context(), &session.AnswerUpdate{SignIn: p.ID, Lease: now.Add(30 * time.Second), Next: answered(now.Add(16*time.Second), nil)})
	must(t, err)
	check(t, "by one that saw it before it was asked", lease(p.Asked, now.Add(time.Minute)), false)
	check(t, "by one that saw the answer", lease(now.Add(16*time.Second), now.Add(time.Minute)), true)
}

// answered returns the Next of a AnswerUpdate: the provider is asked at that time,
// the lease is given up, and change, unless it is nil, sets other columns.
func answered(at time.Time, change func(*session.SignIn)) func(session.SignIn) session.SignIn {
	return func(p session.SignIn) session.SignIn {
		p.Asked, p.Lease = at, time.Time{}
		if change != nil {
			change(&p)
		}
		return p
	}
}

// storeAnswer takes a lease and keeps an answer.
func storeAnswer(t *testing.T, s session.Store, h session.Hash, at time.Time, change func(*session.SignIn), a session.AnswerUpdate) {
	t.Helper()
	row := find(t, s, h)
	until := at.Add(15 * time.Second)
	won, err := s.LeaseSignIn(t.Context(), row.SignIn.ID, row.SignIn.Asked, at, until)
	must(t, err)
	if !won {
		t.Fatalf("no lease for %+v", row.SignIn)
	}
	a.SignIn, a.Lease, a.Next = row.SignIn.ID, until, answered(at, change)
	must(t, s.StoreAnswer(t.Context(), &a))
}

// testStoreAnswer writes the columns that Next returns, the identity with another version
// and the refresh token with another number, and nothing else.
func testStoreAnswer(t *testing.T, s session.Store) {
	d := ownDraft("a", "alice")
	signIn := create(t, s, d).SignIn
	known, sealed := d.Identity, d.Sealed
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	second := identity("alice the second")
	for i, tc := range []struct {
		name   string
		change func(*session.SignIn)
		answer session.AnswerUpdate
	}{
		{"nothing more", nil, session.AnswerUpdate{}},
		{"an answer", func(s *session.SignIn) { s.Answer = session.AnswerDown }, session.AnswerUpdate{}},
		{"gone", func(s *session.SignIn) { s.Answer, s.Gone = session.AnswerGone, at(3) }, session.AnswerUpdate{}},
		{"a pending end", func(s *session.SignIn) { s.Pending, s.Reason = at(4), session.ReasonGone }, session.AnswerUpdate{}},
		{"a refresh token", func(s *session.SignIn) { s.Answer = session.AnswerLost; s.TokenVersion++ }, session.AnswerUpdate{Sealed: []byte("rotated")}},
		{"a refresh token that is void", nil, session.AnswerUpdate{Sealed: []byte("void")}},
		{"identity", func(s *session.SignIn) {
			s.Answer, s.Gone, s.Pending, s.Reason = session.AnswerVouched, time.Time{}, time.Time{}, ""
			s.Checked, s.Version, s.Stamp = at(5), second.Version, "s2"
		}, session.AnswerUpdate{Identity: &second}},
		{"identity that is void", nil, session.AnswerUpdate{Identity: &session.StoredIdentity{User: "nobody", Body: []byte("void")}}},
		{"never", func(s *session.SignIn) { s.Answer = session.AnswerNever }, session.AnswerUpdate{}},
	} {
		before := signIn
		storeAnswer(t, s, d.Hash, at(i+1), tc.change, tc.answer)
		signIn = answered(at(i+1), tc.change)(signIn)
		check(t, tc.name, find(t, s, d.Hash).SignIn, signIn)
		if signIn.TokenVersion != before.TokenVersion {
			sealed = tc.answer.Sealed
		}
		got, err := s.ProviderToken(t.Context(), signIn.ID)
		must(t, err)
		check(t, tc.name+": refresh token", got, session.ProviderToken{TokenVersion: signIn.TokenVersion, LoginID: d.LoginID, Body: sealed})
		if signIn.Version != before.Version {
			known = *tc.answer.Identity
		}
		knows, err := s.Identity(t.Context(), signIn.ID)
		must(t, err)
		check(t, tc.name+": identity", knows, known)
	}
}

// testStoreAnswerAfterLogin gives Next the row as a login has changed it since the
// lease, so that nothing of that is lost.
func testStoreAnswerAfterLogin(t *testing.T, s session.Store) {
	row := create(t, s, draft("a", "alice"))
	at := epoch.Add(time.Hour)
	until := at.Add(15 * time.Second)
	if won, err := s.LeaseSignIn(t.Context(), row.SignIn.ID, row.SignIn.Asked, at, until); !won || err != nil {
		t.Fatalf("LeaseSignIn = %v, %v", won, err)
	}
	login := draft("b", "alice")
	login.Created, login.Stamp, login.Identity = at.Add(time.Second), "s2", identity("alice2")
	want := create(t, s, login).SignIn
	check(t, "the lease after a login", want.Lease, until)
	var seen session.SignIn
	next := answered(at.Add(2*time.Second), func(s *session.SignIn) { s.Answer = session.AnswerDown })
	must(t, s.StoreAnswer(t.Context(), &session.AnswerUpdate{SignIn: row.SignIn.ID, Lease: until, Next: func(s session.SignIn) session.SignIn {
		seen = s
		return next(s)
	}}))
	check(t, "what Next is given", seen, want)
	check(t, "what is kept", find(t, s, row.Hash).SignIn, next(want))
}

// testAdopt replaces stamps of sessions as [session.SignIn.Adopts] has it.
func testAdopt(t *testing.T, s session.Store) {
	stamps := func(when string, want map[string]string) {
		t.Helper()
		for name, stamp := range want {
			check(t, when+": "+name, find(t, s, hash(name)).Stamp, stamp)
		}
	}
	login := func(name, stamp string, hours int) {
		d := draft(name, "alice")
		d.Stamp, d.Created = stamp, epoch.Add(time.Duration(hours)*time.Hour)
		create(t, s, d)
	}
	answer := func(stamp string, hours int) {
		storeAnswer(t, s, hash("blank"), epoch.Add(time.Duration(hours)*time.Hour), func(s *session.SignIn) { s.Stamp = stamp }, session.AnswerUpdate{})
	}
	other := draft("of bob", "bob")
	other.Stamp = ""
	create(t, s, other)
	login("blank", "", 1)
	answer("a:1", 2)
	stamps("an answer with a first stamp", map[string]string{"blank": "a:1", "of bob": ""})
	login("without", "", 3)
	stamps("a login that shows none", map[string]string{"without": "a:1"})
	login("changed", "a:2", 4)
	stamps("a login with another", map[string]string{"blank": "a:1", "changed": "a:2"})
	answer("b:1", 5)
	stamps("an answer made of other attributes", map[string]string{"blank": "a:1", "changed": "b:1"})
	login("again", "c:1", 6)
	stamps("a login made of other attributes", map[string]string{"blank": "a:1", "changed": "c:1", "again": "c:1"})
}

// testLifetime bounds the sessions of a sign-in that cannot be asked about again.
func testLifetime(t *testing.T, s session.Store) {
	long, short := draft("long", "alice"), draft("short", "alice")
	short.Expires = epoch.Add(time.Hour)
	create(t, s, long)
	create(t, s, short)
	create(t, s, draft("another", "bob"))
	storeAnswer(t, s, long.Hash, epoch.Add(time.Minute), nil, session.AnswerUpdate{Lifetime: 12 * time.Hour})
	for name, want := range map[string]time.Duration{"long": 12 * time.Hour, "short": time.Hour, "another": 1000 * time.Hour} {
		check(t, "when it expires: "+name, find(t, s, hash(name)).Expires, epoch.Add(want))
	}
}

func testFirstUse(t *testing.T, s session.Store) {
	h := hash("upstream")
	lease := func(seconds int) bool {
		t.Helper()
		now := epoch.Add(time.Duration(seconds) * time.Second)
		won, err := s.LeaseFirstUse(t.Context(), h, now, now.Add(15*time.Second))
		must(t, err)
		return won
	}
	check(t, "the first", lease(0), true)
	check(t, "the second", lease(14), false)
	check(t, "after its end", lease(15), true)
	must(t, s.ReleaseFirstUse(t.Context(), h))
	check(t, "after its release", lease(16), true)
	d := ownDraft("a", "alice")
	d.ProviderToken = &h
	create(t, s, d)
	check(t, "with a session", lease(100), false)
	_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	check(t, "with a session that ended", lease(200), false)
}

func testUsed(t *testing.T, s session.Store) {
	h := create(t, s, draft("a", "alice")).Hash
	client := session.Client{Address: netip.MustParseAddr("2001:db8::1"), ID: "oras-go", UserAgent: "oras"}
	late, early := epoch.Add(2*time.Hour), epoch.Add(time.Hour)
	must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: h, At: late, Client: client}, {Token: hash("nobody"), At: late}}))
	must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: h, At: early}}))
	check(t, "used", find(t, s, h).Used, late)
	listed, err := s.List(t.Context(), session.Selector{}, session.Hash{}, 10)
	must(t, err)
	check(t, "the last client", listed[0].Last, client)
	check(t, "the first client", listed[0].Client.ID, "docker")
}
