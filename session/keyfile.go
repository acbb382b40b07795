package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"shorepass/internal/durable"
	"shorepass/internal/secret"
)

// SealKeyFile is the name of the sealing key's file in the folder of a store.
const SealKeyFile = "seal.key"

// checkValueSetting is the name of the setting with the check value of the
// sealing key that all replicas must have.
const checkValueSetting = "seal_key"

// folder is a store in a folder of one machine, which can also hold the key.
type folder interface{ Folder() string }

// ErrNoSealKey says that no sealing key is configured for a store that replicas
// share, where none can be created.
var ErrNoSealKey = errors.New("session.seal_key is missing: replicas share one, so it cannot be made here; make it once with: shorepass keys init --seal-key seal.key, and write seal_key = { file = \"seal.key\" }")

// Settings are named values that replicas share.
type Settings interface {
	// Setting returns the value of a name. If there is none and value is not
	// nil, it stores value and returns that (put if absent: the first writer
	// wins).
	Setting(ctx context.Context, name string, value []byte) ([]byte, error)
}

// OpenKeys returns the sealing keys of cfg, and refuses any but those that the
// tokens in the store were sealed with. [New] does the same; OpenKeys is for
// callers that need [Keys.Derive] before there are Sessions.
func OpenKeys(ctx context.Context, cfg Config, store Settings, log *slog.Logger) (*Keys, error) {
	checkValue, err := readCheckValue(ctx, store)
	if err != nil {
		return nil, err
	}
	keys, where, err := findKeys(cfg, store, checkValue == nil, log)
	if err != nil {
		return nil, err
	}
	if checkValue == nil {
		// Of several replicas that start concurrently, the first one's check
		// value wins.
		if checkValue, err = store.Setting(ctx, checkValueSetting, keys.checkValue()); err != nil {
			return nil, unavailable(fmt.Errorf("store the check value of the sealing key: %w", err))
		}
	}
	if !keys.matches(checkValue) {
		return nil, wrongKeys(where)
	}
	return keys, nil
}

// ReadKeys is OpenKeys for a process that serves nothing: it creates no key,
// and stores no check value. The error wraps ErrNoStore if no server has started
// on the store yet.
func ReadKeys(ctx context.Context, cfg Config, store Settings) (*Keys, error) {
	checkValue, err := readCheckValue(ctx, store)
	switch {
	case err != nil:
		return nil, err
	case checkValue == nil:
		return nil, fmt.Errorf("read the sealing key: %w", ErrNoStore)
	}
	keys, where, err := findKeys(cfg, store, false, nil)
	if err != nil {
		return nil, err
	}
	if !keys.matches(checkValue) {
		return nil, wrongKeys(where)
	}
	return keys, nil
}

// readCheckValue returns the check value of the sealing key, or nil if there is
// none yet.
func readCheckValue(ctx context.Context, store Settings) ([]byte, error) {
	checkValue, err := store.Setting(ctx, checkValueSetting, nil)
	if err != nil {
		return nil, unavailable(fmt.Errorf("read the check value of the sealing key: %w", err))
	}
	return checkValue, nil
}

// findKeys returns the keys of cfg or, if it has none, of the file in the
// store's folder, which it creates if mayCreate. where names their source.
func findKeys(cfg Config, store Settings, mayCreate bool, log *slog.Logger) (keys *Keys, where string, err error) {
	configured, where := cfg.SealKey, "session.seal_key"
	if configured.IsZero() {
		local, ok := store.(folder)
		if !ok {
			return nil, "", ErrNoSealKey
		}
		where = filepath.Join(local.Folder(), SealKeyFile)
		if configured, err = readOrCreateKey(where, mayCreate, log); err != nil {
			return nil, "", err
		}
	}
	if keys, err = ParseKeys(configured); err != nil {
		return nil, "", fmt.Errorf("%s: %w", where, err)
	}
	return keys, where, nil
}

// ErrWrongSealKey says that the sealing key is not the one of the store.
var ErrWrongSealKey = errors.New("is not the sealing key that the sessions in the store were sealed with; all replicas must have the same, so give this one that key, or put it back beside the new one")

func wrongKeys(where string) error { return fmt.Errorf("%s %w", where, ErrWrongSealKey) }

// maxSealKeyFile bounds the file of a ring of sealing keys, in bytes.
const maxSealKeyFile = 4 << 10

// readOrCreateKey reads a key from a file that only its owner can read. A
// missing file is created if mayCreate: the store has no check value yet.
func readOrCreateKey(name string, mayCreate bool, log *slog.Logger) (secret.Text, error) {
	text, state, err := durable.Read(name, maxSealKeyFile)
	switch {
	case err == nil && state.Mode()&0o077 != 0:
		return secret.Text{}, fmt.Errorf("others may read the sealing key, %s (mode %v); run: chmod 600 %s", name, state.Mode(), name)
	case err == nil:
		return secret.New(string(text)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return secret.Text{}, fmt.Errorf("read the sealing key: %w", err)
	case !mayCreate:
		return secret.Text{}, fmt.Errorf("the sealing key %s is missing, and the sessions in the store were sealed with it; put it back from a copy", name)
	}
	key := NewSealKey()
	switch err := WriteSealKey(name, key); {
	case errors.Is(err, fs.ErrExist):
		return readOrCreateKey(name, false, log) // another process was first
	case err != nil:
		return secret.Text{}, err
	}
	log.Info("made a sealing key; keep a copy of it apart from the copies of the store", "file", name)
	return key, nil
}

// WriteSealKey writes a key into a new file that only its owner can read. It
// refuses to replace one, as [durable.Create].
func WriteSealKey(name string, key secret.Text) error {
	if err := durable.Create(name, []byte(key.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("make the sealing key: %w", err)
	}
	return nil
}

// CheckSealKeyFile checks whether the sealing key in the folder of a store can
// be used, for a configuration without one. It creates none: if the store does
// not exist, a missing key is no fault, since the server creates both.
func CheckSealKeyFile(folder string, storeExists bool) error {
	name := filepath.Join(folder, SealKeyFile)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && !storeExists {
		return nil
	}
	key, err := readOrCreateKey(name, false, nil)
	if err != nil {
		return err
	}
	_, err = ParseKeys(key)
	return err
}
