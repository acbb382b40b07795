// Package secret has a type for texts that must not be printed: passwords,
// tokens and keys.
//
//	password := secret.New(form.Get("password"))
//	slog.Info("login", "password", password) // password=[redacted]
package secret

import (
	"crypto/subtle"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a text that prints as "[redacted]": by String, GoString, JSON,
// MarshalText and slog. Reveal alone returns the text, so that a search for its
// calls finds all uses of secrets. Text holds a pointer because fmt calls no
// methods on a value in an unexported field: it prints an address there. The
// zero Text is the empty text.
type Text struct{ text *string }

// New returns a Text of text.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{&text}
}

// Reveal returns the text itself.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// IsZero reports whether the text is empty.
func (t Text) IsZero() bool { return t.text == nil }

// Equal reports whether both texts are equal, in constant time for texts of the
// same length.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

func (Text) String() string               { return redacted }
func (Text) GoString() string             { return redacted }
func (Text) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Text) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
