package lru_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/lru"
)

func keys[K comparable, V any](c *lru.Cache[K, V]) []K {
	var all []K
	for key := range c.All() {
		all = append(all, key)
	}
	return all
}

func TestEviction(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c *lru.Cache[string, int])
		want []string // the most recently used first
	}{
		{"empty", func(*lru.Cache[string, int]) {}, nil},
		{"within the bound", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Put("c", 3) }, []string{"c", "b", "a"}},
		{"the oldest is evicted", func(c *lru.Cache[string, int]) {
			for _, k := range []string{"a", "b", "c", "d"} {
				c.Put(k, 0)
			}
		}, []string{"d", "c", "b"}},
		{"Get is a use", func(c *lru.Cache[string, int]) {
			c.Put("a", 1)
			c.Put("b", 2)
			c.Put("c", 3)
			c.Get("a")
			c.Put("d", 4)
		}, []string{"d", "a", "c"}},
		{"Put is a use", func(c *lru.Cache[string, int]) {
			c.Put("a", 1)
			c.Put("b", 2)
			c.Put("c", 3)
			c.Put("a", 9)
			c.Put("d", 4)
		}, []string{"d", "a", "c"}},
		{"Delete makes room", func(c *lru.Cache[string, int]) {
			c.Put("a", 1)
			c.Put("b", 2)
			c.Put("c", 3)
			c.Delete("b")
			c.Delete("missing")
			c.Put("d", 4)
		}, []string{"d", "c", "a"}},
		{"DeleteFunc", func(c *lru.Cache[string, int]) {
			c.Put("a", 1)
			c.Put("b", 2)
			c.Put("c", 3)
			c.DeleteFunc(func(k string, v int) bool { return k == "a" || v == 3 })
		}, []string{"b"}},
	} {
		c := lru.New[string, int](3)
		test.do(c)
		if got := keys(c); !cmp.Equal(got, test.want) || c.Len() != len(test.want) {
			t.Errorf("%s: keys = %q (%d), want %q", test.name, got, c.Len(), test.want)
		}
	}
}

func TestWeight(t *testing.T) {
	c := lru.NewWeighted[string](10, func(text string) int { return len(text) })
	c.Put("a", "1234")
	c.Put("b", "1234")
	c.Put("c", "12")
	if got := keys(c); !cmp.Equal(got, []string{"c", "b", "a"}) {
		t.Errorf("with weight 10 of 10 the keys are %q, want all three", got)
	}
	c.Put("d", "12345")
	if got := keys(c); !cmp.Equal(got, []string{"d", "c"}) {
		t.Errorf("after an entry of weight 5 the keys are %q, want d and c", got)
	}
	c.Put("d", "1")
	c.Put("e", "1234567")
	if got := keys(c); !cmp.Equal(got, []string{"e", "d", "c"}) {
		t.Errorf("after d was replaced by a lighter value the keys are %q, want all three", got)
	}
	c.Put("f", "12345678901")
	if c.Len() != 0 {
		t.Errorf("after a value heavier than the bound the keys are %q, want none", keys(c))
	}
	c.Put("g", "1")
	if v, ok := c.Get("g"); !ok || v != "1" {
		t.Errorf("Get after Put = %q, %v", v, ok)
	}
}

// TestAgainstSlice compares the cache with a model: a slice that is searched.
func TestAgainstSlice(t *testing.T) {
	c, want := lru.New[int, string](8), []int{}
	for range 20_000 {
		key := rand.IntN(16)
		at := slices.Index(want, key)
		switch rand.IntN(3) {
		case 0:
			v, ok := c.Get(key)
			if ok != (at >= 0) || ok && v != fmt.Sprint(key) {
				t.Fatalf("Get(%d) = %q, %v with %v in it", key, v, ok, want)
			}
			if at >= 0 {
				want = slices.Insert(slices.Delete(want, at, at+1), 0, key)
			}
		case 1:
			c.Put(key, fmt.Sprint(key))
			if at >= 0 {
				want = slices.Delete(want, at, at+1)
			}
			want = slices.Insert(want, 0, key)
			want = want[:min(len(want), 8)]
		case 2:
			c.Delete(key)
			if at >= 0 {
				want = slices.Delete(want, at, at+1)
			}
		}
		if got := keys(c); !slices.Equal(got, want) {
			t.Fatalf("keys are %v, want %v", got, want)
		}
	}
}

func TestStats(t *testing.T) {
	c := lru.New[string, int](2)
	c.Put("a", 1)
	c.Put("b", 2)
	c.Put("c", 3) // evicts a
	c.Put("c", 4) // replaces, which is no eviction
	c.Get("a")
	c.Get("b")
	c.Peek("b")
	c.Peek("a")
	even := func(v int) bool { return v%2 == 0 }
	c.GetIf("c", even)
	c.Put("c", 5)
	if v, ok := c.GetIf("c", even); v != 0 || ok {
		t.Errorf("GetIf of an invalid entry = %d, %t", v, ok)
	}
	c.Delete("c")
	if got, want := c.Stats(), (lru.Stats{Entries: 1, Hits: 2, Misses: 2, Evictions: 1}); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
}
