package providers

// lru is a map of bounded size that forgets what was used longest ago. It is
// not safe for concurrent use.
type lru[K comparable, V any] struct {
	limit int
	items map[K]*lruItem[K, V]
	root  lruItem[K, V] // of a ring; root.next was used last, root.prev longest ago
}

type lruItem[K comparable, V any] struct {
	key        K
	value      V
	prev, next *lruItem[K, V]
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	l := &lru[K, V]{limit: limit, items: make(map[K]*lruItem[K, V])}
	l.root.prev, l.root.next = &l.root, &l.root
	return l
}

// get returns what is under key, and counts as a use of it.
func (l *lru[K, V]) get(key K) (value V, ok bool) {
	item, ok := l.items[key]
	if !ok {
		return value, false
	}
	item.unlink()
	l.front(item)
	return item.value, true
}

func (l *lru[K, V]) put(key K, value V) {
	item, ok := l.items[key]
	switch {
	case ok:
		item.unlink()
	case len(l.items) >= l.limit:
		item = l.root.prev
		item.unlink()
		delete(l.items, item.key)
	default:
		item = new(lruItem[K, V])
	}
	item.key, item.value = key, value
	l.items[key] = item
	l.front(item)
}

func (l *lru[K, V]) delete(key K) {
	if item, ok := l.items[key]; ok {
		item.unlink()
		delete(l.items, key)
	}
}

// deleteFunc deletes what del reports true for.
func (l *lru[K, V]) deleteFunc(del func(V) bool) {
	for key, item := range l.items {
		if del(item.value) {
			l.delete(key)
		}
	}
}

func (l *lru[K, V]) front(item *lruItem[K, V]) {
	item.prev, item.next = &l.root, l.root.next
	item.prev.next, item.next.prev = item, item
}

func (i *lruItem[K, V]) unlink() { i.prev.next, i.next.prev = i.next, i.prev }
