package server

import (
	"errors"
	"io"
	"net/http"
)

const (
	// freeBody is the length up to which a body is read without limit, in bytes. A
	// client's form with a password or a refresh token of ours is below 1,000.
	freeBody = 16 << 10

	// maxLargeBodies is how many longer bodies are read concurrently. Each takes up
	// to maxBody bytes of memory, for readTimeout at most.
	maxLargeBodies = 64
)

var errTooManyBodies = errors.New("too many long request bodies are being read at the same time")

// body is the body of a request. Beyond freeBody it needs a place of a semaphore
// that all requests share.
type body struct {
	io.ReadCloser
	sem      chan struct{} // semaphore; has an element for each long body being read
	read     int
	acquired bool
}

func (b *body) Read(p []byte) (int, error) {
	if !b.acquired {
		if b.read == freeBody {
			select {
			case b.sem <- struct{}{}:
				b.acquired = true
			default:
				return 0, errTooManyBodies
			}
		} else {
			p = p[:min(len(p), freeBody-b.read)]
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.read += n
	return n, err
}

// release frees the body's place of the semaphore.
func (b *body) release() {
	if b.acquired {
		<-b.sem
	}
}

// limitBody wraps the body of r. The caller must release the result.
func (s *Server) limitBody(r *http.Request) *body {
	b := &body{ReadCloser: r.Body, sem: s.largeBodies}
	r.Body = b
	return b
}
