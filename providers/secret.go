package providers

import (
	"crypto/subtle"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that cannot be printed: String, GoString, JSON, text and
// slog forms all say "[redacted]". Reveal is the only way to the text, so that
// a search for it finds every place where a secret leaves. The text is behind a
// pointer since fmt calls no method of what it finds in an unexported field: there
// it prints an address.
type Secret struct{ text *string }

// NewSecret makes a Secret of text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal compares in constant time for texts of one length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
