package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"shorepass/internal/durable"
)

// Check reports whether the file exists, and whether Open would accept its mode and
// its folder's, or could create them. It changes nothing and does not read the file.
func Check(file string) (exists bool, err error) {
	folder := filepath.Dir(file)
	for first := true; ; first = false {
		_, err := os.Stat(folder)
		if parent := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && parent != folder {
			folder = parent // Open creates the rest
			continue
		}
		if err != nil {
			return false, fmt.Errorf("check the folder of the store: %w", err)
		}
		if !first {
			return false, checkWritable(folder)
		}
		break
	}
	if err := checkFolder(folder); err != nil {
		return false, err
	}
	if err := checkFiles(file); err != nil {
		return false, err
	}
	if err := checkWritable(folder); err != nil { // SQLite creates -wal and -shm there
		return false, err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, checkWritable(file)
}

// checkWritable checks a file, or a folder in which SQLite makes files.
func checkWritable(name string) error {
	if err := durable.CheckWritable(name); err != nil {
		return fmt.Errorf("the store cannot be written: %w", err)
	}
	return nil
}
