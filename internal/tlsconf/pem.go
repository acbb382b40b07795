package tlsconf

import (
	"bytes"
	"encoding/pem"
	"fmt"
)

var beginning = []byte("-----BEGIN ")

// DecodePEM returns every PEM block of a text (RFC 7468) and skips text between
// blocks. [pem.Decode] skips a malformed block too, such as one after a byte
// order mark in the middle of a bundle; here that is an error with the line of
// the block.
func DecodePEM(text []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for data := text; ; {
		block, rest := pem.Decode(data)
		unread := bytes.Count(data[:len(data)-len(rest)], beginning) - 1
		if block == nil {
			unread = bytes.Count(data, beginning)
		}
		if unread > 0 {
			line := 1 + bytes.Count(text[:len(text)-len(data)+bytes.Index(data, beginning)], []byte("\n"))
			return nil, fmt.Errorf("the PEM block that begins on line %d cannot be read", line)
		}
		if block == nil {
			return blocks, nil
		}
		blocks, data = append(blocks, block), rest
	}
}
