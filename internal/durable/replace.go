package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace creates a file, or replaces one of that name, with the given mode. After a crash
// the name has the old content or the new one, whole: the file gets its name when its
// content is synced to disk, and the folder is synced before Replace returns.
func Replace(name string, data []byte, mode fs.FileMode) error {
	folder := filepath.Dir(name)
	f, err := os.CreateTemp(folder, ".shorepass-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return syncFolder(folder)
}
