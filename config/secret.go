package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"shorepass/internal/durable"
	"shorepass/internal/secret"
)

// maxSecret bounds a file that holds a secret. The largest is a key in PEM.
const maxSecret = 64 << 10

var errSecretForm = errors.New(`a secret is written as text in quotes, { file = "…" } or { env = "…" }; write one of the three`)

// OnlySecrets limits the secrets that [Load] reads to those at these keys and
// below them ("session", "session.store"), for a command that needs no others.
// The rest may be missing from their files and environment variables, and paths
// in $CREDENTIALS_DIRECTORY stay as they are; all other faults are reported as
// without it. A provider with an unread secret cannot be built, and an unread
// key or address of the store is refused by those who parse it.
func OnlySecrets(keys ...string) Option {
	return func(l *loader) { l.only = append([]string{}, keys...) }
}

// unread is the value of a secret that was not read, so that the key does not
// look left out. It is no password hash, sealing key or address of a store.
var unread = secret.New("(unread)")

// readsSecret reports whether the secret at a key is to be read.
func (l *loader) readsSecret(at string) bool {
	return l.only == nil || slices.ContainsFunc(l.only, func(key string) bool {
		return at == key || strings.HasPrefix(at, key+".") || strings.HasPrefix(at, key+"[")
	})
}

// secret reads the secret at a key, written in place, in a file or in the
// environment. No error of it holds the secret.
func (l *loader) secret(at string, value any) (secret.Text, error) {
	table, ok := value.(map[string]any)
	if !ok {
		text, ok := value.(string)
		if !ok {
			return secret.Text{}, errSecretForm
		}
		// A hash, and the name of a local store, are in the type and can be seen.
		if !strings.HasPrefix(text, "$") && !strings.HasPrefix(text, "sqlite:") {
			l.inPlace = true
		}
		return secret.New(text), nil
	}
	file, inFile := table["file"].(string)
	env, inEnv := table["env"].(string)
	switch {
	case len(table) != 1 || !inFile && !inEnv:
		return secret.Text{}, errSecretForm
	case !l.readsSecret(at):
		l.faults.unread[at] = true
		return unread, nil
	case inFile:
		return l.secretFile(file)
	}
	text := os.Getenv(env)
	if text == "" {
		return secret.Text{}, fmt.Errorf("the environment variable %s is not set; set it for this process, or use { file = \"…\" }", env)
	}
	return secret.New(text), nil
}

// secretFile reads a secret from a file, without the newline at its end.
func (l *loader) secretFile(name string) (secret.Text, error) {
	full, err := l.locate(name)
	if err != nil {
		return secret.Text{}, err
	}
	l.addDependency(full)
	text, err := readSecret(full)
	if err != nil {
		return secret.Text{}, err
	}
	return secret.New(text), nil
}

func readSecret(name string) (string, error) {
	data, _, err := durable.ReadSecret(name, maxSecret)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", noFileError(name)
	case errors.Is(err, durable.ErrNotRegular):
		return "", fmt.Errorf("%s is not a regular file; name the file that holds the secret", name)
	case errors.Is(err, durable.ErrWorldReadable), errors.Is(err, durable.ErrWorldWritable):
		return "", err
	case isTooLarge(err):
		return "", fmt.Errorf("%s is longer than a secret can be (%d bytes); name the file that holds the secret alone", name, maxSecret)
	case err != nil:
		return "", cannotRead(name, err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("%s is empty; write the secret into it", name)
	}
	return text, nil
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*durable.TooLargeError](err)
	return ok
}

// noFileError says that there is no file of that name.
type noFileError string

func (e noFileError) Error() string {
	return fmt.Sprintf("there is no file %s; make it, readable by this process only, or correct the path", string(e))
}

// cannotRead keeps of an error of the file system why it failed.
func cannotRead(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s cannot be read: %v; let this process read it", name, err)
}
