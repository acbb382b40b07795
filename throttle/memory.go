package throttle

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"shorepass/internal/lru"
)

// maxRows is the bound of a MemoryStore.
const maxRows = 50_000

// MemoryStore is a [Store] in the memory of one process, with a bound of 50,000 rows:
// beyond it the least recently used row is evicted (LRU).
type MemoryStore struct {
	mu   sync.Mutex
	rows *lru.Cache[MAC, Row]
}

var _ Store = (*MemoryStore)(nil)

// NewMemoryStore returns an empty MemoryStore.
func NewMemoryStore() *MemoryStore { return &MemoryStore{rows: lru.New[MAC, Row](maxRows)} }

// ReadWindows implements [Store].
func (m *MemoryStore) ReadWindows(_ context.Context, keys []MAC) ([]Row, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := make([]Row, len(keys))
	for i, key := range keys {
		rows[i], _ = m.rows.Get(key)
		rows[i].Key = key
	}
	return rows, time.Now(), nil
}

// SwapWindows implements [Store].
func (m *MemoryStore) SwapWindows(_ context.Context, changes []Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		if row, _ := m.rows.Get(c.Key); row.Version != c.Old {
			return ErrConflict
		}
	}
	for _, c := range changes {
		m.rows.Put(c.Key, c.Row)
	}
	return nil
}

// ScanWindows implements [Store].
func (m *MemoryStore) ScanWindows(_ context.Context, after MAC, limit int) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []Row
	for key, row := range m.rows.All() {
		if len(row.Body) > 0 && bytes.Compare(key[:], after[:]) > 0 {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return rows[:min(limit, len(rows))], nil
}

// put writes a row unconditionally.
func (m *MemoryStore) put(row Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows.Put(row.Key, row)
}
