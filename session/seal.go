package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"shorepass/internal/secret"
)

// Keys is a ring of sealing keys, which encrypt the providers' refresh tokens
// in the store and the state that browsers keep in cookies: the first key seals,
// each opens what it sealed. It is never printed.
type Keys struct{ ring []sealKey }

type sealKey struct {
	secret []byte
	id     [keyIDLen]byte // in each ciphertext, to find the key by; derived, and reveals nothing
}

const (
	sealKeyLen  = 32
	keyIDLen    = 4
	sealVersion = 1
	maxKeys     = 16
)

// NewSealKey generates a sealing key, in the form of a key file.
func NewSealKey() secret.Text {
	key := make([]byte, sealKeyLen)
	rand.Read(key) // never fails
	return secret.New(base64.StdEncoding.EncodeToString(key))
}

// ParseKeys parses a ring of keys: each is base64 of 32 bytes, separated by
// blanks or new lines.
func ParseKeys(text secret.Text) (*Keys, error) {
	fields := strings.Fields(text.Reveal())
	if len(fields) == 0 || len(fields) > maxKeys {
		return nil, fmt.Errorf("holds %d keys instead of 1 to %d", len(fields), maxKeys)
	}
	k := new(Keys)
	for i, field := range fields {
		raw, err := base64.StdEncoding.Strict().DecodeString(field)
		if err != nil || len(raw) != sealKeyLen {
			return nil, fmt.Errorf("key %d is not base64 of %d bytes, as \"shorepass keys init --seal-key FILE\" writes it", i+1, sealKeyLen)
		}
		key := sealKey{secret: raw}
		copy(key.id[:], key.derive("id", keyIDLen))
		k.ring = append(k.ring, key)
	}
	return k, nil
}

// derive is the key derivation for one purpose: HKDF with SHA-256 (RFC 5869).
func (k sealKey) derive(purpose string, length int) []byte {
	key, err := hkdf.Key(sha256.New, k.secret, nil, "shorepass "+purpose, length)
	if err != nil {
		panic("session: hkdf refuses a length that is a constant: " + err.Error())
	}
	return key
}

// checkValue derives the key check value. Its purpose never changes, since
// stores have the value.
func (k sealKey) checkValue() []byte { return k.derive("proof", sealKeyLen) }

// Derive returns a derived key of 32 bytes for one purpose, for the HMACs that
// replicas share. It is the same on all replicas with the same first sealing
// key.
func (k *Keys) Derive(purpose string) []byte { return k.ring[0].derive("for "+purpose, sealKeyLen) }

// aead returns AES-256-GCM with the derived key of one label.
func (k sealKey) aead(label string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.derive(label, sealKeyLen))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealName returns the id that the refresh token of a sign-in is sealed under:
// own for a sign-in of one login, and a hash of the account for a shared one.
func sealName(own, provider string, providerID int64, subject string) string {
	if own != "" {
		return own
	}
	return hashOf("account", fmt.Sprintf("%s\x00%d\x00%s", provider, providerID, subject)).ID()
}

// ErrSealed says that no key of the ring opens a ciphertext: its key was removed from
// the ring, or the ciphertext is damaged or of another purpose.
var ErrSealed = errors.New("sealed with a key that is not in seal_key, or damaged")

// Seal encrypts and authenticates plain for one purpose with the first key of the ring
// (AEAD), such as the state of a sign-in that a browser keeps in a cookie. The purpose
// is part of the key and the associated data, so that a ciphertext of one purpose does
// not open for another. It reveals the length of plain.
//
// All ciphertexts of a purpose have one key, and a random nonce of 96 bits each. A
// thousand a second for a year, as a stranger might start sign-ins, are 2^35 nonces, of
// which any two are equal with a probability of 2^-27.
func (k *Keys) Seal(purpose string, plain []byte) ([]byte, error) {
	return k.encrypt("sealed for "+purpose, purpose, plain)
}

// Open decrypts the result of Seal for the same purpose, with any key of the ring. The
// error is ErrSealed if none opens it.
func (k *Keys) Open(purpose string, sealed []byte) ([]byte, error) {
	return k.decrypt("sealed for "+purpose, purpose, sealed)
}

// Seal is [Keys.Seal] with the replicas' sealing keys.
func (s *Sessions) Seal(purpose string, plain []byte) ([]byte, error) {
	return s.keys.Seal(purpose, plain)
}

// Open is [Keys.Open] with the replicas' sealing keys: it opens what any replica sealed.
func (s *Sessions) Open(purpose string, sealed []byte) ([]byte, error) {
	return s.keys.Open(purpose, sealed)
}

// seal encrypts a provider's refresh token for its sign-in, so that a token moved to
// another row does not open. An error of open ends no session: the right key may be put
// back. With a key per sign-in random nonces stay far below their limit, however often a
// provider rotates tokens.
func (k *Keys) seal(signIn string, providerToken secret.Text) ([]byte, error) {
	return k.encrypt("seal "+signIn, signIn, []byte(providerToken.Reveal()))
}

// open decrypts the result of seal for the same sign-in.
func (k *Keys) open(signIn string, sealed []byte) (secret.Text, error) {
	plain, err := k.decrypt("seal "+signIn, signIn, sealed)
	return secret.New(string(plain)), err
}

// encrypt seals plain with AES-256-GCM, under the key that the first key of the ring
// derives for label. The result is version, key id, nonce, ciphertext.
func (k *Keys) encrypt(label, associated string, plain []byte) ([]byte, error) {
	first := k.ring[0]
	aead, err := first.aead(label)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	head := append([]byte{sealVersion}, first.id[:]...)
	return aead.Seal(head, nil, plain, []byte(associated)), nil
}

// decrypt opens the result of encrypt with the key of the ring that its head names.
func (k *Keys) decrypt(label, associated string, sealed []byte) ([]byte, error) {
	const head = 1 + keyIDLen
	if len(sealed) < head || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	for _, key := range k.ring {
		if !bytes.Equal(key.id[:], sealed[1:head]) {
			continue
		}
		aead, err := key.aead(label)
		if err != nil {
			return nil, fmt.Errorf("open what is sealed: %w", err)
		}
		if plain, err := aead.Open(nil, nil, sealed[head:], []byte(associated)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrSealed
}

// sealedByFirst reports whether a token is sealed under the first key, so that
// Rekey skips it.
func (k *Keys) sealedByFirst(sealed []byte) bool {
	return len(sealed) > keyIDLen && sealed[0] == sealVersion && bytes.Equal(k.ring[0].id[:], sealed[1:1+keyIDLen])
}

// checkValue returns the key check value of the first key, a derived value that
// the store has, so that a replica with another key is refused at its start
// instead of failing sessions later.
func (k *Keys) checkValue() []byte { return k.ring[0].checkValue() }

// matches reports whether a key check value is of one of the keys.
func (k *Keys) matches(checkValue []byte) bool {
	for _, key := range k.ring {
		if hmac.Equal(key.checkValue(), checkValue) {
			return true
		}
	}
	return false
}
