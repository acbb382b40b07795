package throttle

import (
	"context"
	"errors"
	"time"
)

// Store is a key-value store of rows with versions (optimistic concurrency). It is
// safe for concurrent use, by several processes too. A row survives the process that
// wrote it, and need not survive a crash of the machine. An error other than those
// named means that the store does not answer.
//
// Package storetest tests every store against this contract.
type Store interface {
	// ReadWindows returns the row of each key, in the order of keys, and the time
	// by the store's clock. The Version of a row that does not exist is 0. A row that
	// has expired may exist or not.
	ReadWindows(ctx context.Context, keys []MAC) ([]Row, time.Time, error)

	// SwapWindows writes all changes in one transaction, if each row has the
	// version at which it was read (compare-and-swap). Where one has not, it writes
	// none and the error wraps [ErrConflict]. No two changes have the same key.
	SwapWindows(ctx context.Context, changes []Change) error

	// ScanWindows returns up to limit rows that have a body and a key greater than
	// after, in the order of their keys.
	ScanWindows(ctx context.Context, after MAC, limit int) ([]Row, error)
}

// ErrConflict says that a row has changed since it was read.
var ErrConflict = errors.New("a row of the throttle has changed since it was read")

// Row is a row of a [Store]. The body is opaque to the store.
type Row struct {
	Key     MAC
	Version int64     // 0 where there is no row
	Expires time.Time // by the store's clock, to the millisecond
	Body    []byte    // empty for a window without entries, and for a proof that names no account
}

// Change is the replacement of a row by another one with the same key. The new Version
// is one that no row of the key has had before.
type Change struct {
	Old int64 // Version of the row that is replaced
	Row
}
