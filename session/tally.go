package session

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

const (
	// slotLength is the resolution of a tally. A window is up to one slot
	// longer than it says.
	slotLength = 5 * time.Second

	// slots is how many slots a window of ten minutes can touch, and one more
	// since clocks of replicas differ by up to clockLeeway.
	slots = int(10*time.Minute/slotLength) + 2

	// tallyTTL is how long a stored tally can count in a window.
	tallyTTL = time.Duration(slots) * slotLength

	// maxTallied bounds the distinct persons of a tally. Beyond it, each answer
	// counts as another person.
	maxTallied = 1000
)

// tally holds the counts of one replica for one provider: histograms over the
// last ten minutes, in slots of slotLength. Other replicas read it from the
// store, as JSON.
type tally struct {
	Slot     int64     `json:"slot"` // the latest
	Vouched  histogram `json:"vouched,omitzero"`
	Accepted histogram `json:"accepted,omitzero"`
	Ended    personSet `json:"ended,omitzero"`
	Refused  personSet `json:"refused,omitzero"`
}

// histogram counts by slot: index i is i slots before the latest.
type histogram [slots]int

// personSet counts distinct persons by the slot of the last count.
type personSet struct {
	Last map[int64]int64 `json:"last,omitempty"` // the latest slot of each person; at most maxTallied
	More histogram       `json:"more,omitzero"`  // counts beyond maxTallied
}

// slotOf returns the slot of a time.
func slotOf(at time.Time) int64 { return at.Unix() / int64(slotLength/time.Second) }

// advance makes the slot of now the latest, and drops what is too old for any
// window. After a clock was set back, now may be before the latest slot, which
// then stays the latest.
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

// shift moves the counts back by a number of slots.
func (h *histogram) shift(by int64) {
	n := int(min(by, int64(slots)))
	copy(h[n:], h[:slots-n])
	clear(h[:n])
}

// since sums the counts of a slot and later ones. latest is the slot of index
// 0.
func (h *histogram) since(slot, latest int64) (sum int) {
	for i, n := range h {
		if latest-int64(i) >= slot {
			sum += n
		}
	}
	return sum
}

// add counts a person in the latest slot.
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

// measure sums up the tallies of all replicas over a window that ends now. A
// person that several replicas counted counts once.
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

// since returns how many persons were counted in a slot or later that are not
// in seen, and adds them to it.
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

// mayTrip reports whether the tally has a person or account that could reach a
// threshold.
func (t *tally) mayTrip() bool {
	return len(t.Ended.Last) > 0 || len(t.Refused.Last) > 0
}

func (t *tally) encode() ([]byte, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode a tally: %w", err)
	}
	return body, nil
}

func decodeTally(body []byte) (*tally, error) {
	t := new(tally)
	if err := json.Unmarshal(body, t); err != nil {
		return nil, fmt.Errorf("decode the tally of another replica: %w", err)
	}
	return t, nil
}
