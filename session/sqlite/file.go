package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"shorepass/internal/durable"
	"shorepass/session"
)

// prepareFile creates the file and its folder with modes for the owner only, or
// checks the modes of existing ones. SQLite gives its -wal and -shm files the mode of
// the main file.
func prepareFile(file string) error {
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("create the folder of the store: %w", err)
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

// requireFile checks a file that must exist. Even a reader needs it to be writable:
// the -wal and -shm files of a read-only file are read-only too, SQLite leaves them
// there, and the next server could not write.
func requireFile(file string) error {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the store %s: %w", file, session.ErrNoStore)
	}
	_, err := Check(file)
	return err
}

// checkFolder refuses a folder that others can list, or in which they can replace the
// file.
func checkFolder(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("check the folder of the store: %w", err)
	}
	if mode := durable.Permissions(info); mode&0o077 != 0 {
		return fmt.Errorf("others may read the folder of the store, %s (mode %v); run: chmod 700 %s, or name a file in a folder that does not exist yet", folder, mode, folder)
	}
	return nil
}

// checkFiles refuses a file that others can read, its -wal and -shm files too. None
// of the three need exist.
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
		return fmt.Errorf("check the store: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the store %s is not a file", name)
	case durable.Permissions(info)&0o077 != 0:
		return fmt.Errorf("others may read the store, %s (mode %v); run: chmod 600 %s", name, durable.Permissions(info), name)
	}
	return nil
}
