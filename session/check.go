package session

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckKeyBeside reports whether the sealing key beside a store in a folder can
// be used, where the configuration names none. It makes none: without a store
// there is nothing that a new one could not open.
func CheckKeyBeside(folder string, storeExists bool) error {
	name := filepath.Join(folder, SealKeyFile)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && !storeExists {
		return nil
	}
	key, err := readOrMake(name, false, nil)
	if err != nil {
		return err
	}
	_, err = ParseKeys(key)
	return err
}
