package server

import (
	"errors"
	"io"
	"net/http"
)

const (
	// smallBody is what everybody may send at once. A form of any client with
	// a password or a refresh token of ours has less than a thousand bytes.
	smallBody = 16 << 10

	// largeBodies is how many longer ones are read at once. Each takes up to
	// maxBody, for as long as its sender has (readLimit).
	largeBodies = 64
)

var errTooManyBodies = errors.New("too many long requests are being read at once")

// body is the body of a request that may be long only if not too many others
// are.
type body struct {
	io.ReadCloser
	large chan struct{} // holds one for each that is long
	read  int
	held  bool
}

func (b *body) Read(p []byte) (int, error) {
	if !b.held {
		if b.read == smallBody {
			select {
			case b.large <- struct{}{}:
				b.held = true
			default:
				return 0, errTooManyBodies
			}
		} else {
			p = p[:min(len(p), smallBody-b.read)]
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.read += n
	return n, err
}

// done lets the next long one be read.
func (b *body) done() {
	if b.held {
		<-b.large
	}
}

// meter puts a body in the place of r's. The caller ends it.
func (s *Server) meter(r *http.Request) *body {
	b := &body{ReadCloser: r.Body, large: s.large}
	r.Body = b
	return b
}
