package session

import (
	"sync"
	"time"
)

// A provider that suddenly refuses everybody is more likely broken, or
// misconfigured, than a company that dismissed everybody. If more than a
// fifth, and at least ten, of what one says within a minute would end or mark
// sessions, none does.
const (
	guardWindow = time.Minute
	guardLeast  = 10
	guardShare  = 5
)

// guards are the guards of all providers. Each replica has its own: what one
// replica sees is a fair sample of what all see.
type guards struct {
	mu         sync.Mutex
	byProvider map[string]*guard // as many as there are providers
}

func (g *guards) of(provider string) *guard {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byProvider[provider] == nil {
		g.byProvider[provider] = new(guard)
	}
	return g.byProvider[provider]
}

// guard counts what one provider says of people, by the second.
type guard struct {
	ending sync.Mutex // held from the counting of an ending until it is kept

	mu      sync.Mutex
	seconds [guardWindow / time.Second]second
	warned  time.Time // when it was last said that the provider cannot tell
	undo    []Undo    // what was ended or marked in the window; at most maxUndo
}

// second is what was counted in one second.
type second struct {
	at           int64 // Unix time
	all, endings int
}

// maxUndo bounds what can be taken back. A provider that ends so many in a
// minute, rightly, answers for five times as many.
const maxUndo = 10_000

// count counts an answer that ends and marks nothing.
func (g *guard) count(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.second(at).all++
}

// countEnding counts one that does. If that is too much, trips is true, and
// undo is what has to be taken back; otherwise u can be taken back later.
func (g *guard) countEnding(at time.Time, u Undo) (undo []Undo, trips bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.second(at)
	now.all++
	now.endings++
	var all, endings int
	for _, s := range g.seconds {
		if at.Unix()-s.at < int64(len(g.seconds)) {
			all, endings = all+s.all, endings+s.endings
		}
	}
	for len(g.undo) > 0 && (at.Sub(g.undo[0].At) >= guardWindow || len(g.undo) >= maxUndo) {
		g.undo = g.undo[1:]
	}
	if endings >= guardLeast && endings*guardShare > all {
		undo, g.undo = g.undo, nil
		return undo, true
	}
	g.undo = append(g.undo, u)
	return nil, false
}

// second returns the counts of a second, with mu held.
func (g *guard) second(at time.Time) *second {
	s := &g.seconds[int(at.Unix()%int64(len(g.seconds)))]
	if s.at != at.Unix() {
		*s = second{at: at.Unix()} // what stood here is a minute old
	}
	return s
}

// mayWarn reports whether it is time to say again that the provider cannot
// tell: once a minute, however many sessions it is asked about.
func (g *guard) mayWarn(at time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Sub(g.warned) < guardWindow {
		return false
	}
	g.warned = at
	return true
}
