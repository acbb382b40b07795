package throttle

import (
	"encoding/binary"
	"errors"
	"time"
)

// The first byte of a row's body is its type.
const (
	windowBody = 1
	budgetBody = 2
	proofBody  = 3
)

// errBody says that a row was written by another version of the program, or is
// corrupt.
var errBody = errors.New("a row of the throttle cannot be read")

// encode encodes a window as the body of a row.
func (w window) encode() []byte {
	if len(w.entries) == 0 {
		return nil
	}
	b := []byte{windowBody}
	for i := range w.entries {
		e := &w.entries[i]
		b = append(b, e.secret[:]...)
		b = append(b, e.name[:]...)
		b = append(b, e.state[:]...)
		b = append(b, byte(e.last))
		b = binary.AppendUvarint(b, uint64(e.count))
		b = appendTime(b, e.taken)
		b = binary.AppendVarint(b, e.holder)
		b = appendTime(b, e.lease)
		b = binary.AppendUvarint(b, uint64(len(e.reason)))
		b = append(b, e.reason...)
	}
	return b
}

// decodeWindow decodes a window.
func decodeWindow(body []byte) (window, error) {
	r := reader{body: body}
	var w window
	for r.begin(windowBody); r.more(); {
		var e entry
		r.mac(&e.secret)
		r.mac(&e.name)
		r.mac(&e.state)
		e.last = lastAnswer(r.byte())
		e.count = int(r.uvarint())
		if e.last > lost || e.count < 0 {
			r.fail()
		}
		e.taken = r.time()
		e.holder = r.varint()
		e.lease = r.time()
		e.reason = string(r.bytes(r.uvarint()))
		w.entries = append(w.entries, e)
	}
	if r.err != nil {
		return window{}, r.err
	}
	return w, nil
}

// encode encodes a budget as the body of a row.
func (b budget) encode() []byte {
	if len(b.failures) == 0 {
		return nil
	}
	body := []byte{budgetBody}
	for _, f := range b.failures {
		body = append(body, f.pair[:]...)
		body = appendTime(body, f.until)
	}
	return body
}

// decodeBudget decodes a budget.
func decodeBudget(body []byte) (budget, error) {
	r := reader{body: body}
	var b budget
	for r.begin(budgetBody); r.more(); {
		var f failure
		r.mac(&f.pair)
		f.until = r.time()
		b.failures = append(b.failures, f)
	}
	if r.err != nil {
		return budget{}, r.err
	}
	return b, nil
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMilli())
}

// reader decodes the body of a row. After an error it returns zeros.
type reader struct {
	body []byte
	err  error
}

func (r *reader) begin(kind byte) {
	if len(r.body) > 0 && r.byte() != kind {
		r.fail()
	}
}

func (r *reader) more() bool { return r.err == nil && len(r.body) > 0 }

func (r *reader) fail() { r.err, r.body = errBody, nil }

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.body)) {
		r.fail()
		return nil
	}
	b := r.body[:n]
	r.body = r.body[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) mac(into *MAC) { copy(into[:], r.bytes(uint64(len(into)))) }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.body)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.body = r.body[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.body)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.body = r.body[n:]
	return v
}

func (r *reader) time() time.Time {
	if ms := r.varint(); ms != 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}
