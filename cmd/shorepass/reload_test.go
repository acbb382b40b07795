package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestReloadFaultIsRepeated (F10): a fault that lasts is logged at each change of a file
// and once an hour, and another fault immediately.
func TestReloadFaultIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault reloadFault
		one, other := errors.New("one"), errors.New("other")
		logged := 0
		record := func(err error, retrying bool) {
			if fault.record(err, retrying, time.Now()) {
				logged++
			}
		}
		record(one, false)
		record(one, false) // another change, or SIGHUP
		if logged != 2 {
			t.Errorf("%d lines for two changes, want 2", logged)
		}
		for range int(3 * time.Hour / reloadRetry) {
			<-fault.retry
			record(one, true)
		}
		if logged != 2+3 {
			t.Errorf("%d lines after three hours, want 5", logged)
		}
		record(other, true)
		if logged != 6 {
			t.Errorf("%d lines after another fault, want 6", logged)
		}
	})
}
