package ldap

import (
	"sync"

	"shorepass/internal/lru"
)

// maxSpellings is how many login names are kept with what they led to.
const maxSpellings = 10_000

// spellings is a cache (LRU) of the account that a login name's key led to last, so
// that all names of an account share its searches. An entry that is out of date
// costs a fair share, and nothing else.
type spellings struct {
	mu      sync.Mutex
	subject *lru.Cache[string, string]
}

func newSpellings() *spellings {
	return &spellings{subject: lru.New[string, string](maxSpellings)}
}

// share returns the share in which a name is looked up: that of its account, or
// one of its own.
func (s *spellings) share(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if subject, ok := s.subject.Get(key); ok {
		return shareOf(subject)
	}
	return "name " + key
}

func (s *spellings) found(key, subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subject.Put(key, subject)
}

// shareOf returns the share of an account.
func shareOf(subject string) string { return "account " + subject }
