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

// crowd is who a store is filled with: people of twenty groups each, and
// sessions dealt out among them.
type crowd struct {
	people []session.StoredIdentity
	hashes []session.Hash
	tokens []string
}

// owner is the number of the person whose session i is.
func (c *crowd) owner(i int) int { return i % len(c.people) }

// names are what people of a crowd are called.
func names(people int) []string {
	all := make([]string, people)
	for i := range all {
		all[i] = fmt.Sprintf("user%06d", i)
	}
	return all
}

// newCrowd has sessions issued into a store that keeps nothing, so that the
// tokens, their hashes and what is kept of people are as the product makes
// them, a million of them in seconds.
func newCrowd(b *testing.B, people, sessions int) *crowd {
	b.Helper()
	kept := new(drafts)
	s, err := session.New(b.Context(), session.Config{SealKey: session.NewSealKey()}.WithDefaults(), kept, anyone{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	all := names(people)
	c := &crowd{people: make([]session.StoredIdentity, people), hashes: make([]session.Hash, sessions), tokens: make([]string, sessions)}
	for i := range sessions {
		name := all[c.owner(i)]
		id := &providers.Identity{Provider: "local", Fingerprint: "file", Subject: name, User: name, Method: providers.MethodPassword}
		if i < people { // once is enough
			id.Groups = teams(20)
		}
		token, _, err := s.Issue(b.Context(), id, "registry", session.Client{ID: "docker"})
		if err != nil {
			b.Fatal(err)
		}
		c.tokens[i], c.hashes[i] = token.Reveal(), kept.last.Hash
		if i < people {
			c.people[i] = kept.last.Identity
		}
	}
	return c
}

// first is a crowd of the first so many sessions, each of another person.
func (c *crowd) first(sessions int) *crowd {
	return &crowd{people: c.people[:sessions], hashes: c.hashes[:sessions], tokens: c.tokens[:sessions]}
}

// among deals the sessions out among fewer people.
func (c *crowd) among(people int) *crowd {
	return &crowd{people: c.people[:people], hashes: c.hashes, tokens: c.tokens}
}

// drafts is a store that remembers only the last session it was given.
type drafts struct {
	session.Store // nil: nothing else is asked of it
	last          *session.Draft
}

func (*drafts) Now(context.Context) (time.Time, error) { return time.Now(), nil }

func (*drafts) Setting(_ context.Context, _ string, value []byte) ([]byte, error) { return value, nil }

func (d *drafts) Create(_ context.Context, draft *session.Draft) error {
	d.last = draft
	return nil
}

func (*drafts) Close() error { return nil }

// anyone is the provider of everybody, asked about nobody.
type anyone struct{ session.Providers }

func (anyone) Fingerprint(string) string { return "" }
func (anyone) PerSession(string) bool    { return false }
