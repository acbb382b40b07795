package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version and revision are set by the linker, see the Makefile. Where they are empty, as
// after "go install", the build information of the Go toolchain stands in.
var version, revision string

// build is the output of version.
type build struct {
	Version  string `json:"version"`            // a tag, a pseudo-version of Go, or "(devel)"
	Revision string `json:"revision,omitempty"` // the commit
	Modified bool   `json:"modified,omitempty"` // files differ from the commit
	Go       string `json:"go"`
	Platform string `json:"platform"` // the operating system and the processor: "linux/amd64"
}

func (b build) String() string {
	words := []string{b.Version}
	if b.Revision != "" {
		words = append(words, b.Revision)
	}
	if b.Modified {
		words = append(words, "modified")
	}
	return strings.Join(append(words, b.Go, b.Platform), " ")
}

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

// thisBuild returns what is known of this binary.
func thisBuild() build {
	info, _ := debug.ReadBuildInfo()
	return describeBuild(version, revision, info)
}

// describeBuild returns the build of a version and a revision, and of the toolchain's
// information, nil if there is none, where these are empty.
func describeBuild(version, revision string, info *debug.BuildInfo) build {
	b := build{Version: version, Revision: revision, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		b.Version = cmp.Or(b.Version, info.Main.Version)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = cmp.Or(b.Revision, s.Value)
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	b.Version = cmp.Or(b.Version, "(devel)")
	b.Modified = b.Modified || strings.HasSuffix(b.Version, "+dirty")
	return b
}
