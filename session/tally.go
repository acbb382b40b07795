package session

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

const (
	// slotLength is the resolution of a tally: a window is as long as it says,
	// and up to a slot longer.
	slotLength = 5 * time.Second

	// slots are as many as a window of ten minutes can touch, and one more since
	// clocks of replicas differ by up to clockLeeway.
	slots = int(10*time.Minute/slotLength) + 2

	// tallyTTL is how long what a replica wrote may count in a window.
	tallyTTL = time.Duration(slots) * slotLength

	// maxTallied bounds the persons that a tally tells apart. Beyond it, each
	// time counts as another person.
	maxTallied = 1000
)

// tally is what one replica counted of one provider within the last ten minutes,
// by slots of time. Other replicas read it from the store, as JSON.
type tally struct {
	Slot     int64     `json:"slot"` // the latest
	Vouched  histogram `json:"vouched,omitzero"`
	Accepted histogram `json:"accepted,omitzero"`
	Ended    personSet `json:"ended,omitzero"`
	Refused  personSet `json:"refused,omitzero"`
}

// histogram counts by slot: index i is i slots before the latest.
type histogram [slots]int

// personSet counts distinct persons.
type personSet struct {
	Last map[int64]int64 `json:"last,omitempty"` // the slot that a person was last counted in; at most maxTallied
	More histogram       `json:"more,omitzero"`  // those that Last has no room for
}

// slotOf returns the slot of a time.
func slotOf(at time.Time) int64 { return at.Unix() / int64(slotLength/time.Second) }

// advance makes the slot of a time the latest, and forgets what is too old for
// any window. A time before the latest slot, of a clock that was set back, counts
// in the latest.
func (t *tally) advance(now time.Time) {
	by := slotOf(now) - t.Slot
	if by <= 0 {
		return
	}
	t.Slot += by
	for _, h := range []*histogram{&t.Vouched, &t.Accepted, &t.Ended.More, &t.Refused.More} {
		h.shift(by)
	}
	isOld := func(_, slot int64) bool { return slot <= t.Slot-int64(slots) }
	maps.DeleteFunc(t.Ended.Last, isOld)
	maps.DeleteFunc(t.Refused.Last, isOld)
}

func (h *histogram) shift(by int64) {
	n := int(min(by, int64(slots)))
	copy(h[n:], h[:slots-n])
	clear(h[:n])
}

// since adds up what was counted in a slot or later, where latest is the slot of
// the first count.
func (h *histogram) since(slot, latest int64) (sum int) {
	for i, n := range h {
		if latest-int64(i) >= slot {
			sum += n
		}
	}
	return sum
}

// count counts a person in a slot, the latest.
func (p *personSet) add(person, slot int64) {
	if _, known := p.Last[person]; !known && len(p.Last) >= maxTallied {
		p.More[0]++
		return
	}
	if p.Last == nil {
		p.Last = make(map[int64]int64)
	}
	p.Last[person] = slot
}

// measure returns what tallies, one of each replica, counted within a span of
// time before now. A person that several replicas counted counts once.
func measure(tallies []*tally, span time.Duration, now time.Time) (w window) {
	from := slotOf(now.Add(-span))
	ended, refused := make(map[int64]bool), make(map[int64]bool)
	for _, t := range tallies {
		w.vouched += t.Vouched.since(from, t.Slot)
		w.accepted += t.Accepted.since(from, t.Slot)
		w.ended += t.Ended.since(from, t.Slot, ended)
		w.refused += t.Refused.since(from, t.Slot, refused)
	}
	return w
}

// since returns how many persons were counted in a slot or later and are not
// seen yet, and notes that they are.
func (p *personSet) since(slot, latest int64, seen map[int64]bool) int {
	n := p.More.since(slot, latest)
	for person, last := range p.Last {
		if last >= slot && !seen[person] {
			seen[person] = true
			n++
		}
	}
	return n
}

// mayTrip reports whether a window of now could trip the breaker.
func (t *tally) mayTrip() bool {
	return len(t.Ended.Last) > 0 || len(t.Refused.Last) > 0
}

func (t *tally) encode() ([]byte, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode what was counted of a provider: %w", err)
	}
	return body, nil
}

func decodeTally(body []byte) (*tally, error) {
	t := new(tally)
	if err := json.Unmarshal(body, t); err != nil {
		return nil, fmt.Errorf("read what another replica counted of a provider: %w", err)
	}
	return t, nil
}
