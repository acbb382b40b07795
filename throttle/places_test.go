package throttle

import (
	"context"
	"net/netip"
	"testing"
)

// TestPlacesGiveUp: a login that stops waiting leaves nothing behind, and takes
// no other login's turn.
func TestPlacesGiveUp(t *testing.T) {
	p := &places{underWay: make(map[string]*place)}
	at := netip.MustParseAddr("192.0.2.1").String()
	for range placeAtOnce {
		if err := p.enter(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.enter(ended, at); err == nil {
		t.Error("enter with a context that has ended = nil, want an error")
	}
	turn, err := p.queue(at)
	if err != nil || turn == nil {
		t.Fatalf("queue = %v, %v, want to wait", turn, err)
	}
	p.leave(at)
	select {
	case <-turn:
	default:
		t.Error("no turn came when a login left")
	}
	for range placeAtOnce {
		p.leave(at)
	}
	if len(p.underWay) != 0 {
		t.Errorf("%v is kept when no login is under way, want nothing", p.underWay)
	}
}
