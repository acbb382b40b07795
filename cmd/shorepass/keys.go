package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shorepass/registry"
	"shorepass/session"
)

func newKeys(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make the keys that replicas share, and show what signs tokens",
	}
	cmd.AddCommand(newKeysInit(o), newKeysShow(o))
	return cmd
}

func newKeysShow(o *options) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "show",
		SuggestFor: []string{"list", "print", "get"},
		Short:      "Show the certificates behind the tokens of each service",
		Long: "Shows for each service what signs its tokens, and the certificate that its registry\n" +
			"trusts: subject, validity, key id, and two checksums. Compare these with the copy that\n" +
			"the registry has: sha256 with sha256sum, fingerprint with openssl x509 -fingerprint\n" +
			"-sha256. It shows no key.",
		Example: "  shorepass keys show --config /etc/shorepass/shorepass.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.loadRoot("token", "service")
			if err != nil {
				return err
			}
			issuer, err := loadIssuer(cfg)
			if err != nil {
				return err
			}
			keys, err := issuer.Keys()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), keys)
			}
			for _, key := range keys {
				printKey(cmd.OutOrStdout(), key)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printKey(w io.Writer, k registry.KeyInfo) {
	fmt.Fprintln(w, strings.Join(k.Services, ", "))
	fmt.Fprintf(w, "  signed by    %s (%s, signing = %q)\n", k.Signs, k.Algorithm, k.Signing)
	fmt.Fprintf(w, "  certificate  %s\n", k.Certificate)
	fmt.Fprintf(w, "  subject      %s\n", k.Subject)
	fmt.Fprintf(w, "  valid        %s to %s\n", k.NotBefore.Format(time.RFC3339), k.NotAfter.Format(time.RFC3339))
	fmt.Fprintf(w, "  key id       %s\n", k.KeyID)
	fmt.Fprintf(w, "  fingerprint  %s\n", k.Fingerprint)
	fmt.Fprintf(w, "  sha256       %s\n", k.SHA256)
}

func newKeysInit(o *options) *cobra.Command {
	var certificate, key, seal string
	cmd := &cobra.Command{
		Use:        "init",
		SuggestFor: []string{"make", "create", "new", "generate"},
		Short:      "Make the root that registries trust, and the sealing key",
		Long: "Makes a root certificate and its key, and with --seal-key the key that encrypts the\n" +
			"providers' refresh tokens in the store. It overwrites nothing. Keys, and folders that\n" +
			"do not exist yet, are made readable by their owner only. Without flags it makes the root\n" +
			"that the configuration names.",
		Example: "  shorepass keys init --certificate RootCA.crt --key RootCA.key --seal-key seal.key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (certificate == "") != (key == "") {
				return errors.New("--certificate and --key need each other; give both or neither")
			}
			if certificate != "" && certificate == key {
				return errors.New("--certificate and --key name the same file; the registry gets the first, and only shorepass may read the second")
			}
			if certificate == "" && seal == "" {
				var err error
				if certificate, key, err = o.configuredRoot(); err != nil {
					return err
				}
			}
			if err := makeFolders(key, certificate, seal); err != nil {
				return err
			}
			if certificate != "" {
				if err := registry.CreateRoot(certificate, key); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "made %s, which the registry needs as rootcertbundle, and %s, which only shorepass may read\n", certificate, key)
			}
			if seal != "" {
				err := session.WriteSealKey(seal, session.NewSealKey())
				if errors.Is(err, fs.ErrExist) {
					return fmt.Errorf("make the sealing key: %s exists already; name another file, or keep this one, since the store's tokens need it", seal)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "made %s; every replica needs the same\n", seal)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&certificate, "certificate", "", "the root certificate's `file`")
	cmd.Flags().StringVar(&key, "key", "", "the root key's `file`")
	cmd.Flags().StringVar(&seal, "seal-key", "", "the sealing key's `file`")
	return cmd
}

// configuredRoot returns the files of the root that the configuration names.
func (o *options) configuredRoot() (certificate, key string, err error) {
	cfg, err := o.loadRoot("token")
	if err != nil {
		return "", "", err
	}
	if cfg.Token.RootCertificate == "" || cfg.Token.RootKey == "" {
		return "", "", errNoRootToMake
	}
	return cfg.Token.RootCertificate, cfg.Token.RootKey, nil
}

// errNoRootToMake is for a configuration with token.signing_certificate: a root elsewhere
// has certified that leaf, and its key does not belong on this machine.
var errNoRootToMake = errors.New("the configuration names no root key to make, since token.signing_certificate signs; to make another root, name its files with --certificate and --key")

// makeFolders makes the folders of key files that do not exist, with access for their
// owner only. It skips empty names.
func makeFolders(files ...string) error {
	for _, file := range files {
		if file == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("make the folder of %s: %w", file, err)
		}
	}
	return nil
}
