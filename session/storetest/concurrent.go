package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"shorepass/session"
)

// testFirstLogins: several first logins of a person at the same time make one
// sign-in, and its row is that of the latest login.
func testFirstLogins(t *testing.T, s session.Store) {
	for round := range 5 {
		user := fmt.Sprint("alice ", round)
		var group sync.WaitGroup
		drafts := make([]*session.Draft, 4)
		for i := range drafts {
			d := draft(fmt.Sprint(user, i), user)
			d.Created, d.Stamp = epoch.Add(time.Duration(i)*time.Hour), fmt.Sprint("s", i)
			d.Identity = identity(fmt.Sprint(user, i))
			drafts[i] = d
			group.Go(func() {
				if err := s.Create(t.Context(), d); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		last := drafts[len(drafts)-1]
		want := find(t, s, last.Hash).SignIn
		check(t, "the sign-in", want, session.SignIn{ID: want.ID, Version: last.Identity.Version, Stamp: last.Stamp, LastVouched: last.Created, LastAsked: last.Created, PendingSince: want.PendingSince, PendingReason: want.PendingReason})
		for _, d := range drafts {
			check(t, "the sign-in of another login", find(t, s, d.Hash).SignIn, want)
		}
		known, err := s.Identity(t.Context(), want.ID)
		must(t, err)
		check(t, "the identity", known, last.Identity)
	}
}

// testConcurrent: a session that is revoked while other calls lease, answer and use
// it stays ended.
func testConcurrent(t *testing.T, s session.Store) {
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for j := range 10 {
				d := perLoginDraft(fmt.Sprint(i, " ", j), "alice")
				if err := s.Create(t.Context(), d); err != nil {
					t.Error(err)
					return
				}
				var inner sync.WaitGroup
				inner.Go(func() {
					row, err := s.Find(t.Context(), d.Hash, session.Version{})
					if err != nil {
						t.Error(err)
						return
					}
					until := epoch.Add(time.Minute)
					if _, err := s.LeaseSignIn(t.Context(), row.SignIn.ID, row.SignIn.LastAsked, epoch, until); err != nil {
						t.Error(err)
					}
					if err := s.StoreAnswer(t.Context(), &session.AnswerUpdate{SignIn: row.SignIn.ID, LeaseUntil: until, Next: answered(epoch, nil), Identity: &d.Identity}); err != nil {
						t.Error(err)
					}
				})
				inner.Go(func() {
					if err := s.WriteLastUses(t.Context(), []session.LastUse{{Token: d.Hash, At: epoch}}); err != nil {
						t.Error(err)
					}
				})
				if n, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("", epoch)); n != 1 || err != nil {
					t.Errorf("End = %d, %v", n, err)
				}
				if row, err := s.Find(t.Context(), d.Hash, session.Version{}); err != nil || row.Ended.IsZero() {
					t.Errorf("Find after a revocation = %+v, %v", row, err)
				}
				inner.Wait()
				if row, err := s.Find(t.Context(), d.Hash, session.Version{}); err != nil || row.Ended.IsZero() {
					t.Errorf("Find after the concurrent writes = %+v, %v", row, err)
				}
			}
		})
	}
	group.Wait()
}

func testClosed(t *testing.T, s session.Store) {
	create(t, s, draft("a", "alice"))
	must(t, s.Close())
	if row, err := s.Find(t.Context(), hash("a"), session.Version{}); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find after Close = %v, %v, want an error other than ErrNotFound", row, err)
	}
	if err := s.Create(t.Context(), draft("b", "bob")); err == nil {
		t.Error("Create after Close: no error")
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("Ping after Close: no error")
	}
	must(t, s.Close())
}
