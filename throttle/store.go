package throttle

import (
	"context"
	"errors"
	"time"
)

// Store keeps rows of bytes under keys, each with a version. It is safe for
// concurrent use, by several processes too. A row outlives the process that
// wrote it; it need not outlive a failure of the machine. An error but those
// named means that the store cannot tell.
//
// storetest plays this contract on every store.
type Store interface {
	// ReadWindows returns the row of each key, in their order, and the store's
	// time. Where there is no row its Version is 0; one that has expired may be
	// there or not.
	ReadWindows(ctx context.Context, keys []MAC) ([]Row, time.Time, error)

	// SwapWindows writes all changes in one transaction, if each row is at the
	// version that it was read at (compare-and-swap). Where one is not, it
	// writes none and the error wraps [ErrConflict]. No two changes have the
	// same key.
	SwapWindows(ctx context.Context, changes []Change) error

	// ScanWindows returns up to limit rows that have a body, in the order of
	// their keys, beginning behind a key.
	ScanWindows(ctx context.Context, after MAC, limit int) ([]Row, error)
}

// ErrConflict says that a row has changed since it was read.
var ErrConflict = errors.New("a row of the throttle has changed since it was read")

// Row is a row of a [Store], which does not read its body.
type Row struct {
	Key     MAC
	Version int64     // 0 where there is no row
	Expires time.Time // by the store's clock, to the millisecond
	Body    []byte    // empty for a proof, and for a window without entries
}

// Change is a row to write in the place of the one with its key. No row of that
// key has had its version before.
type Change struct {
	Old int64 // Version of the row in the place of which it comes
	Row
}
