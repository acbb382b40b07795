package throttle

import (
	"testing"
	"time"
)

func TestLocalCountersAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewLocalCounters(func() time.Time { return now })
	for i := range maxBuckets + 10 {
		c.Add(t.Context(), []Count{{Bucket: Mark{byte(i), byte(i >> 8), byte(i >> 16)}, For: time.Minute}})
	}
	if n := c.buckets.Len(); n != maxBuckets {
		t.Errorf("%d buckets are kept, want %d", n, maxBuckets)
	}
	last := Mark{255, 255, 255}
	for i := range 100 {
		c.Add(t.Context(), []Count{{Bucket: last, Mark: Mark{byte(i)}, For: time.Duration(i+1) * time.Second}})
	}
	found := c.Marks(t.Context(), []Mark{last})[0]
	if len(found) != maxMarks || !holds(found, Mark{99}) || holds(found, Mark{0}) {
		t.Errorf("%d marks are kept in a bucket, want the last %d", len(found), maxMarks)
	}
	now = now.Add(50 * time.Second)
	if found := c.Marks(t.Context(), []Mark{last})[0]; len(found) != 50 {
		t.Errorf("%d marks are left after 50 s, want 50", len(found))
	}
	now = now.Add(time.Hour)
	if found := c.Marks(t.Context(), []Mark{last})[0]; len(found) != 0 {
		t.Errorf("%d marks are left after an hour, want none", len(found))
	}
}
