package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// jsonBuffers is a pool of buffers for JSON, each with its encoder. Answers and audit
// lines are most of the garbage that a request would make without it.
var jsonBuffers = sync.Pool{New: func() any {
	l := new(jsonBuffer)
	l.encoder = json.NewEncoder(&l.text)
	return l
}}

// jsonBuffer holds one JSON value and a newline.
type jsonBuffer struct {
	text    bytes.Buffer
	encoder *json.Encoder
}

// maxLentLine bounds a buffer that is returned to the pool, in bytes.
const maxLentLine = 64 << 10

// withLine calls use with value's JSON and a newline. The text is valid until use
// returns.
func withLine(value any, use func(line []byte) error) error {
	l := jsonBuffers.Get().(*jsonBuffer)
	l.text.Reset()
	if a, ok := value.(tokenAnswer); ok {
		l.text.Write(append(a.appendJSON(l.text.AvailableBuffer()), '\n'))
	} else if err := l.encoder.Encode(value); err != nil {
		return err // an encoder that failed once is not reused
	}
	err := use(l.text.Bytes())
	if l.text.Cap() <= maxLentLine {
		jsonBuffers.Put(l)
	}
	return err
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	err := withLine(answer, func(body []byte) error {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body) // an error means that the client is gone
		return nil
	})
	if err != nil {
		panic("server: an answer that cannot be encoded: " + err.Error())
	}
}
