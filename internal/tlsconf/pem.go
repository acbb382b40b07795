package tlsconf

import (
	"bytes"
	"encoding/pem"
	"fmt"
)

var beginning = []byte("-----BEGIN ")

// DecodePEM returns every PEM block of a text (RFC 7468). [pem.Decode] skips a block
// that it cannot read, such as one behind a byte order mark in the middle of a
// bundle; here that is an error, which says on which line the block begins. Text
// between blocks is skipped.
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
