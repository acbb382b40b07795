package postgres

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// text is a string of a provider or a client, which may be any bytes. PostgreSQL's TEXT
// takes UTF-8 without NUL; other strings are stored as base64Prefix and base64. The
// encoding is injective, so that different texts stay different, and none is refused
// that SQLite accepts.
type text string

const base64Prefix = "\x01base64:"

var (
	_ pgtype.TextValuer  = text("")
	_ pgtype.TextScanner = (*text)(nil)
)

// TextValue encodes the text.
func (t text) TextValue() (pgtype.Text, error) {
	stored := string(t)
	if !utf8.ValidString(stored) || strings.ContainsRune(stored, 0) || strings.HasPrefix(stored, base64Prefix) {
		stored = base64Prefix + base64.StdEncoding.EncodeToString([]byte(t))
	}
	return pgtype.Text{String: stored, Valid: true}, nil
}

// ScanText decodes what TextValue returned.
func (t *text) ScanText(v pgtype.Text) error {
	if !v.Valid {
		return errors.New("the text is NULL")
	}
	encoded, ok := strings.CutPrefix(v.String, base64Prefix)
	if !ok {
		*t = text(v.String)
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	*t = text(decoded)
	return err
}
