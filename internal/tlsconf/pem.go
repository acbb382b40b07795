package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
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

// ParseKey parses the private key in a PEM block: PKCS#8, PKCS#1 (RSA) or SEC1 (EC). The
// error quotes nothing of it.
func ParseKey(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("the key is encrypted; write it without a password with openssl pkey")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// The parser's error could quote the key.
		return nil, errors.New("the key cannot be read; it must be RSA, ECDSA or Ed25519, in PKCS#8, PKCS#1 or SEC1 form")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}
