package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"shorepass/config"
)

// rejectUnknown makes an unknown subcommand an error, for cmd and all commands below it.
// By itself cobra does so only at the root; below it, and as the argument of help, it
// prints a help text and exits with 0. A command that only groups others still prints its
// help when it is called alone.
func rejectUnknown(cmd *cobra.Command) {
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return unknownSubcommand(cmd, args) }
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, sub := range cmd.Commands() {
		rejectUnknown(sub)
	}
}

// helpTopic is the cobra.PositionalArgs of help: the arguments must name a command.
func helpTopic(help *cobra.Command, args []string) error {
	cmd, rest, err := help.Root().Find(args)
	if err != nil {
		return err
	}
	return unknownSubcommand(cmd, rest)
}

// unknownSubcommand returns the error for args[0], which is not a subcommand of cmd, with
// the subcommands that were probably meant. It returns nil without args.
func unknownSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra's default, which it sets only at the root
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q for %q; did you mean %s?", args[0], cmd.CommandPath(), strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q for %q; %[2]s --help lists the commands", args[0], cmd.CommandPath())
}

// flagError is the cobra flag error function: it names the flag that was probably meant,
// or says where the flags are listed, if one is unknown.
func flagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := config.Closest(unknown.GetSpecifiedName(), names); near != "" && unknown.GetSpecifiedShortnames() == "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
}
