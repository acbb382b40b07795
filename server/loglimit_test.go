package server

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestLogLimit: a key is admitted once a minute, ten keys at most, and the next line
// counts those that were not.
func TestLogLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logLimit
		admitted := 0
		for i := range 100 {
			if _, ok := l.admit(fmt.Sprint("key ", i%50), time.Now()); ok {
				admitted++
			}
		}
		if admitted != maxLogKeys {
			t.Errorf("%d lines in a minute, want %d", admitted, maxLogKeys)
		}
		time.Sleep(logWindow - time.Second)
		if _, ok := l.admit("key 0", time.Now()); ok {
			t.Error("a key is admitted twice in a minute")
		}
		time.Sleep(time.Second)
		if dropped, ok := l.admit("key 0", time.Now()); !ok || dropped != 91 {
			t.Errorf("after a minute: %d dropped, %v; want 91, true", dropped, ok)
		}
	})
}
