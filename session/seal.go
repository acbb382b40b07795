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

// Keys are the ring of sealing keys: the first seals, each opens what it
// sealed. It is never printed.
type Keys struct{ ring []sealKey }

type sealKey struct {
	secret []byte
	id     [keyIDLen]byte // stands in what the key sealed; says nothing about it
}

const (
	sealKeyLen  = 32
	keyIDLen    = 4
	sealVersion = 1
	maxKeys     = 16
)

// NewSealKey makes a sealing key, as it is written into a file.
func NewSealKey() secret.Text {
	key := make([]byte, sealKeyLen)
	rand.Read(key) // never fails
	return secret.New(base64.StdEncoding.EncodeToString(key))
}

// ParseKeys reads a ring of keys: each base64 of 32 bytes, apart by blanks or
// new lines.
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

// derive makes another key of this one, for one purpose (RFC 5869).
func (k sealKey) derive(purpose string, length int) []byte {
	key, err := hkdf.Key(sha256.New, k.secret, nil, "shorepass "+purpose, length)
	if err != nil {
		panic("session: hkdf refuses a length that is a constant: " + err.Error())
	}
	return key
}

// Derive returns a key of 32 bytes for one purpose, the same on all replicas
// whose first sealing key is the same: for HMACs of what they share.
func (k *Keys) Derive(purpose string) []byte { return k.ring[0].derive("for "+purpose, sealKeyLen) }

// aead seals for one sign-in. Each has a key of its own, so that random nonces
// never come near their limit however often a provider rotates.
func (k sealKey) aead(signIn string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.derive("seal "+signIn, sealKeyLen))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealName returns the id of a sign-in that its provider's refresh token is sealed
// under: its own where it has one, and that of the account where logins share it.
func sealName(own, provider string, providerID int64, subject string) string {
	if own != "" {
		return own
	}
	return hashOf("account", fmt.Sprintf("%s\x00%d\x00%s", provider, providerID, subject)).ID()
}

// seal encrypts a provider's refresh token with AES-256-GCM, bound to the sign-in:
// version, key id, nonce, ciphertext.
func (k *Keys) seal(signIn string, providerToken secret.Text) ([]byte, error) {
	first := k.ring[0]
	aead, err := first.aead(signIn)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	head := append([]byte{sealVersion}, first.id[:]...)
	return aead.Seal(head, nil, []byte(providerToken.Reveal()), []byte(signIn)), nil
}

// errSealed says that none of the keys opens what is sealed. It ends nothing:
// the right key may be put back.
var errSealed = errors.New("sealed with a key that is not in seal_key, or damaged")

// open decrypts what seal returned for the same sign-in.
func (k *Keys) open(signIn string, sealed []byte) (secret.Text, error) {
	const head = 1 + keyIDLen
	if len(sealed) < head || sealed[0] != sealVersion {
		return secret.Text{}, errSealed
	}
	for _, key := range k.ring {
		if !bytes.Equal(key.id[:], sealed[1:head]) {
			continue
		}
		aead, err := key.aead(signIn)
		if err != nil {
			return secret.Text{}, fmt.Errorf("open what is sealed: %w", err)
		}
		if plain, err := aead.Open(nil, nil, sealed[head:], []byte(signIn)); err == nil {
			return secret.New(string(plain)), nil
		}
	}
	return secret.Text{}, errSealed
}

// sealedByFirst reports whether the first key sealed it, so that rekey has
// nothing to do.
func (k *Keys) sealedByFirst(sealed []byte) bool {
	return len(sealed) > keyIDLen && sealed[0] == sealVersion && bytes.Equal(k.ring[0].id[:], sealed[1:1+keyIDLen])
}

// proof is kept in the store, so that a replica with another key is told at
// its start and not by failing sessions.
func (k *Keys) proof() []byte { return k.ring[0].derive("proof", sealKeyLen) }

// proves reports whether one of the keys made the proof.
func (k *Keys) proves(proof []byte) bool {
	for _, key := range k.ring {
		if hmac.Equal(key.derive("proof", sealKeyLen), proof) {
			return true
		}
	}
	return false
}
