package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The signing methods of ECDSA keys.
var (
	es256 = deterministicECDSA{jwt.SigningMethodES256}
	es384 = deterministicECDSA{jwt.SigningMethodES384}
	es512 = deterministicECDSA{jwt.SigningMethodES512}
)

// deterministicECDSA derives the nonce of an ECDSA signature from the key and
// the message (RFC 6979); golang-jwt draws a random one. No registry sees a
// difference, a weak random source cannot leak the key, and it takes a fifth
// less time: most of the cost of a token is its signature.
type deterministicECDSA struct{ *jwt.SigningMethodECDSA }

// Sign signs input with key, an *ecdsa.PrivateKey (RFC 7518, section 3.4).
func (m deterministicECDSA) Sign(input string, key any) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s needs an *ecdsa.PrivateKey and not a %T", m.Alg(), key)
	}
	if bits := private.Curve.Params().BitSize; bits != m.CurveBits {
		return nil, fmt.Errorf("%s needs a curve of %d bits and not of %d", m.Alg(), m.CurveBits, bits)
	}
	der, err := private.Sign(nil, m.digest(input), m.Hash)
	if err != nil {
		return nil, err
	}
	return rawSignature(der, (m.CurveBits+7)/8)
}

// digest returns the hash of input, for ES256 without a copy of it on the heap.
func (m deterministicECDSA) digest(input string) []byte {
	if m.Hash == crypto.SHA256 {
		var room [1536]byte // a token of a few scopes
		sum := sha256.Sum256(append(room[:0], input...))
		return sum[:]
	}
	hash := m.Hash.New()
	hash.Write([]byte(input))
	return hash.Sum(nil)
}

// rawSignature converts a signature from ASN.1 (RFC 3279, section 2.2.3) to its
// two numbers one after the other, each of size bytes.
func rawSignature(der []byte, size int) ([]byte, error) {
	var r, s []byte
	text, inner := cryptobyte.String(der), cryptobyte.String(nil)
	if !text.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) ||
		!inner.Empty() || !text.Empty() || len(r) > size || len(s) > size {
		return nil, errors.New("crypto/ecdsa made a signature that cannot be read")
	}
	both := make([]byte, 2*size)
	copy(both[size-len(r):size], r)
	copy(both[2*size-len(s):], s)
	return both, nil
}
