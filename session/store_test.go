package session_test

import (
	"testing"

	"shorepass/session"
)

func TestRequireSchema(t *testing.T) {
	for _, tt := range []struct {
		is, needed int64
		oldest     string
		want       string
	}{
		{2, 2, "", ""},
		{3, 2, "2", ""},
		{4, 2, "1", ""},
		{0, 2, "", "no server has made it yet; start the server first, or correct session.store"},
		{1, 2, "1", "its schema is version 1 and this program needs 2; start the server first, which migrates it, or use the program that the server runs"},
		{3, 2, "3", "its schema is version 3 and this program knows 2; start the newer program, or put back a copy made before it ran"},
	} {
		got := ""
		if err := session.RequireSchema(tt.is, tt.needed, []byte(tt.oldest)); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("RequireSchema(%d, %d) = %q, want %q", tt.is, tt.needed, got, tt.want)
		}
	}
}
