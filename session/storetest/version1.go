package storetest

import (
	"fmt"
	"testing"
	"time"

	"shorepass/session"
)

// Version1 returns statements that fill a store of schema version 1. blob writes a
// blob literal in the store's dialect. [CheckVersion1] tests the migrated rows.
func Version1(blob func([]byte) string) []string {
	b := func(text string) string { return blob([]byte(text)) }
	h := func(name string) string { hash := hash(name); return blob(hash[:]) }
	ms := func(hours int) int64 { return session.Millis(epoch.Add(time.Duration(hours) * time.Hour)) }
	var all []string
	person := func(id, providerID int, provider, user, own, name string, checked, answer, gone int) {
		known := identity(name)
		all = append(all, fmt.Sprintf(`INSERT INTO person (id, provider, provider_id, subject, own, user_name, version, stamp, checked, asked, answer, gone, lease)
			VALUES (%d, '%s', %d, 'subject of %s', '%s', '%s', %s, 's1', %d, %d, %d, %d, 0)`,
			id, provider, providerID, user, own, name, blob(known.Version[:]), ms(checked), ms(checked+1), answer, gone),
			fmt.Sprintf("INSERT INTO facts (person, body) VALUES (%d, %s)", id, blob(known.Body)))
	}
	renewal := func(person int, token string, ended int64, revoked int) {
		all = append(all, fmt.Sprintf("INSERT INTO renewal (person, token, body, ended, revoked) VALUES (%d, %s, %s, %d, CAST(%d AS BOOLEAN))",
			person, h(token), b("sealed "+token), ended, revoked))
	}
	made := func(name string, person, providerID int, used, ended int64, why, upstream string) {
		all = append(all, fmt.Sprintf(`INSERT INTO session (hash, person, kind, method, service, provider_id, stamp, created, expires, used, ended, why, who, upstream)
			VALUES (%s, %d, 'refresh', 'password', 'registry', %d, 's1', %d, %d, %d, %d, '%s', 7, %s)`, h(name), person, providerID, ms(0), ms(1000), used, ended, why, upstream),
			fmt.Sprintf("INSERT INTO client (hash, address, id, agent, last_id, ended_by) VALUES (%s, '192.0.2.7', 'docker', 'docker/28', 'oras', '%s')", h(name), why))
	}
	person(3, -42, "corp", "alice", "", "alice", 5, 3, 99)
	made("a", 3, -42, ms(2), 0, "", "NULL")
	made("revoked", 3, -42, 0, ms(3), "revoked", "NULL")
	person(4, -43, "corp", "alice", "", "alice before", 1, 0, 0) // from when the provider had another fingerprint
	made("elsewhere", 4, -43, 0, 0, "", "NULL")
	person(5, -42, "sso", "bob", "bobs first", "bob", 1, 0, 0)
	made("b1", 5, -42, 0, 0, "", h("upstream"))
	renewal(5, "b1", 0, 0)
	person(8, -42, "sso", "bob", "bobs second", "bob married", 2, 5, 0) // withheld by the circuit breaker
	made("b2", 8, -42, 0, ms(4), "never used", "NULL")
	renewal(8, "b2", ms(4), 0)
	return append(all,
		fmt.Sprintf("INSERT INTO setting (name, value) VALUES ('x', %s)", b("y")),
		"INSERT INTO undo (provider, person, who, seen, at, why, stamp, checked, gone) VALUES ('corp', 3, 7, 1, 1, '', '', 0, 0)",
		"INSERT INTO doubt (provider, until) VALUES ('corp', 1)",
		"INSERT INTO answers (provider, replica, count, at) VALUES ('corp', 'one', 1, 1)",
	)
}

// CheckVersion1 tests that every person, sign-in and session of [Version1] is in the
// migrated store s.
func CheckVersion1(t *testing.T, s session.Store) {
	hour := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }
	a, revoked, elsewhere := find(t, s, hash("a")), find(t, s, hash("revoked")), find(t, s, hash("elsewhere"))
	b1, b2 := find(t, s, hash("b1")), find(t, s, hash("b2"))
	check(t, "alice's session", *a, session.Row{
		Hash: hash("a"), Kind: session.KindRefresh, Service: "registry", Stamp: "s1", Login: session.Login{Method: "password", Time: epoch},
		Created: epoch, Expires: hour(1000), LastUsed: hour(2), Person: a.Person, ProviderID: -42,
		SignIn: session.SignIn{ID: 3, Version: identity("alice").Version, Stamp: "s1", LastVouched: hour(5), LastAsked: hour(6), LastAnswer: session.AnswerGone, GoneSince: time.UnixMilli(99).UTC()},
	})
	check(t, "the revoked session", []any{revoked.Reason, revoked.Ended, revoked.SignIn}, []any{session.ReasonRevoked, hour(3), a.SignIn})
	check(t, "persons", []any{elsewhere.Person == a.Person, b1.Person == b2.Person, a.Person == b1.Person}, []any{true, true, false})
	check(t, "sign-ins", []any{elsewhere.SignIn.ID, elsewhere.ProviderID, b1.SignIn.ID, b1.SignIn.TokenVersion, b2.SignIn.ID}, []any{int64(4), int64(-43), int64(5), int64(1), int64(8)})
	check(t, "the answer that was withheld", b2.SignIn.LastAnswer, session.AnswerLost)
	for name, row := range map[string]*session.Row{"alice": a, "alice before": elsewhere, "bob married": b2} {
		known, err := s.Identity(t.Context(), row.SignIn.ID)
		must(t, err)
		want := identity(name)
		if name == "alice before" {
			want.User = "alice" // the person's user name is the one that was read last
		}
		check(t, "the identity of "+name, known, want)
	}
	providerToken, err := s.ProviderToken(t.Context(), b1.SignIn.ID)
	must(t, err)
	check(t, "the provider's refresh token", providerToken, session.ProviderToken{TokenVersion: 1, LoginID: "bobs first", Body: []byte("sealed b1")})
	byProviderToken, err := s.FindByProviderToken(t.Context(), hash("upstream"))
	must(t, err)
	check(t, "FindByProviderToken", byProviderToken, b1)
	listed, err := s.List(t.Context(), session.Selector{User: "alice", Ended: true}, session.Hash{}, 10)
	must(t, err)
	check(t, "alice's sessions", len(listed), 3)
	for _, l := range listed {
		check(t, "the client of a session", []any{l.Client.ID, l.Last.ID, l.By}, []any{"docker", "oras", string(l.Reason)})
	}
	stored, err := s.Setting(t.Context(), "x", nil)
	must(t, err)
	check(t, "a setting", string(stored), "y")

	again := create(t, s, draft("again", "alice"))
	check(t, "the sign-in of a new login", []any{again.Person, again.SignIn.ID}, []any{a.Person, a.SignIn.ID})
	if fresh := create(t, s, draft("fresh", "dora")); fresh.SignIn.ID <= 8 {
		t.Errorf("a new sign-in has the id %d, which version 1 used", fresh.SignIn.ID)
	}
	taken, err := s.TakeRevocable(t.Context(), hour(5), 10)
	must(t, err)
	check(t, "tokens to revoke", taken, []session.SealedToken{{SignIn: 8, Provider: "sso", ProviderID: -42, Subject: "subject of bob", LoginID: "bobs second", Body: []byte("sealed b2"), Others: true}})
}
