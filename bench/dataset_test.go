package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

// dataset is what a store is filled with: people with twenty groups each, and
// sessions spread evenly over them.
type dataset struct {
	people []session.StoredIdentity
	hashes []session.Hash
	tokens []string
}

// owner returns the index of the person who has session i.
func (d *dataset) owner(i int) int { return i % len(d.people) }

// userNames returns the user names of a number of people.
func userNames(people int) []string {
	all := make([]string, people)
	for i := range all {
		all[i] = fmt.Sprintf("user%06d", i)
	}
	return all
}

// newDataset issues sessions into a store that discards them. So tokens, hashes
// and identities are those of the product, and a million take seconds.
func newDataset(b *testing.B, people, sessions int) *dataset {
	b.Helper()
	store := new(fakeStore)
	s, err := session.New(b.Context(), session.Config{SealKey: session.NewSealKey()}.WithDefaults(), store, fakeProviders{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	all := userNames(people)
	d := &dataset{people: make([]session.StoredIdentity, people), hashes: make([]session.Hash, sessions), tokens: make([]string, sessions)}
	for i := range sessions {
		name := all[d.owner(i)]
		id := &providers.Identity{Provider: "local", Fingerprint: "file", Subject: name, User: name, Method: providers.MethodPassword}
		if i < people { // the first session of a person stores the identity
			id.Groups = teamNames(20)
		}
		token, _, err := s.Issue(b.Context(), id, "registry", session.Client{ID: "docker"})
		if err != nil {
			b.Fatal(err)
		}
		d.tokens[i], d.hashes[i] = token.Reveal(), store.last.Hash
		if i < people {
			d.people[i] = store.last.Identity
		}
	}
	return d
}

// firstSessions returns the dataset of the first sessions, each of another person.
func (d *dataset) firstSessions(sessions int) *dataset {
	return &dataset{people: d.people[:sessions], hashes: d.hashes[:sessions], tokens: d.tokens[:sessions]}
}

// withPeople returns the same sessions, spread over the first people only.
func (d *dataset) withPeople(people int) *dataset {
	return &dataset{people: d.people[:people], hashes: d.hashes, tokens: d.tokens}
}

// fakeStore is a store that keeps the last session only.
type fakeStore struct {
	session.Store // nil: no other method is called
	last          *session.Draft
}

func (*fakeStore) Now(context.Context) (time.Time, error) { return time.Now(), nil }

func (*fakeStore) Setting(_ context.Context, _ string, value []byte) ([]byte, error) {
	return value, nil
}

func (s *fakeStore) Create(_ context.Context, draft *session.Draft) error {
	s.last = draft
	return nil
}

func (*fakeStore) CountSessions(context.Context) (map[session.Kind]int, error) { return nil, nil }
func (*fakeStore) SetSetting(context.Context, string, []byte) error            { return nil }

func (*fakeStore) Close() error { return nil }

// fakeProviders has the providers' methods that issuing a session calls.
type fakeProviders struct{ session.Providers }

func (fakeProviders) Fingerprint(string) string { return "" }
func (fakeProviders) PerSignIn(string) bool     { return false }

func (fakeProviders) Reauthenticate(string) time.Duration { return 0 }
