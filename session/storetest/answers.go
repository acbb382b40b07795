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
	signIn := row.SignIn
	now := epoch.Add(time.Hour)
	var won atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			ok, err := s.LeaseSignIn(t.Context(), signIn.ID, signIn.LastAsked, now, now.Add(15*time.Second))
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	group.Wait()
	check(t, "leases won by twenty concurrent callers", won.Load(), 1)
	check(t, "the lease", find(t, s, row.Hash).SignIn.LeaseUntil, now.Add(15*time.Second))
	lease := func(lastAsked, now time.Time) bool {
		t.Helper()
		ok, err := s.LeaseSignIn(t.Context(), signIn.ID, lastAsked, now, now.Add(15*time.Second))
		must(t, err)
		return ok
	}
	check(t, "LeaseSignIn while another caller holds it", lease(signIn.LastAsked, now.Add(14*time.Second)), false)
	check(t, "LeaseSignIn after it has expired", lease(signIn.LastAsked, now.Add(15*time.Second)), true)
	release := func(end, now time.Time) bool {
		t.Helper()
		ok, err := s.LeaseSignIn(t.Context(), signIn.ID, signIn.LastAsked, end, now)
		must(t, err)
		return ok
	}
	check(t, "release by a caller whose lease has expired", release(now.Add(15*time.Second), now.Add(16*time.Second)), false)
	check(t, "release by the holder", release(now.Add(30*time.Second), now.Add(14*time.Second)), true)
	check(t, "LeaseSignIn after the release", lease(signIn.LastAsked, now.Add(15*time.Second)), true)
	if err := s.StoreAnswer(t.Context(), &session.AnswerUpdate{SignIn: signIn.ID, LeaseUntil: now.Add(15 * time.Second), Next: answered(now, nil)}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("StoreAnswer by a caller that lost the lease: %v, want ErrNotFound", err)
	}
	err := s.StoreAnswer(t.Context(), &session.AnswerUpdate{SignIn: signIn.ID, LeaseUntil: now.Add(30 * time.Second), Next: answered(now.Add(16*time.Second), nil)})
	must(t, err)
	check(t, "LeaseSignIn by a caller that read the row before the answer", lease(signIn.LastAsked, now.Add(time.Minute)), false)
	check(t, "LeaseSignIn by a caller that read the answer", lease(now.Add(16*time.Second), now.Add(time.Minute)), true)
}

// answered returns an AnswerUpdate.Next that sets LastAsked to at, releases the lease
// and calls change unless it is nil.
func answered(at time.Time, change func(*session.SignIn)) func(session.SignIn) session.SignIn {
	return func(s session.SignIn) session.SignIn {
		s.LastAsked, s.LeaseUntil = at, time.Time{}
		if change != nil {
			change(&s)
		}
		return s
	}
}

// storeAnswer takes a lease and stores an answer at that time.
func storeAnswer(t *testing.T, s session.Store, h session.Hash, at time.Time, change func(*session.SignIn), a session.AnswerUpdate) {
	t.Helper()
	row := find(t, s, h)
	until := at.Add(15 * time.Second)
	won, err := s.LeaseSignIn(t.Context(), row.SignIn.ID, row.SignIn.LastAsked, at, until)
	must(t, err)
	if !won {
		t.Fatalf("LeaseSignIn of %+v = false, want true", row.SignIn)
	}
	a.SignIn, a.LeaseUntil, a.Next = row.SignIn.ID, until, answered(at, change)
	must(t, s.StoreAnswer(t.Context(), &a))
}

// testStoreAnswer: StoreAnswer writes the columns that Next returns, the identity
// with a new version, the refresh token with a new TokenVersion, and nothing else.
func testStoreAnswer(t *testing.T, s session.Store) {
	d := perLoginDraft("a", "alice")
	signIn := create(t, s, d).SignIn
	want, sealed := d.Identity, d.Sealed
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	second := identity("alice the second")
	for i, tc := range []struct {
		name   string
		change func(*session.SignIn)
		answer session.AnswerUpdate
	}{
		{"a change of LastAsked only", nil, session.AnswerUpdate{}},
		{"an answer", func(s *session.SignIn) { s.LastAnswer = session.AnswerDown }, session.AnswerUpdate{}},
		{"gone", func(s *session.SignIn) { s.LastAnswer, s.GoneSince = session.AnswerGone, at(3) }, session.AnswerUpdate{}},
		{"a pending end", func(s *session.SignIn) { s.PendingSince, s.PendingReason = at(4), session.ReasonGone }, session.AnswerUpdate{}},
		{"a refresh token", func(s *session.SignIn) { s.LastAnswer = session.AnswerLost; s.TokenVersion++ }, session.AnswerUpdate{Sealed: []byte("rotated")}},
		{"a refresh token with the same TokenVersion", nil, session.AnswerUpdate{Sealed: []byte("void")}},
		{"an identity", func(s *session.SignIn) {
			s.LastAnswer, s.GoneSince, s.PendingSince, s.PendingReason = session.AnswerVouched, time.Time{}, time.Time{}, ""
			s.LastVouched, s.Version, s.Stamp = at(5), second.Version, "s2"
		}, session.AnswerUpdate{Identity: &second}},
		{"an identity with the same version", nil, session.AnswerUpdate{Identity: &session.StoredIdentity{User: "nobody", Body: []byte("void")}}},
		{"never", func(s *session.SignIn) { s.LastAnswer = session.AnswerNever }, session.AnswerUpdate{}},
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
			want = *tc.answer.Identity
		}
		stored, err := s.Identity(t.Context(), signIn.ID)
		must(t, err)
		check(t, tc.name+": identity", stored, want)
	}
}

