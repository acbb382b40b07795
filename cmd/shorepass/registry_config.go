package main

import (
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"shorepass/internal/tlsconf"
	"shorepass/registry"
)

// registries are the values of --registry.
var registries = strings.Join([]string{registry.Distribution2, registry.Distribution3, registry.GitLab, registry.Zot}, ", ")

// registryFlags are the flags of registry-config.
type registryFlags struct {
	service, registry, rootCertificate, keySetFile string
	bundle, keySet, json                           bool
}

func newRegistryConfig(o *options) *cobra.Command {
	var f registryFlags
	cmd := &cobra.Command{
		Use:   "registry-config",
		Short: "Print the block that a registry needs",
		Long: "Prints the block of a registry's configuration with which it accepts the tokens of this\n" +
			"server. It knows the formats of " + registries + ".",
		Example: "  shorepass registry-config --registry distribution3 --service registry.corp.example\n" +
			"  shorepass registry-config --bundle > RootCA.crt       # the file of rootcertbundle\n" +
			"  shorepass registry-config --key-set > jwks.json       # for signing = \"kid\"",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.loadRoot("token", "service")
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.registry, "registry", registry.Distribution3, "one of "+registries)
	flags.StringVar(&f.service, "service", "", "the registry's `name`, one of token.services (default: the only one)")
	flags.StringVar(&f.rootCertificate, "root-certificate", "", "the root certificate's `file` on the registry's machine (default: the path on this one)")
	flags.StringVar(&f.keySetFile, "key-set-file", "", "the key set's `file` on the registry's machine, for signing = \"kid\"")
	flags.BoolVar(&f.bundle, "bundle", false, "print the root certificate itself, for rootcertbundle")
	flags.BoolVar(&f.keySet, "key-set", false, "print the key set itself, for signing = \"kid\"")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

// print writes the key set or the block of the service to w, and warnings to
// warnings.
func (f registryFlags) print(w, warnings io.Writer, cfg *resolvedConfig) error {
	issuer, err := loadIssuer(cfg)
	if err != nil {
		return err
	}
	if f.service == "" && len(cfg.Token.Services) > 1 {
		return fmt.Errorf("there are several services; choose one with --service: %s", strings.Join(cfg.Token.Services, ", "))
	}
	service, err := issuer.Service(f.service)
	if errors.Is(err, registry.ErrUnknownService) {
		return fmt.Errorf("--service %q is not in token.services; write one of %s", f.service, strings.Join(cfg.Token.Services, ", "))
	}
	if err != nil {
		return err
	}
	if f.keySet {
		keys, err := issuer.JWKS(service)
		if err != nil {
			return err
		}
		_, err = w.Write(keys)
		return err
	}
	settings, err := issuer.AuthSettings(service, cfg.Server.Realm())
	if err != nil {
		return err
	}
	if f.bundle {
		return printCertificates(w, settings.RootCertificate)
	}
	if err := cfg.Server.CheckRealm(); err != nil {
		return fmt.Errorf("server.public_urls %w", err)
	}
	settings.RootCertificate = cmp.Or(f.rootCertificate, settings.RootCertificate)
	settings.KeySet = cmp.Or(f.keySetFile, settings.KeySet)
	if f.json {
		return printJSON(w, settings)
	}
	block, err := settings.Block(f.registry)
	if err != nil {
		return err
	}
	if warning := settings.Warning(f.registry); warning != "" {
		fmt.Fprintf(warnings, "warning: %s\n", strings.ReplaceAll(warning, "\n", " "))
	}
	_, err = io.WriteString(w, block)
	return err
}

// printCertificates writes the certificates of a file in PEM, and nothing else of it.
func printCertificates(w io.Writer, name string) error {
	certificates, err := tlsconf.ReadCertificates(name)
	if err != nil {
		return err
	}
	for _, c := range certificates {
		if err := pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			return err
		}
	}
	return nil
}

// loadIssuer returns an issuer with the existing keys. It makes none.
func loadIssuer(cfg *resolvedConfig) (*registry.Issuer, error) {
	missing, err := rootIsMissing(cfg)
	if err != nil {
		return nil, err
	}
	if missing {
		return nil, errors.Join(registry.CheckWithoutRoot(cfg.Token, cfg.Services),
			fmt.Errorf("%s does not exist yet; start the server once, or make it with: shorepass keys init", cfg.Token.RootCertificate))
	}
	return newIssuer(cfg, slog.New(slog.DiscardHandler))
}
