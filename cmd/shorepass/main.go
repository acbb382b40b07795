// Command shorepass is a token server between a company's identities and its
// container registries.
//
//	shorepass serve             answer token requests
//	shorepass check             check the configuration, its files and its peers
//	shorepass explain           explain which rule grants or denies an action, and to whom
//	shorepass sessions          list and end sessions, re-encrypt their tokens
//	shorepass unlock            forget the wrong passwords of a login name
//	shorepass keys              make the root that registries trust; show what signs
//	shorepass hash              hash a local user's password
//	shorepass registry-config   print the block that a registry needs
//	shorepass import            translate the configuration of another token server
//	shorepass config            show the effective configuration
//	shorepass support           print what a bug report needs, without secrets
//	shorepass version           print the version
//
// This package parses flags, wires the packages together and prints.
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
	"strings"
	"syscall"
	_ "time/tzdata" // time zones for conditions, since the system may have none

	"github.com/spf13/cobra"

	"shorepass/server"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stderr := server.NewSink(os.Stderr) // a reader of the log that stops must block neither the server nor its shutdown
	defer stderr.Close()
	log.SetOutput(libraryLog{stderr})
	root := newRoot()
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errDenied) {
		fmt.Fprintln(stderr, "shorepass:", escapeControls(strings.ReplaceAll(err.Error(), "\n", "\n  ")))
	}
	return exitCodeOf(err)
}

// defaultConfigs are the configuration files to try, in this order, without --config.
var defaultConfigs = []string{"shorepass.toml", "/etc/shorepass/shorepass.toml"}

// options are the flags of all commands.
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
		newServe(&o), newCheck(&o), newExplain(&o), newSessions(&o), newPeople(&o), newUnlock(&o),
		newKeys(&o), newHash(), newRegistryConfig(&o), newImport(), newConfig(&o), newSupport(&o), newVersion(),
	)
	addCompletions(root, &o)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = helpTopic
	}
	rejectUnknown(root)
	root.SetFlagErrorFunc(flagError)
	addVersionFlag(root)
	return root
}

// path returns the path of the configuration file.
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

// printJSON writes the output of --json.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // a DN or a filter may have "&" and "<"
	return encoder.Encode(value)
}
