package acmecert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/acme"

	"shorepass/internal/durable"
)

// Check returns a sentence that says which certificate is stored and what Run would do.
// The error says that a file cannot be used. It uses no network and changes nothing.
func (c Config) Check(names []string) (string, error) {
	f := c.files()
	if _, err := f.readAccountKey(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := checkFolder(f.folder); err != nil {
		return "", err
	}
	current, err := f.readCertificate()
	if err != nil && !errors.Is(err, errUnreadable) {
		return "", err
	}
	plan := fmt.Sprintf("a certificate for %s by %s: ", strings.Join(names, ", "), c.challenge())
	switch {
	case current == nil:
		return plan + fmt.Sprintf("there is none in %s yet; serve orders one", f.certificate), nil
	case !covers(current.Leaf, names):
		return plan + fmt.Sprintf("%s is for %s; serve orders another", f.certificate, strings.Join(current.Leaf.DNSNames, ", ")), nil
	}
	return plan + fmt.Sprintf("%s is there; it is replaced from %s on", f.certificate, inUTC(renewAt(current.Leaf))), nil
}

// checkFolder returns an error if this process may not make files in a folder, or the
// folder itself.
func checkFolder(folder string) error {
	for {
		err := durable.CheckWritable(folder)
		if parent := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && parent != folder {
			folder = parent
			continue
		}
		return err
	}
}

// AskDirectory reads the directory, and changes nothing there. It returns a sentence about
// its terms of service. The error wraps ErrExternalAccount if the configuration lacks an
// account that the directory requires.
func (c Config) AskDirectory(ctx context.Context) (string, error) {
	client, err := c.newClient()
	if err != nil {
		return "", err
	}
	defer client.HTTPClient.CloseIdleConnections()
	found, err := discover(ctx, client)
	switch {
	case err != nil:
		return "", err
	case found.ExternalAccountRequired && c.ExternalAccount.ID == "":
		return "", ErrExternalAccount
	case found.Terms == "":
		return "the directory answers; it names no terms of service", nil
	}
	return fmt.Sprintf("the directory answers; its terms of service: %q", found.Terms), nil
}

// discover reads the directory; the client keeps it for its requests.
func discover(ctx context.Context, client *acme.Client) (acme.Directory, error) {
	found, err := client.Discover(ctx)
	_, isSyntax := errors.AsType[*json.SyntaxError](err)
	_, isType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case isSyntax, isType, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		err == nil && (found.NonceURL == "" || found.RegURL == "" || found.OrderURL == ""):
		return found, errNoDirectory
	case errors.Is(err, context.DeadlineExceeded):
		return found, fmt.Errorf("the directory does not answer: %w", err)
	case err != nil:
		return found, fmt.Errorf("the directory cannot be read: %w", err)
	}
	return found, nil
}

var errNoDirectory = errors.New("this is not the directory of an ACME server (RFC 8555); correct the URL")

// ErrExternalAccount means that the directory requires an external account.
var ErrExternalAccount = errors.New("the directory requires an external account; ask its operator for a key identifier and a MAC key")
