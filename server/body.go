package server

import (
	"errors"
	"io"
	"net/http"
)

const (
	// freeBody is what everybody may send at once. A form of any client with
	// a password or a refresh token of ours has less than a thousand bytes.
	freeBody = 16 << 10

	// maxLargeBodies is how many longer ones are read at once. Each takes up to
	// maxBody, for as long as its sender has (readLimit).
	maxLargeBodies = 64
)

var errTooManyBodies = errors.New("too many long requests are being read at once")

// body is the body of a request that may be long only if not too many others
// are.
type body struct {
	io.ReadCloser
	sem      chan struct{} // holds one for each that is long
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

// release lets the next long one be read.
func (b *body) release() {
	if b.acquired {
		<-b.sem
	}
}

// limitBody puts a body in the place of r's. The caller ends it.
func (s *Server) limitBody(r *http.Request) *body {
	b := &body{ReadCloser: r.Body, sem: s.largeBodies}
	r.Body = b
	return b
}
