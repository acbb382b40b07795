package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"shorepass/providers"
)

// A provider that suddenly refuses everybody is more likely broken, or
// misconfigured, than a company that dismissed everybody. If more than a
// fifth, and at least ten, of what one says within a minute would end sessions
// or find a person gone, on all replicas together, none does. A person counts
// once, however many of their sessions it is about: one person's cannot keep
// those of others from ending.
const (
	guardWindow = time.Minute
	guardLeast  = 10
	guardShare  = 5

	// doubtEvery is how often a doubt is renewed while the provider goes on
	// refusing: it is one row for all.
	doubtEvery = guardWindow / 6
)

// guards count what providers say to this replica. Replicas tell each other
// through the store.
type guards struct {
	replica string // the name of this one, for as long as it runs

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

// untold returns, by provider, how many answers this replica had within the
// last minute, where the others do not know of some of them.
func (g *guards) untold(now time.Time) map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := make(map[string]int)
	for provider, guard := range g.byProvider {
		if n, untold := guard.take(now); untold {
			counts[provider] = n
		}
	}
	return counts
}

// guard counts, by the second, what one provider says of people that neither
// ends a session nor finds a person gone. What does is noted in the store at
// once.
type guard struct {
	mu      sync.Mutex
	seconds [guardWindow / time.Second]second
	untold  bool      // something was counted of which the other replicas do not know
	warned  time.Time // when it was last said that the provider cannot tell
}

// second is how many answers came in one second.
type second struct {
	at      int64 // Unix time
	answers int
}

// count counts an answer.
func (g *guard) count(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.seconds[int(at.Unix()%int64(len(g.seconds)))]
	if s.at != at.Unix() {
		*s = second{at: at.Unix()} // what stood here is a minute old
	}
	s.answers++
	g.untold = true
}

// answers returns how many were counted within the last minute.
func (g *guard) answers(now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sum(now)
}

// sum adds up, with mu held.
func (g *guard) sum(now time.Time) (n int) {
	for _, s := range g.seconds {
		if now.Unix()-s.at < int64(len(g.seconds)) {
			n += s.answers
		}
	}
	return n
}

// take returns the answers of the last minute, and whether other replicas must
// still be told; it marks them told.
func (g *guard) take(now time.Time) (n int, untold bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	untold, g.untold = g.untold, false
	return g.sum(now), untold
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

// settleEnding keeps an answer that ends sessions or finds a person gone, unless
// too many of its kind come at once. What is to be taken back, should more of
// them come, is in the store before it is done, and after it is done the store
// is asked once more: so whichever replica sees that there are too many, none is
// forgotten.
func (s *Sessions) settleEnding(ctx context.Context, row *Row, a *Settlement, known *providers.Identity) error {
	provider := known.Provider
	held := &Settlement{Person: a.Person, Lease: a.Lease, At: a.At, Answer: AnswerHeld, Sealed: a.Sealed}
	undo := Undo{Who: personKey(provider, known.Subject), Person: row.Person, Why: a.End, At: a.At}
	doubted, err := s.doubts(ctx, provider, doubtEvery)
	if err == nil {
		undo.Held = doubted
		err = s.store.NoteEnding(ctx, provider, undo)
	}
	if err == nil && !doubted {
		doubted, err = s.doubts(ctx, provider, doubtEvery)
	}
	if doubted || err != nil {
		return s.hold(ctx, held, err)
	}
	if a.End != "" {
		// Also where it cannot be kept: the old password is over all the same.
		s.forget(provider, known.Subject)
	}
	if err := s.save(ctx, a); err != nil {
		return err
	}
	if doubted, err = s.doubts(ctx, provider, 0); err != nil {
		return unavailable(err)
	}
	if a.End != "" && !doubted {
		wake(s.revocations)
	}
	return nil
}

// hold records that an answer is not believed. why is nil, or the error of a
// store that could not say whether to believe the provider.
func (s *Sessions) hold(ctx context.Context, held *Settlement, why error) error {
	if why != nil {
		s.log.Warn("could not read from the store whether to trust the provider; its answer was not applied", "person", held.Person, "error", why)
	}
	return s.save(ctx, held)
}

// doubts reports whether a provider is not believed, which is so until a minute
// after it last refused too many. While it is not, and unless the store was told
// so less than every ago, this tells the store, and takes back what the provider
// ended, and whom it found gone, within that minute.
func (s *Sessions) doubts(ctx context.Context, provider string, every time.Duration) (bool, error) {
	now := s.now()
	since := now.Add(-guardWindow)
	t, err := s.store.Trust(ctx, provider, s.guards.replica, since)
	if err != nil {
		return false, fmt.Errorf("ask how far the provider %q is to be believed: %w", provider, err)
	}
	already := now.Before(t.Doubted)
	answers := t.Endings + t.Answers + s.guards.of(provider).answers(now)
	tooMany := t.Endings >= guardLeast && t.Endings*guardShare > answers
	until := now.Add(guardWindow)
	switch {
	case !already && !tooMany:
		return false, nil
	case !tooMany:
		until = t.Doubted // it is no longer than that
	}
	if already && every > 0 && (!tooMany || until.Sub(t.Doubted) < every) {
		return true, nil
	}
	if !already {
		s.log.Error("a provider suddenly refuses so many people that it is not believed: no session ends, and clients are told that it is unavailable",
			"provider", provider, "refused", t.Endings)
	}
	if err := s.store.Doubt(ctx, provider, since, until); err != nil {
		return true, fmt.Errorf("take back what the provider %q said: %w", provider, err)
	}
	return true, nil
}

// tell lets the other replicas know how many answers this one had.
func (s *Sessions) tell(ctx context.Context) error {
	now := s.now()
	for provider, answers := range s.guards.untold(now) {
		if err := s.store.NoteAnswers(ctx, provider, s.guards.replica, answers, now); err != nil {
			return fmt.Errorf("tell how often the provider %q was asked: %w", provider, err)
		}
	}
	return nil
}
