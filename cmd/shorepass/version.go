package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is the output of version.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

func (b build) String() string { return fmt.Sprintf("%s %s %s", b.Version, b.Revision, b.Go) }

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  shorepass version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), b)
			}
			return printVersion(cmd, b)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// addVersionFlag adds --version to the root command, with the output of the subcommand.
// cobra's own flag is not used: it needs a template, and text/template calls methods by
// name, so that the linker could not remove unused methods, six megabytes of them.
func addVersionFlag(root *cobra.Command) {
	help := root.RunE
	asked := root.Flags().BoolP("version", "v", false, "print the version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *asked {
			return printVersion(cmd, thisBuild())
		}
		return help(cmd, args)
	}
}

func printVersion(cmd *cobra.Command, b build) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), "shorepass", b)
	return err
}

// thisBuild reads the build information that the Go toolchain wrote into the binary.
func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}
