package providers

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Start starts the work of the providers in the background.
func (c *Chain) Start(ctx context.Context) {
	for _, m := range c.members {
		if m.starter != nil {
			m.starter.Start(ctx)
		}
	}
}

// Close ends the work of the providers and waits for it, and for the logins in progress.
// Later logins are unavailable.
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

// Down returns the names of the providers that are unavailable, by the last of their own
// operations. The login of a person that gets no answer is none of them.
func (c *Chain) Down() []string {
	var names []string
	for _, m := range c.members {
		if m.down.Load() {
			names = append(names, m.config.Name)
		}
	}
	return names
}

// PingResult is the result of the health check of one provider.
type PingResult struct {
	Provider string
	Kind     string
	Findings Findings // with a fault where Err is not nil
	Err      error    // why the provider cannot be reached
}

// Ping runs the health checks of all providers that have one, concurrently.
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
			if err != nil {
				found = append(found, Faultf(KeyOf(err), "cannot be reached: %v", err))
			}
			all[i].Findings, all[i].Err = found, err
			m.setDown(err)
		})
	}
	asked.Wait()
	return all
}

// Warnings returns the likely mistakes in the order of the providers, a sentence each.
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

// shadows returns a warning where m keeps every password from a later provider, else "".
func (m *member) shadows(later *member) string {
	switch {
	case !later.accepts(Password) || !m.match.covers(later.match):
	case m.catchAll != nil && m.catchAll.CatchesAll() && m.accepts(Password):
		return fmt.Sprintf("no password ever reaches provider %q: %q comes before it, cannot know which names are not its own, and so answers for all of them; give %q a match, or put it last",
			later.config.Name, m.config.Name, m.config.Name)
	case m.accepts(RefreshToken) && !m.accepts(Password) && m.logins == nil:
		return fmt.Sprintf("no password of docker login ever reaches provider %q: %q comes before it and takes refresh tokens but no passwords, so that each password is sent there as a refresh token; put %q last, or give it a match",
			later.config.Name, m.config.Name, m.config.Name)
	}
	return ""
}
