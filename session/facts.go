package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"shorepass/providers"
)

// factsJSON is what is kept of an identity, and shared by all sessions of the
// person: what belongs to one login is left out.
type factsJSON struct {
	Provider string          `json:"provider"`
	Subject  string          `json:"subject"`
	User     string          `json:"user"`
	Groups   []string        `json:"groups,omitempty"`
	Claims   json.RawMessage `json:"claims,omitempty"` // by providers.EncodeClaims
}

func encodeFacts(id *providers.Identity) (Facts, error) {
	f := factsJSON{Provider: id.Provider, Subject: id.Subject, User: id.User, Groups: id.Groups}
	var err error
	if len(id.Claims) > 0 {
		f.Claims, err = providers.EncodeClaims(id.Claims)
	}
	if err != nil {
		return Facts{}, fmt.Errorf("encode the claims that %q says of a person: %w", id.Provider, err)
	}
	body, err := json.Marshal(f)
	if err != nil {
		return Facts{}, fmt.Errorf("encode what %q says of a person: %w", id.Provider, err)
	}
	sum := sha256.Sum256(body)
	return Facts{Version: Version(sum[:len(Version{})]), User: id.User, Body: body}, nil
}

func decodeFacts(body []byte) (*providers.Identity, error) {
	var f factsJSON
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fmt.Errorf("read what is kept of a person: %w", err)
	}
	id := &providers.Identity{Provider: f.Provider, Subject: f.Subject, User: f.User, Groups: f.Groups}
	if f.Claims == nil {
		return id, nil
	}
	var err error
	if id.Claims, err = providers.DecodeClaims(f.Claims); err != nil {
		return nil, fmt.Errorf("read the claims that are kept of a person: %w", err)
	}
	return id, nil
}

// who is the same for all sessions of a person at a provider. Two persons with
// the same number would share their per_person, and nothing else.
func who(provider, subject string) int64 { return number("who", provider+"\x00"+subject) }

// providerID tells a provider from one of the same name that was pointed
// elsewhere. The stores' columns for it are called mark.
func providerID(provider, fingerprint string) int64 {
	return number("fingerprint", provider+"\x00"+fingerprint)
}

func number(purpose, text string) int64 {
	hash := hashOf(purpose, text)
	return int64(binary.BigEndian.Uint64(hash[:]))
}

const (
	// maxPeopleBytes bounds what decoded persons take, counted by what they take
	// in the store; decoded it is about three times that.
	maxPeopleBytes = 4 << 20

	// maxTokens bounds how many tokens it is remembered for whose they are.
	maxTokens = 50_000
)

// people remembers decoded persons by version, and by a token's hash which
// version was behind it last, so that a look-up asks the store only for facts
// that are not known here. Each of the two maps has a young and an old
// generation: when the young one reaches half the limit it becomes the old one,
// and the old one is dropped. What is asked for again is young again. That is a
// bound near that of an LRU, without a list.
type people struct {
	maxBytes, maxTokens int

	mu                    sync.Mutex // guards what follows
	bytes                 int        // of those in people
	people, oldPeople     map[Version]decoded
	versions, oldVersions map[Hash]Version
}

// decoded is a person, and how many bytes that takes in the store.
type decoded struct {
	id    *providers.Identity
	bytes int
}

func newPeople(maxBytes, maxTokens int) *people {
	return &people{maxBytes: maxBytes, maxTokens: maxTokens, people: make(map[Version]decoded), versions: make(map[Hash]Version)}
}

// expected returns the version of a token's person, or the zero Version where
// either the version or its person is not known.
func (p *people) expected(token Hash) Version {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.versions[token]
	if !ok {
		v = p.oldVersions[token]
	}
	if p.people[v].id == nil && p.oldPeople[v].id == nil {
		return Version{}
	}
	return v
}

// recall returns the person of a version, or nil, and notes whose a token is.
func (p *people) recall(token Hash, v Version) *providers.Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.versions[token] != v {
		if len(p.versions) >= p.maxTokens/2 {
			p.oldVersions, p.versions = p.versions, make(map[Hash]Version)
		}
		p.versions[token] = v
	}
	if young := p.people[v]; young.id != nil {
		return young.id
	}
	old := p.oldPeople[v]
	if old.id != nil {
		p.keep(v, old)
	}
	return old.id
}

func (p *people) remember(v Version, id *providers.Identity, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.people[v].id == nil { // somebody else may have been as fast
		p.keep(v, decoded{id, bytes})
	}
}

// keep makes a person young, with mu held.
func (p *people) keep(v Version, one decoded) {
	if p.bytes += one.bytes; p.bytes > p.maxBytes/2 {
		p.oldPeople, p.people, p.bytes = p.people, make(map[Version]decoded), one.bytes
	}
	p.people[v] = one
}

// identify returns the person of a row. It is shared: nobody may change it.
func (s *Sessions) identify(ctx context.Context, row *Row) (*providers.Identity, error) {
	if id := s.people.recall(row.Hash, row.Person.Version); id != nil {
		return id, nil
	}
	kept := Facts{Version: row.Person.Version, Body: row.Body}
	if kept.Body == nil {
		var err error
		if kept, err = s.store.Facts(ctx, row.Person.ID); err != nil {
			if errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("person %d is missing from the store", row.Person.ID)
			}
			return nil, unavailable(err)
		}
	}
	id, err := decodeFacts(kept.Body)
	if err != nil {
		return nil, unavailable(err)
	}
	s.people.remember(kept.Version, id, len(kept.Body))
	return id, nil
}
