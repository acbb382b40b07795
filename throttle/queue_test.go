package throttle

import (
	"context"
	"net/netip"
	"testing"
)

// TestCanceledLoginLeavesQueue: a login that stops waiting leaves nothing in the
// queue, and takes no other login's turn.
func TestCanceledLoginLeavesQueue(t *testing.T) {
	q := &addressQueues{queues: make(map[string]*addressQueue)}
	address := netip.MustParseAddr("192.0.2.1").String()
	for range maxRunning {
		if err := q.enter(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.enter(canceled, address); err == nil {
		t.Error("enter with a canceled context = nil, want an error")
	}
	turn, err := q.enqueue(address)
	if err != nil || turn == nil {
		t.Fatalf("enqueue = %v, %v, want to wait", turn, err)
	}
	q.leave(address)
	select {
	case <-turn:
	default:
		t.Error("no turn came when a login left")
	}
	for range maxRunning {
		q.leave(address)
	}
	if len(q.queues) != 0 {
		t.Errorf("the queues are %v after the last login, want none", q.queues)
	}
}
