package main

import (
	"io"

	"github.com/spf13/cobra"

	"shorepass/config"
)

func newConfig(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the effective configuration",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newConfigShow(o))
	return cmd
}

func newConfigShow(o *options) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print every key that has a value, and where the value comes from",
		Long: "Prints the effective configuration as TOML: what the file says, and what defaults and\n" +
			"presets fill in. Each value has its origin beside it: the line of the file, the default,\n" +
			"the preset, or derived, where it follows from other keys. A secret in a file or in the\n" +
			"environment is printed as that reference, one in place as [redacted]; no secret is read.",
		Example: "  shorepass config show\n" +
			"  shorepass config show | grep -v '# default'      # what differs from the defaults\n" +
			"  diff <(ssh a shorepass config show) <(ssh b shorepass config show)",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.loadRoot()
			if err != nil {
				return err
			}
			if settings := cfg.Settings(); asJSON {
				return printJSON(cmd.OutOrStdout(), settings)
			} else {
				return printSettings(cmd.OutOrStdout(), settings)
			}
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printSettings(w io.Writer, settings []config.Setting) error {
	text, err := config.FormatSettings(settings)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}
