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

// maxSecret bounds the size of a file that holds a secret, in bytes. The largest secret
// is a key in PEM.
const maxSecret = 64 << 10

var errSecretForm = errors.New(`a secret is written as text in quotes, { file = "…" } or { env = "…" }; write one of the three`)

// OnlySecrets limits the secrets that [Load] reads to those at or below keys, such as
// "session" or "session.store", for a command that needs no others. The files and
// environment variables of other secrets may be missing, and paths in
// $CREDENTIALS_DIRECTORY stay unresolved; all other faults are reported. A provider with
// an unread secret cannot be built, and the packages that parse a key or the store's
// address refuse an unread one.
func OnlySecrets(keys ...string) Option {
	return func(l *loader) { l.only = append([]string{}, keys...) }
}

// unread is the value of a secret that was not read, so that its key does not count as
// left out. It is not a valid password hash, sealing key or address of a store.
var unread = secret.New("(unread)")

// readsSecret reports whether the secret at a key must be read, see [OnlySecrets].
func (l *loader) readsSecret(at string) bool {
	return l.only == nil || slices.ContainsFunc(l.only, func(key string) bool {
		return at == key || strings.HasPrefix(at, key+".") || strings.HasPrefix(at, key+"[")
	})
}

// secret reads the secret at a key, which is in place, in a file or in an environment
// variable. Its errors do not quote the secret.
func (l *loader) secret(at string, value any) (secret.Text, error) {
	table, ok := value.(map[string]any)
	if !ok {
		text, ok := value.(string)
		if !ok {
			return secret.Text{}, errSecretForm
		}
		// A password hash and the file of a local store have the type of a secret, but
		// need no warning.
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

// secretFile reads a secret from a file, without one newline at its end.
func (l *loader) secretFile(name string) (secret.Text, error) {
	full, err := locate(l.folder, name)
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
		return "", fmt.Errorf("%s is not a regular file; name the file that contains the secret", name)
	case errors.Is(err, durable.ErrWorldReadable), errors.Is(err, durable.ErrWorldWritable):
		return "", err
	case isTooLarge(err):
		return "", fmt.Errorf("%s is longer than a secret can be (%d bytes); name a file that contains nothing but the secret", name, maxSecret)
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

// noFileError is the name of a file that does not exist.
type noFileError string

func (e noFileError) Error() string {
	return fmt.Sprintf("there is no file %s; create it, readable by this process only, or correct the path", string(e))
}

// cannotRead returns the fault for a file that cannot be read, with the cause and without
// the path that the file system's error repeats.
func cannotRead(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s cannot be read: %v; let this process read it", name, err)
}
