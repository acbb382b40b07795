package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"shorepass/session"
)

// browserDraft returns a browser's session whose login was at a time.
func browserDraft(name, user string, authTime time.Time) *session.Draft {
	d := draft(name, user)
	d.Kind, d.Service, d.Login.Time = session.KindBrowser, "", authTime
	return d
}

// putGrant stores a grant that is made from a session.
func putGrant(t *testing.T, s session.Store, name string, from *session.Row) session.Hash {
	t.Helper()
	g := grantFrom(name, from)
	must(t, s.PutGrant(t.Context(), g))
	return g.Hash
}

func grantFrom(name string, from *session.Row) *session.Grant {
	return &session.Grant{
		Hash: hash(name), Kind: session.KindOneTime, SignIn: from.SignIn.ID, From: &from.Hash, Service: "registry", Stamp: from.Stamp, Login: from.Login,
		Created: epoch, Expires: epoch.Add(10 * time.Minute),
	}
}

// isGood reports whether a grant can be spent.
func isGood(t *testing.T, s session.Store, grant session.Hash) bool {
	t.Helper()
	g, err := s.FindGrant(t.Context(), grant, session.Version{})
	must(t, err)
	return g.LastUsed.IsZero() && g.Expires.After(g.Created)
}

// spend spends a grant at a time.
func spend(t *testing.T, s session.Store, grant session.Hash, from *session.Row, at time.Time) error {
	d := &session.Draft{Row: *from, Derived: true, Grant: &grant, Bound: 10}
	d.Hash, d.Kind, d.Created = hash("spent "+grant.ID()), session.KindRefresh, at
	return s.Create(t.Context(), d)
}

// testEndGrant: a grant ends once, and then cannot be spent, also by a request that
// began before. It no longer keeps the refresh token of its sign-in.
func testEndGrant(t *testing.T, s session.Store) {
	d := browserDraft("a", "alice", epoch)
	d.Sealed = []byte("sealed")
	from := create(t, s, d)
	g, spent := putGrant(t, s, "g", from), putGrant(t, s, "spent", from)
	must(t, spend(t, s, spent, from, epoch))
	for _, tc := range []struct {
		name  string
		grant session.Hash
		want  bool
	}{{"unspent", g, true}, {"ended", g, false}, {"spent", spent, false}, {"unknown", hash("unknown"), false}} {
		ended, err := s.EndGrant(t.Context(), tc.grant)
		must(t, err)
		check(t, "EndGrant of one that is "+tc.name, ended, tc.want)
	}
	if err := spend(t, s, g, from, epoch); !errors.Is(err, session.ErrSpent) {
		t.Errorf("a grant that has ended is spent: %v, want ErrSpent", err)
	}
	_, err := s.End(t.Context(), []session.Hash{from.Hash, hash("spent " + spent.ID())}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	taken, err := s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "refresh tokens to revoke", len(taken), 1)
}

// testEndWithGrants: with Ending.Grants the grants of a browser's login end, and no
// others of its sign-in.
func testEndWithGrants(t *testing.T, s session.Store) {
	a, b := create(t, s, browserDraft("a", "alice", epoch)), create(t, s, browserDraft("b", "alice", epoch.Add(time.Second)))
	bob := create(t, s, browserDraft("c", "bob", epoch))
	refresh := draft("d", "alice")
	refresh.Login.Time = epoch
	docker := create(t, s, refresh)
	ofA, ofB, ofBob := putGrant(t, s, "of a", a), putGrant(t, s, "of b", b), putGrant(t, s, "of bob", bob)
	end := func(what string, want []bool, grants bool, tokens ...session.Hash) {
		t.Helper()
		e := session.ReasonRevoked.Ending("", epoch)
		e.Grants = grants
		_, err := s.End(t.Context(), tokens, e)
		must(t, err)
		check(t, what+": the grants that are good", []bool{isGood(t, s, ofA), isGood(t, s, ofB), isGood(t, s, ofBob)}, want)
	}
	end("a refresh token of the same login", []bool{true, true, true}, true, docker.Hash)
	end("without Grants", []bool{true, true, true}, false, b.Hash)
	end("with Grants", []bool{false, true, true}, true, a.Hash)
	end("of a session that has ended", []bool{false, true, true}, true, b.Hash)
}

