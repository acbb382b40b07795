package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"shorepass/config"
	"shorepass/providers"
	"shorepass/registry"
	"shorepass/session"
)

// addCompletions completes the values of flags, in cmd and all commands below it. Files
// are offered for a flag whose value is one, and for an argument of a command that says so
// itself.
func addCompletions(cmd *cobra.Command, o *options) {
	if !cmd.HasSubCommands() && cmd.ValidArgsFunction == nil && cmd.ValidArgs == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		values := completions[f.Name]
		if own, ok := completions[cmd.Name()+" --"+f.Name]; ok {
			values = own
		}
		if value, _ := pflag.UnquoteUsage(f); value == "file" {
			return
		}
		// It fails only for a flag that does not exist, or has a completion.
		_ = cmd.RegisterFlagCompletionFunc(f.Name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			if values == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return values(o), cobra.ShellCompDirectiveNoFileComp
		})
	})
	for _, sub := range cmd.Commands() {
		addCompletions(sub, o)
	}
}

// completions are the values of flags: of every command that has one of this name, or of
// the command before it. The value of any other flag is free text.
var completions = map[string]func(*options) []string{
	"registry-config --registry": func(*options) []string {
		return []string{registry.Distribution2, registry.Distribution3, registry.GitLab, registry.Zot}
	},
	"method": func(*options) []string { return loginMethods },
	"kind": func(*options) []string {
		return []string{string(session.KindRefresh), string(session.KindBrowser), string(session.KindPAT), string(session.KindRobot)}
	},
	"provider":              fromConfig(providerNames),
	"docker_auth --service": func(*options) []string { return nil }, // not imported yet
	"service":               fromConfig(func(cfg *config.Config) []string { return cfg.Token.Services }),
	"group":                 fromConfig(groupsOfRules),
	"unsure":                fromConfig(groupsOfRules),
}

// fromConfig completes from the configuration. It reads no secret, and a configuration
// with a fault has no values. A pipe is not read, since the command itself will read it.
func fromConfig(values func(*config.Config) []string) func(*options) []string {
	return func(o *options) []string {
		path, err := o.path()
		if err != nil {
			return nil
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return nil
		}
		cfg, err := o.load(config.OnlySecrets())
		if err != nil {
			return nil
		}
		return values(cfg)
	}
}

func providerNames(cfg *config.Config) []string {
	names := make([]string, len(cfg.Providers))
	for i, p := range cfg.Providers {
		names[i] = p.Name
	}
	return names
}

// groupsOfRules returns the groups that rules name without a wildcard.
func groupsOfRules(cfg *config.Config) []string {
	var all []string
	for _, rule := range cfg.Rules {
		all = append(all, rule.Groups...)
	}
	all = slices.DeleteFunc(all, func(name string) bool {
		return strings.Contains(name, "*") || name == providers.GroupAnonymous || name == providers.GroupAuthenticated
	})
	slices.Sort(all)
	return slices.Compact(all)
}
