package providers

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Start begins what the providers do in the background.
func (c *Chain) Start(ctx context.Context) {
	for _, m := range c.members {
		if m.starter != nil {
			m.starter.Start(ctx)
		}
	}
}

// Close ends what Start began and waits for it, and for the logins under way.
// Logins that come later cannot be told.
func (c *Chain) Close() error {
	c.logins.close()
	var errs []error
	for _, m := range c.members {
		if m.starter == nil {
			continue
		}
		if err := m.starter.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close provider %s: %w", m.config.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Down returns the names of the providers that are unavailable, by the last of
// their own operations (a person's login that gets no answer is not one).
func (c *Chain) Down() []string {
	var names []string
	for _, m := range c.members {
		if m.down.Load() {
			names = append(names, m.config.Name)
		}
	}
	return names
}

// PingResult is what one provider says of itself.
type PingResult struct {
	Provider string
	Kind     string
	Found    []string // a line of text each
	Err      error    // why it cannot be reached
	Mismatch error    // what of the configuration does not fit it; wraps ErrMismatch
}

// Ping connects to every provider that can be connected to, all at once.
func (c *Chain) Ping(ctx context.Context) []PingResult {
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	all := make([]PingResult, len(c.members))
	var asked sync.WaitGroup
	for i, m := range c.members {
		all[i] = PingResult{Provider: m.config.Name, Kind: m.config.Kind}
		if m.pinger == nil {
			continue
		}
		asked.Go(func() {
			found, err := m.pinger.Ping(ctx)
			if errors.Is(err, ErrMismatch) {
				all[i].Mismatch, err = err, nil
			}
			all[i].Found, all[i].Err = found, err
			m.setDown(err)
		})
	}
	asked.Wait()
	return all
}

// Warnings are what is allowed and yet hardly meant about the order of the
// providers, a sentence each.
func (c *Chain) Warnings() []string {
	var all []string
	for i, m := range c.members {
		for _, before := range c.members[:i] {
			if warning := before.shadows(m); warning != "" {
				all = append(all, warning)
				break
			}
		}
	}
	return all
}

// hides says what of a later provider this one keeps from ever being reached.
func (m *member) shadows(later *member) string {
	if m.catchAll != nil && m.catchAll.CatchesAll() && m.accepts(Password) && later.accepts(Password) && m.match.covers(later.match) {
		return fmt.Sprintf("no password ever reaches provider %q: %q comes before it, cannot know which names are not its own, and so answers for all of them; give %q a match, or put it last",
			later.config.Name, m.config.Name, m.config.Name)
	}
	return ""
}
