package file

import (
	"testing"
	"time"
)

// TestOnlyLookAgain waits until a changed file is looked at again.
func TestOnlyLookAgain(t *testing.T) {
	t.Helper()
	time.Sleep(lookEvery)
}