// testEndGrants: the unspent grants that a selector selects end, whether their session
// lives or not.
func testEndGrants(t *testing.T, s session.Store) {
	for _, tc := range []struct {
		sel  session.Selector
		want string
	}{
		{session.Selector{User: "alice"}, "a b"},
		{session.Selector{Provider: "corp", Subject: "subject of bob"}, "c"},
		{session.Selector{Provider: "sso"}, ""},
		{session.Selector{Group: "team of bob"}, "c"},
		{session.Selector{Provider: "corp", SID: "sid of a"}, "a"},
		{session.Selector{Provider: "corp", SID: "sid of a", Before: epoch}, ""},
		{session.Selector{User: "alice", Before: epoch.Add(time.Millisecond), Kind: session.KindBrowser, ID: "not used"}, "a b"},
	} {
		rows := make(map[string]*session.Row)
		for name, user := range map[string]string{"a": "alice", "b": "alice", "c": "bob"} {
			d := browserDraft(name+fmt.Sprint(tc.sel), user, epoch)
			d.Login.SID = "sid of " + name
			rows[name] = create(t, s, d)
			putGrant(t, s, "grant "+name+fmt.Sprint(tc.sel), rows[name])
		}
		_, err := s.End(t.Context(), []session.Hash{rows["b"].Hash}, session.ReasonRevoked.Ending("", epoch))
		must(t, err)
		n, err := s.EndGrants(t.Context(), tc.sel)
		must(t, err)
		ended := ""
		for _, name := range []string{"a", "b", "c"} {
			if !isGood(t, s, hash("grant "+name+fmt.Sprint(tc.sel))) {
				ended += " " + name
			}
		}
		if ended != "" {
			ended = ended[1:]
		}
		check(t, fmt.Sprintf("grants that EndGrants(%+v) ends", tc.sel), ended, tc.want)
		check(t, fmt.Sprintf("EndGrants(%+v)", tc.sel), n, (len(tc.want)+1)/2)
		all, err := s.EndGrants(t.Context(), session.Selector{Provider: "corp"})
		must(t, err)
		check(t, "grants left", all, 3-n)
	}
}

// testFrom: a session or grant is derived only from a session that lives.
func testFrom(t *testing.T, s session.Store) {
	from := create(t, s, browserDraft("a", "alice", epoch))
	derive := func(name string) error {
		d := &session.Draft{Row: *from, Derived: true, From: &from.Hash, Bound: 10}
		d.Hash, d.Kind = hash(name), session.KindPAT
		return s.Create(t.Context(), d)
	}
	must(t, derive("one"))
	putGrant(t, s, "first", from)
	_, err := s.End(t.Context(), []session.Hash{from.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	if err := derive("two"); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Create from a session that has ended: %v, want ErrNotFound", err)
	}
	if err := s.PutGrant(t.Context(), grantFrom("second", from)); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("PutGrant from a session that has ended: %v, want ErrNotFound", err)
	}
	for _, unknown := range []func() error{
		func() error { _, err := s.Find(t.Context(), hash("two"), session.Version{}); return err },
		func() error { _, err := s.FindGrant(t.Context(), hash("second"), session.Version{}); return err },
	} {
		if err := unknown(); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("what was derived from a session that has ended: %v, want ErrNotFound", err)
		}
	}
}

// testGrantRace: of a grant that is made while its session ends nothing can be spent.
func testGrantRace(t *testing.T, s session.Store) {
	for round := range 15 {
		from := create(t, s, browserDraft(fmt.Sprint(round), "alice", epoch.Add(time.Duration(round)*time.Second)))
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				if err := s.PutGrant(t.Context(), grantFrom(fmt.Sprint(round, " ", i), from)); err != nil && !errors.Is(err, session.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		group.Go(func() {
			e := session.ReasonRevoked.Ending("", epoch)
			e.Grants = true
			if n, err := s.End(t.Context(), []session.Hash{from.Hash}, e); n != 1 || err != nil {
				t.Errorf("End = %d, %v", n, err)
			}
		})
		group.Wait()
		for i := range 3 {
			g, err := s.FindGrant(t.Context(), hash(fmt.Sprint(round, " ", i)), session.Version{})
			if err == nil && g.Expires.After(g.Created) {
				t.Error("a grant outlives the session that it is made from")
			}
		}
	}
}

// testReplaces: the session that a new one replaces ends in the transaction, whosever it
// is, before the bound is checked, and the refresh token of a sign-in that they share
// stays.
func testReplaces(t *testing.T, s session.Store) {
	login := func(name, user string, replaces string, bound int) *session.Draft {
		d := browserDraft(name, user, epoch)
		d.Sealed, d.Bound = []byte("sealed of "+user), bound
		d.Admit = func([]session.LiveSession) (session.Eviction, error) { return session.Eviction{}, session.ErrTooMany }
		if replaces != "" {
			d.Replaces = new(hash(replaces))
		}
		return d
	}
	revocable := func(when string, want int) {
		t.Helper()
		taken, err := s.TakeRevocable(t.Context(), epoch, 10)
		must(t, err)
		check(t, when+": refresh tokens to revoke", len(taken), want)
	}
	create(t, s, login("a", "alice", "", 1))
	create(t, s, login("b", "alice", "a", 1))
	old := find(t, s, hash("a"))
	check(t, "the session that was replaced", []any{old.Reason, old.Ended}, []any{session.ReasonReplaced, epoch})
	revocable("a login of the same person", 0)
	create(t, s, login("c", "alice", "no session", 2))
	create(t, s, login("d", "bob", "c", 1))
	check(t, "the session of another person", find(t, s, hash("c")).Reason, session.ReasonReplaced)
	revocable("the person has another session", 0)
	create(t, s, login("e", "bob", "b", 2))
	revocable("it was the person's last", 1)
	if err := s.Create(t.Context(), login("f", "bob", "no session", 2)); !errors.Is(err, session.ErrTooMany) {
		t.Errorf("a login that replaces nothing: %v, want ErrTooMany", err)
	}
	refused := login("g", "dora", "d", 0)
	if err := s.Create(t.Context(), refused); !errors.Is(err, session.ErrTooMany) {
		t.Errorf("a login that is refused: %v, want ErrTooMany", err)
	}
	check(t, "the session that a refused login would have replaced", find(t, s, hash("d")).Reason, "")
}
