package providertest

import (
	"log/slog"

	"shorepass/providers"
	"shorepass/throttle"
)

// NewThrottle returns a throttle that no other process shares, with the defaults.
func NewThrottle() *throttle.Throttle {
	return throttle.New(throttle.NewMemoryStore(), make([]byte, 32), providers.ThrottleConfig{}.WithDefaults().Options(""), slog.New(slog.DiscardHandler))
}
