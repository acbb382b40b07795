// Command shorepass is the token server that stands between a company's
// identities and its container registries.
//
//	shorepass serve             answer token requests
//	shorepass check             check the configuration, its files and its peers
//	shorepass explain           say which rule gives or takes what
//	shorepass sessions          list, end and reseal sessions
//	shorepass unlock            forget the wrong passwords of a login name
//	shorepass keys init         make the root that registries trust
//	shorepass hash              hash a local user's password
//	shorepass registry-config   print the block that a registry needs
//	shorepass version           print the version
//
// This package only reads flags, wires the packages together and prints.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // conditions may name time zones, also where the system has none

	"github.com/spf13/cobra"

	"shorepass/server"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stderr := server.NewSink(os.Stderr) // a log that nobody reads must not hold up the server, nor its end
	defer stderr.Close()
	log.SetOutput(libraryLog{stderr})
	root := newRoot()
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "shorepass:", err)
		return 1
	}
	return 0
}

// defaultConfigs are looked for in this order when --config is not given.
var defaultConfigs = []string{"shorepass.toml", "/etc/shorepass/shorepass.toml"}

// options are the flags that every command has.
type options struct {
	config string
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "shorepass",
		Short:         "The token server between your identities and your container registries",
		SilenceUsage:  true, // an error says what to do; the usage text would bury it
		SilenceErrors: true, // main prints it
	}
	var o options
	root.PersistentFlags().StringVar(&o.config, "config", "", "the configuration `file` (default: shorepass.toml here, then /etc/shorepass/shorepass.toml)")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newServe(&o), newCheck(&o), newExplain(&o), newSessions(&o), newUnlock(&o),
		newKeys(&o), newHash(), newRegistryConfig(&o), newVersion(),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = helpTopic
	}
	rejectUnknown(root)
	addVersionFlag(root)
	return root
}

// path returns the configuration file to read.
func (o *options) path() (string, error) {
	if o.config != "" {
		return o.config, nil
	}
	for _, candidate := range defaultConfigs {
		switch _, err := os.Stat(candidate); {
		case err == nil:
			return candidate, nil
		case !errors.Is(err, os.ErrNotExist):
			return "", err
		}
	}
	return "", fmt.Errorf("there is no configuration: neither %s nor %s exists; name one with --config", defaultConfigs[0], defaultConfigs[1])
}

// printJSON writes what every --json prints.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
