package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"shorepass/registry"
)

// registries are what registry-config can print a block for.
var registries = strings.Join([]string{registry.Distribution2, registry.Distribution3, registry.GitLab, registry.Zot}, ", ")

func newRegistryConfig(o *options) *cobra.Command {
	var service, kind, root, keySetFile string
	var asJSON, keySet bool
	cmd := &cobra.Command{
		Use:   "registry-config",
		Short: "Print the block that a registry needs",
		Long: "Prints what the configuration of a registry must say so that it takes the tokens made\n" +
			"here: " + registries + ".",
		Example: "  shorepass registry-config --registry distribution3 --service registry.corp.example\n" +
			"  shorepass registry-config --key-set > jwks.json       # where signing = \"kid\"",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			if missing, err := rootIsMissing(cfg); err != nil {
				return err
			} else if missing {
				return fmt.Errorf("%s does not exist yet; start the server once, or make it with: shorepass keys init", cfg.Token.RootCertificate)
			}
			issuer, err := newIssuer(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			if service == "" && len(cfg.Token.Services) > 1 {
				return fmt.Errorf("there are several services; choose one of %s with --service", strings.Join(cfg.Token.Services, ", "))
			}
			if service, err = issuer.Service(service); err != nil {
				return err
			}
			if keySet {
				keys, err := issuer.JWKS(service)
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(keys)
				return err
			}
			setup, err := issuer.Setup(service, cfg.Server.Realm())
			if err != nil {
				return err
			}
			if root != "" {
				setup.RootCertificate = root
			}
			if keySetFile != "" {
				setup.KeySet = keySetFile
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), setup)
			}
			block, err := setup.Block(kind)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), block)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kind, "registry", registry.Distribution3, "one of "+registries)
	flags.StringVar(&service, "service", "", "the registry's `name`, one of token.services (default: the only one)")
	flags.StringVar(&root, "root-certificate", "", "the `file` that the root certificate is in on the registry's machine (default: as here)")
	flags.StringVar(&keySetFile, "key-set-file", "", "the `file` that the key set is in on the registry's machine, where signing = \"kid\"")
	flags.BoolVar(&keySet, "key-set", false, "print the key set itself, where signing = \"kid\"")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
