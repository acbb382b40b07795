package acmecert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

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
	found, err := client.Discover(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("the directory cannot be read: %w", err)
	case found.NonceURL == "" || found.RegURL == "" || found.OrderURL == "":
		return "", errors.New("this is not the directory of an ACME server (RFC 8555); correct the URL")
	case found.ExternalAccountRequired && c.ExternalAccount.ID == "":
		return "", ErrExternalAccount
	case found.Terms == "":
		return "the directory answers; it names no terms of service", nil
	}
	return fmt.Sprintf("the directory answers; its terms of service: %q", found.Terms), nil
}

// ErrExternalAccount means that the directory requires an external account.
var ErrExternalAccount = errors.New("the directory requires an external account; ask its operator for a key identifier and a MAC key")