// testStoreAnswerAfterLogin: Next gets the row as a login has changed it since the
// lease was taken, so that no write is lost.
func testStoreAnswerAfterLogin(t *testing.T, s session.Store) {
	row := create(t, s, draft("a", "alice"))
	at := epoch.Add(time.Hour)
	until := at.Add(15 * time.Second)
	if won, err := s.LeaseSignIn(t.Context(), row.SignIn.ID, row.SignIn.LastAsked, at, until); !won || err != nil {
		t.Fatalf("LeaseSignIn = %v, %v", won, err)
	}
	login := draft("b", "alice")
	login.Created, login.Stamp, login.Identity = at.Add(time.Second), "s2", identity("alice2")
	want := create(t, s, login).SignIn
	check(t, "the lease after a login", want.LeaseUntil, until)
	var got session.SignIn
	next := answered(at.Add(2*time.Second), func(s *session.SignIn) { s.LastAnswer = session.AnswerDown })
	must(t, s.StoreAnswer(t.Context(), &session.AnswerUpdate{SignIn: row.SignIn.ID, LeaseUntil: until, Next: func(s session.SignIn) session.SignIn {
		got = s
		return next(s)
	}}))
	check(t, "the sign-in that Next gets", got, want)
	check(t, "the stored sign-in", find(t, s, row.Hash).SignIn, next(want))
}

// testAdopt: live sessions whose stamp [session.SignIn.Adopts] returns get the
// sign-in's.
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
	stamps("a login without a stamp", map[string]string{"without": "a:1"})
	login("changed", "a:2", 4)
	stamps("a login with another stamp", map[string]string{"blank": "a:1", "changed": "a:2"})
	answer("b:1", 5)
	stamps("an answer with a stamp of other attributes", map[string]string{"blank": "a:1", "changed": "b:1"})
	login("again", "c:1", 6)
	stamps("a login with a stamp of other attributes", map[string]string{"blank": "a:1", "changed": "c:1", "again": "c:1"})
}

// testLifetime: AnswerUpdate.Lifetime shortens the sessions of its sign-in, and
// lengthens none.
func testLifetime(t *testing.T, s session.Store) {
	long, short := draft("long", "alice"), draft("short", "alice")
	short.Expires = epoch.Add(time.Hour)
	create(t, s, long)
	create(t, s, short)
	create(t, s, draft("another", "bob"))
	storeAnswer(t, s, long.Hash, epoch.Add(time.Minute), nil, session.AnswerUpdate{Lifetime: 12 * time.Hour})
	for name, want := range map[string]time.Duration{"long": 12 * time.Hour, "short": time.Hour, "another": 1000 * time.Hour} {
		check(t, "the expiry of "+name, find(t, s, hash(name)).Expires, epoch.Add(want))
	}
}

func testFirstUse(t *testing.T, s session.Store) {
	h := hash("provider token")
	lease := func(seconds int) bool {
		t.Helper()
		now := epoch.Add(time.Duration(seconds) * time.Second)
		won, err := s.LeaseFirstUse(t.Context(), h, now, now.Add(15*time.Second))
		must(t, err)
		return won
	}
	check(t, "LeaseFirstUse", lease(0), true)
	check(t, "LeaseFirstUse while another caller holds it", lease(14), false)
	check(t, "LeaseFirstUse after it has expired", lease(15), true)
	must(t, s.ReleaseFirstUse(t.Context(), h))
	check(t, "LeaseFirstUse after the release", lease(16), true)
	d := perLoginDraft("a", "alice")
	d.ProviderToken = &h
	create(t, s, d)
	check(t, "LeaseFirstUse of a token with a session", lease(100), false)
	_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	check(t, "LeaseFirstUse of a token whose session has ended", lease(200), false)
}

func testUsed(t *testing.T, s session.Store) {
	h := create(t, s, draft("a", "alice")).Hash
	client := session.Client{Address: netip.MustParseAddr("2001:db8::1"), ID: "oras-go", UserAgent: "oras"}
	late, early := epoch.Add(2*time.Hour), epoch.Add(time.Hour)
	must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: h, At: late, Client: client}, {Token: hash("no session"), At: late}}))
	must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: h, At: early}}))
	check(t, "the last use", find(t, s, h).LastUsed, late)
	listed, err := s.List(t.Context(), session.Selector{}, session.Hash{}, 10)
	must(t, err)
	check(t, "the last client", listed[0].Last, client)
	check(t, "the first client", listed[0].Client.ID, "docker")
}
