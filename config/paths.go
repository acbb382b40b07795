package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// resolve returns the value of an option with its path made absolute, and notes
// a file that is read. A package marks such options with a path tag:
//
//	path:"read"         a file that is read, and whose change means a reload
//	path:"reread"       a file that its package reads again by itself when it changes
//	path:"write"        a file that is written, so that its change means nothing
//	path:"write,file:"  the same, where the value begins with "file:"
//
// The option is text, a list of texts or a secret (a store's address can hold a
// password). A value without the scheme, or with nothing behind it, is returned
// as it is, and so is everything where tag is empty.
func (l *loader) resolve(at, tag, value string) string {
	use, scheme, _ := strings.Cut(tag, ",")
	name, ok := strings.CutPrefix(value, scheme)
	if use == "" || !ok || name == "" {
		return value
	}
	full, err := l.locate(name)
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

// credentials is how systemd's folder of credentials is written in a path.
const credentials = "$CREDENTIALS_DIRECTORY"

// locate makes a path of the configuration absolute. It is relative to the
// folder of the configuration, not to the one that the process was started in,
// which differs between a terminal and a service manager. What begins with
// $CREDENTIALS_DIRECTORY is in the folder where systemd puts what
// LoadCredential names; nothing else is expanded.
func (l *loader) locate(name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, credentials+"/"); ok {
		folder := os.Getenv(credentials[1:])
		if folder == "" {
			return "", fmt.Errorf("%s is not set; start with LoadCredential in the systemd unit, or write a path", credentials)
		}
		return filepath.Join(folder, rest), nil
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	return filepath.Join(l.folder, name), nil
}
