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

// dataset is who a store is filled with: people of twenty groups each, and
// sessions dealt out among them.
type dataset struct {
	people []session.StoredIdentity
	hashes []session.Hash
	tokens []string
}

// owner is the number of the person whose session i is.
func (d *dataset) owner(i int) int { return i % len(d.people) }

// names are what people of a crowd are called.
func userNames(people int) []string {
	all := make([]string, people)
	for i := range all {
		all[i] = fmt.Sprintf("user%06d", i)
	}
	return all
}

// newDataset has sessions issued into a store that keeps nothing, so that the
// tokens, their hashes and what is kept of people are as the product makes
// them, a million of them in seconds.
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
		if i < people { // once is enough
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

// first is a crowd of the first so many sessions, each of another person.
func (d *dataset) firstSessions(sessions int) *dataset {
	return &dataset{people: d.people[:sessions], hashes: d.hashes[:sessions], tokens: d.tokens[:sessions]}
}

// among deals the sessions out among fewer people.
func (d *dataset) withPeople(people int) *dataset {
	return &dataset{people: d.people[:people], hashes: d.hashes, tokens: d.tokens}
}

// fakeStore is a store that remembers only the last session it was given.
type fakeStore struct {
	session.Store // nil: nothing else is asked of it
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

func (*fakeStore) Close() error { return nil }

// fakeProviders is the provider of everybody, asked about nobody.
type fakeProviders struct{ session.Providers }

func (fakeProviders) Fingerprint(string) string { return "" }
func (fakeProviders) PerSession(string) bool    { return false }
