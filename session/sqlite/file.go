package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"shorepass/session"
)

// prepareFile makes the file and its folder, readable by the owner only, or
// checks that they are. SQLite gives its other files the mode of the first.
func prepareFile(file string) error {
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of the store: %w", err)
	}
	if err := checkFolder(folder); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	return checkFiles(file)
}

// requireFile checks a file that must exist already. It must be writable also
// for reading it: what SQLite keeps beside a read-only file is read-only too,
// stays there, and keeps the next server from writing.
func requireFile(file string) error {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the store %s: %w", file, session.ErrNoStore)
	}
	_, err := Check(file)
	return err
}

// checkFolder refuses a folder that others may look into, or put a file of their
// own in the place of ours.
func checkFolder(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("look at the folder of the store: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others may read the folder of the store, %s (mode %v); run: chmod 700 %s, or name a file in a folder that does not exist yet", folder, info.Mode().Perm(), folder)
	}
	return nil
}

// checkFiles refuses a file that others may read, or one that SQLite keeps
// beside it. None of them need exist.
func checkFiles(file string) error {
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		if err := checkFile(name); err != nil {
			return err
		}
	}
	return nil
}

func checkFile(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the store: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the store %s is not a file", name)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may read the store, %s (mode %v); run: chmod 600 %s", name, info.Mode().Perm(), name)
	}
	return nil
}
