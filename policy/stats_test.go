package policy

import (
	"testing"

	"shorepass/internal/lru"
)

func TestStats(t *testing.T) {
	p := Compile([]Rule{
		{Groups: []string{"a"}, Repositories: []string{"a/**"}, Actions: []string{"pull"}},
		{Groups: []string{"b"}, Repositories: []string{"b/**"}, Actions: []string{"pull"}},
	}, func(key, problem string) { t.Errorf("%s: %s", key, problem) })
	for _, user := range []string{"alice", "bob", "alice"} {
		p.Decide(Request{User: user, Groups: []string{"a"}})
	}
	got := p.Stats()
	if got.Rules != 2 || got.CompileTime <= 0 {
		t.Errorf("Stats = %+v, want 2 rules and the time to compile them", got)
	}
	if want := (lru.Stats{Entries: got.Identities.Entries, Hits: 1, Misses: 2}); got.Identities != want || got.Identities.Entries != 2 {
		t.Errorf("the cache of identities = %+v, want two entries, one hit and two misses", got.Identities)
	}
	if got := new(Policy).Stats(); got != (Stats{}) {
		t.Errorf("Stats of the empty policy = %+v", got)
	}
}
