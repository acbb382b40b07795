package postgres

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// text is what a provider says: any bytes, of which PostgreSQL's text takes
// those that are UTF-8 and not NUL. Others are kept as oddPrefix and base64, so
// that no two texts become one, and none is refused that SQLite takes.
type text string

const base64Prefix = "\x01base64:"

var (
	_ pgtype.TextValuer  = text("")
	_ pgtype.TextScanner = (*text)(nil)
)

// TextValue is how the text is kept.
func (t text) TextValue() (pgtype.Text, error) {
	kept := string(t)
	if !utf8.ValidString(kept) || strings.ContainsRune(kept, 0) || strings.HasPrefix(kept, base64Prefix) {
		kept = base64Prefix + base64.StdEncoding.EncodeToString([]byte(t))
	}
	return pgtype.Text{String: kept, Valid: true}, nil
}

// ScanText reads what TextValue made.
func (t *text) ScanText(v pgtype.Text) error {
	if !v.Valid {
		return errors.New("a text is missing")
	}
	odd, ok := strings.CutPrefix(v.String, base64Prefix)
	if !ok {
		*t = text(v.String)
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(odd)
	*t = text(decoded)
	return err
}
