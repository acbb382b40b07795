package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// jsonBuffers are lent to whoever writes JSON: an answer and an audit line are most
// of what a request would otherwise leave to the collector.
var jsonBuffers = sync.Pool{New: func() any {
	l := new(jsonBuffer)
	l.encoder = json.NewEncoder(&l.text)
	return l
}}

// jsonBuffer is one JSON value, and the end of its line.
type jsonBuffer struct {
	text    bytes.Buffer
	encoder *json.Encoder
}

// maxLentLine bounds what is kept for the next one, in bytes.
const maxLentLine = 64 << 10

// withLine lends value's JSON, with a new line behind it, to use.
func withLine(value any, use func(line []byte) error) error {
	l := jsonBuffers.Get().(*jsonBuffer)
	l.text.Reset()
	if err := l.encoder.Encode(value); err != nil {
		return err // an encoder that failed once is not used again
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
		// A client that is gone cannot be told anything.
		_, _ = w.Write(body)
		return nil
	})
	if err != nil {
		panic("server: an answer that is no JSON: " + err.Error())
	}
}
