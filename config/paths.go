package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// resolve makes the path in the value of an option absolute, and records a file that is
// read as a dependency. A package marks such options with a path tag:
//
//	path:"read"         a file that is read; a change of it needs a reload
//	path:"reread"       a file that its package rereads by itself when it changes
//	path:"write"        a file that is written, see [dataFolder]; a change of it needs no reload
//	path:"write,file:"  the same, for values with the scheme "file:"
//
// The option is text, a list of texts or a secret (the address of a store can contain
// a password). A value without the scheme or without a path after it is returned
// unchanged, and so is any value where tag is empty.
func (l *loader) resolve(at, tag, value string) string {
	use, scheme, _ := strings.Cut(tag, ",")
	name, ok := strings.CutPrefix(value, scheme)
	if use == "" || !ok || name == "" {
		return value
	}
	folder := l.folder
	if use == "write" {
		folder = dataFolder(folder)
	}
	full, err := locate(folder, name)
	if before, _ := locate(l.folder, name); err == nil {
		err = checkMoved(before, full)
	}
	switch {
	case err != nil && !l.readsSecret(at):
		l.faults.unread[at] = true
		return value
	case err != nil:
		l.unresolved = append(l.unresolved, l.faults.at(at, err.Error()))
		return value
	}
	if use == "read" {
		l.addDependency(full)
	}
	return scheme + full
}

// credentials is the placeholder in paths for the folder of systemd's credentials.
const credentials = "$CREDENTIALS_DIRECTORY"

// Folders of the Filesystem Hierarchy Standard: for configurations, which a program
// cannot write to in a container or under a hardened service manager, and for its data.
const (
	systemConfig = "/etc/shorepass"
	systemData   = "/var/lib/shorepass"
)

// dataFolder returns the folder that the paths of written files are relative to: the
// folder of the configuration, or its place below /var/lib/shorepass if it is
// /etc/shorepass or below. It depends on nothing else, so that a command in a
// terminal finds what the service has written.
func dataFolder(configuration string) string {
	if configuration == systemConfig || strings.HasPrefix(configuration, systemConfig+"/") {
		return systemData + strings.TrimPrefix(configuration, systemConfig)
	}
	return configuration
}

// checkMoved returns an error if a written file exists where it was before the data folder
// had a place of its own, and not where it is now. A server that began anew there would
// make a second root, which no registry trusts, and know no session.
func checkMoved(before, now string) error {
	if _, err := os.Lstat(now); before == now || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(before); err != nil {
		return nil
	}
	return fmt.Errorf("%s is from an earlier version, and this one has the file at %s; move it there with the keys beside it, or write its absolute path", before, now)
}

// locate makes a path of the configuration absolute. A relative path is relative to
// folder, not to the working directory, which differs between a terminal and a service
// manager. $CREDENTIALS_DIRECTORY at the start is the folder of the files that
// LoadCredential names in the systemd unit; no other variable is expanded.
func locate(folder, name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, credentials+"/"); ok {
		credentialsFolder := os.Getenv(credentials[1:])
		if credentialsFolder == "" {
			return "", fmt.Errorf("%s is not set; start with LoadCredential in the systemd unit, or write a path", credentials)
		}
		return filepath.Join(credentialsFolder, rest), nil
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	return filepath.Join(folder, name), nil
}
