package server

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestLongBodiesAreLimited: long bodies are read unchanged, maxLargeBodies of them
// concurrently; short bodies are not limited.
func TestLongBodiesAreLimited(t *testing.T) {
	s := New(nil, nil, slog.New(slog.DiscardHandler))
	open := func(length int) (*body, *http.Request) {
		r := httptest.NewRequest(http.MethodPost, "/jwt/auth", strings.NewReader(strings.Repeat("a", length)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return s.limitBody(r), r
	}
	var held []*body
	for i := range maxLargeBodies {
		b, r := open(maxBody)
		held = append(held, b)
		if text, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(text, bytes.Repeat([]byte("a"), maxBody)) {
			t.Fatalf("long body %d: %d bytes, %v, want all of them", i, len(text), err)
		}
	}
	b, r := open(freeBody - 1)
	if text, err := io.ReadAll(r.Body); err != nil || len(text) != freeBody-1 {
		t.Errorf("a short body meanwhile: %d bytes, %v, want all of them", len(text), err)
	}
	b.release()
	b, r = open(freeBody + 1)
	if _, err := readForm(httptest.NewRecorder(), r, maxBody); !errors.Is(err, errTooManyBodies) || new(Generation).wireError(err).status != http.StatusServiceUnavailable {
		t.Errorf("one long body too many: %v, want %v and 503", err, errTooManyBodies)
	}
	b.release()
	for _, b := range held {
		b.release()
	}
	b, r = open(freeBody + 1)
	if _, err := io.ReadAll(r.Body); err != nil {
		t.Errorf("a long body after them: %v", err)
	}
	b.release()
	if n := len(s.largeBodies); n != 0 {
		t.Errorf("%d places of the semaphore are taken at the end, want none", n)
	}
}
