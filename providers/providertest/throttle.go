package providertest

import (
	"log/slog"

	"shorepass/providers"
	"shorepass/throttle"
)

// NewThrottle returns a throttle with the default limits and counters in memory.
func NewThrottle() *throttle.Throttle {
	return throttle.New(throttle.NewMemoryStore(), make([]byte, 32), providers.ThrottleConfig{}.WithDefaults().Options(""), slog.New(slog.DiscardHandler))
}
