package counting

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLocalCountersAreBounded(t *testing.T) {
	synctest.Test(t, testLocalCountersAreBounded)
}

func testLocalCountersAreBounded(t *testing.T) {
	c := NewLocalCounters()
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
	time.Sleep(50 * time.Second)
	if found := c.Marks(t.Context(), []Mark{last})[0]; len(found) != 50 {
		t.Errorf("%d marks are left after 50 s, want 50", len(found))
	}
	time.Sleep(time.Hour)
	if found := c.Marks(t.Context(), []Mark{last})[0]; len(found) != 0 {
		t.Errorf("%d marks are left after an hour, want none", len(found))
	}
}
