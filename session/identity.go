package session

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"shorepass/providers"
)

// identityJSON is the stored form of an identity. It has only what all sessions
// of the person share, and nothing of one login.
type identityJSON struct {
	Provider  string          `json:"provider"`
	Subject   string          `json:"subject"`
	User      string          `json:"user"`
	Groups    []string        `json:"groups,omitempty"`
	Unsure    []string        `json:"unsure,omitempty"`
	FoldsCase bool            `json:"folds_case,omitempty"`
	Claims    json.RawMessage `json:"claims,omitempty"` // by providers.EncodeClaims
}

// encodeIdentity encodes an identity for the store.
func encodeIdentity(id *providers.Identity) (StoredIdentity, error) {
	f := identityJSON{Provider: id.Provider, Subject: id.Subject, User: id.User, Groups: id.Groups, Unsure: id.Unsure, FoldsCase: id.FoldsCase}
	var err error
	if len(id.Claims) > 0 {
		f.Claims, err = providers.EncodeClaims(id.Claims)
	}
	if err != nil {
		return StoredIdentity{}, fmt.Errorf("encode the claims of a person at %q: %w", id.Provider, err)
	}
	body, err := json.Marshal(f)
	if err != nil {
		return StoredIdentity{}, fmt.Errorf("encode the identity of a person at %q: %w", id.Provider, err)
	}
	sum := sha256.Sum256(body)
	return StoredIdentity{Version: Version(sum[:len(Version{})]), User: id.User, Body: body}, nil
}

// decodeIdentity decodes the body of a StoredIdentity.
func decodeIdentity(body []byte) (*providers.Identity, error) {
	var f identityJSON
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fmt.Errorf("decode a stored identity: %w", err)
	}
	id := &providers.Identity{Provider: f.Provider, Subject: f.Subject, User: f.User, Groups: f.Groups, Unsure: f.Unsure, FoldsCase: f.FoldsCase}
	if f.Claims == nil {
		return id, nil
	}
	var err error
	if id.Claims, err = providers.DecodeClaims(f.Claims); err != nil {
		return nil, fmt.Errorf("decode the claims of a stored identity: %w", err)
	}
	return id, nil
}

// providerID returns a hash of a provider's name and fingerprint. It differs
// for a provider of the same name that was pointed elsewhere.
func providerID(provider, fingerprint string) int64 {
	return number("fingerprint", provider+"\x00"+fingerprint)
}

// number returns 64 bits of a hash of a text for one purpose.
func number(purpose, text string) int64 {
	hash := hashOf(purpose, text)
	return int64(binary.BigEndian.Uint64(hash[:]))
}
