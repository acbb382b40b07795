package session_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shorepass/session"
	"shorepass/session/sqlite"
)

// TestReadKeys: ReadKeys returns the keys that a server opens, and creates
// none.
func TestReadKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	key := filepath.Join(filepath.Dir(file), session.SealKeyFile)
	store, err := sqlite.Open(t.Context(), file)
	must(t, err)
	defer store.Close()
	cfg := session.Config{}.WithDefaults()

	if _, err := session.ReadKeys(t.Context(), cfg, store); !errors.Is(err, session.ErrNoStore) {
		t.Errorf("ReadKeys before a server's start = %v, want %v", err, session.ErrNoStore)
	}
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadKeys made a sealing key: %v", err)
	}
	configured := cfg
	configured.SealKey = session.NewSealKey()
	if _, err := session.ReadKeys(t.Context(), configured, store); !errors.Is(err, session.ErrNoStore) {
		t.Errorf("ReadKeys of a key that no server has used = %v, want %v", err, session.ErrNoStore)
	}

	opened, err := session.OpenKeys(t.Context(), cfg, store, slog.New(slog.DiscardHandler))
	must(t, err)
	read, err := session.ReadKeys(t.Context(), cfg, store)
	if err != nil || string(read.Derive("x")) != string(opened.Derive("x")) {
		t.Errorf("ReadKeys = %v, want the key that OpenKeys made", err)
	}
	if _, err := session.ReadKeys(t.Context(), configured, store); err == nil || !strings.Contains(err.Error(), "session.seal_key is not the sealing key") {
		t.Errorf("ReadKeys of another key = %v", err)
	}
	must(t, os.Remove(key))
	if _, err := session.ReadKeys(t.Context(), cfg, store); err == nil || !strings.Contains(err.Error(), "is missing, and the sessions in the store were sealed with it") {
		t.Errorf("ReadKeys of a key that is gone = %v", err)
	}
}
