package session

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"
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

// TrustStore is how replicas tell each other how far a provider can be
// believed.
type TrustStore interface {
	// NoteEnding keeps what would have to be taken back of a provider's answer
	// that ends sessions or finds a person gone, before that is settled, in the
	// place of what was kept about the person before; of what is held, only
	// that it came.
	NoteEnding(ctx context.Context, provider string, undo Undo) error

	// NoteAnswers keeps how many other answers a replica had from a provider
	// within the minute before at, in the place of what it said before.
	NoteAnswers(ctx context.Context, provider, replica string, answers int, at time.Time) error

	// Trust returns what all replicas noted of a provider since a time, except
	// the answers that the replica itself had.
	Trust(ctx context.Context, provider, replica string, since time.Time) (Trust, error)

	// Doubt has a provider not be believed until the given time and, once every
	// replica can see that, takes back what was noted after since. Sessions that
	// ended for another reason stay ended, and so does what was settled anew.
	Doubt(ctx context.Context, provider string, since, until time.Time) error
}

// guards is a circuit breaker for each provider. It counts what providers say to
// this replica; replicas tell each other through the store.
type guards struct {
	store   TrustStore
	clock   *clock
	log     *slog.Logger
	replica string // the name of this one, for as long as it runs

	mu         sync.Mutex
	byProvider map[string]*guard // as many as there are providers
}

func newGuards(store TrustStore, clock *clock, log *slog.Logger) *guards {
	return &guards{store: store, clock: clock, log: log, replica: rand.Text(), byProvider: make(map[string]*guard)}
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

// doubts reports whether a provider is not believed, which is so until a minute
// after it last refused too many. While it is not, and unless the store was told
// so less than every ago, this tells the store, and takes back what the provider
// ended, and whom it found gone, within that minute.
func (g *guards) doubts(ctx context.Context, provider string, every time.Duration) (bool, error) {
	now := g.clock.now()
	since := now.Add(-guardWindow)
	t, err := g.store.Trust(ctx, provider, g.replica, since)
	if err != nil {
		return false, fmt.Errorf("ask how far the provider %q is to be believed: %w", provider, err)
	}
	already := now.Before(t.Doubted)
	answers := t.Endings + t.Answers + g.of(provider).answers(now)
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
		g.log.Error("a provider suddenly refuses so many people that it is not believed: no session ends, and clients are told that it is unavailable",
			"provider", provider, "refused", t.Endings)
	}
	if err := g.store.Doubt(ctx, provider, since, until); err != nil {
		return true, fmt.Errorf("take back what the provider %q said: %w", provider, err)
	}
	return true, nil
}

// tell lets the other replicas know how many answers this one had.
func (g *guards) tell(ctx context.Context) error {
	now := g.clock.now()
	for provider, answers := range g.untold(now) {
		if err := g.store.NoteAnswers(ctx, provider, g.replica, answers, now); err != nil {
			return fmt.Errorf("tell how often the provider %q was asked: %w", provider, err)
		}
	}
	return nil
}
