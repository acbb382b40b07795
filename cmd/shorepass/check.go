package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"shorepass/policy"
	"shorepass/providers"
)

// liveLimit is how long check --live waits for all providers together.
const liveLimit = 15 * time.Second

// checked is what check prints.
type checked struct {
	Config    string    `json:"config"`
	Providers []finding `json:"providers"`
	Services  []string  `json:"services"`
	Rules     int       `json:"rules"`
	Warnings  []string  `json:"warnings,omitempty"`
}

// finding is what one provider said of itself; without --live nothing.
type finding struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Found []string `json:"found,omitempty"`
	Error string   `json:"error,omitempty"`
}

func newCheck(o *options) *cobra.Command {
	var live, asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Hold the configuration against its files and, with --live, its peers",
		Long: "Reads the configuration and every file it names as serve would, and prints each\n" +
			"fault with file, line, key and cure. With --live it connects to each provider and\n" +
			"the store and says what it found. It changes nothing.",
		Example: "  shorepass check --config shorepass.toml --live",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := o.path()
			if err != nil {
				return err
			}
			cfg, err := o.load()
			if err != nil {
				return err
			}
			result, err := check(cmd.Context(), path, cfg, live)
			if asJSON {
				return errors.Join(printJSON(cmd.OutOrStdout(), result), err)
			}
			result.print(cmd.OutOrStdout())
			return err
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "connect to each provider and say what was found")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// check builds all that serve would build. The error says which providers
// cannot be reached.
func check(ctx context.Context, path string, cfg *settled, live bool) (*checked, error) {
	quiet := slog.New(slog.DiscardHandler)
	chain, err := newChain(cfg, providers.NewLocalCounters(time.Now), quiet)
	if err != nil {
		return nil, err
	}
	defer chain.Close()
	if _, err := policy.Compile(cfg.Rules); err != nil {
		return nil, err
	}
	if missing, err := rootIsMissing(cfg); err != nil {
		return nil, err
	} else if !missing { // else the first start makes it
		if _, err := newIssuer(cfg, quiet); err != nil {
			return nil, err
		}
	}
	result := &checked{Config: path, Services: cfg.Token.Services, Rules: len(cfg.Rules)}
	result.Warnings = append(append(result.Warnings, cfg.Warnings...), chain.Warnings()...)
	if !live {
		for _, p := range cfg.Providers {
			result.Providers = append(result.Providers, finding{Name: p.Name, Kind: p.Kind})
		}
		return result, nil
	}
	ctx, cancel := context.WithTimeout(ctx, liveLimit)
	defer cancel()
	var unreachable []error
	for _, p := range chain.Ping(ctx) {
		f := finding{Name: p.Provider, Kind: p.Kind, Found: p.Found}
		if p.Err != nil {
			f.Error = p.Err.Error()
			unreachable = append(unreachable, fmt.Errorf("provider %q cannot be reached: %w", p.Provider, p.Err))
		}
		result.Providers = append(result.Providers, f)
	}
	return result, errors.Join(unreachable...)
}

func (c *checked) print(w io.Writer) {
	if c == nil {
		return
	}
	fmt.Fprintf(w, "%s is good: %d providers, %d services, %d rules\n", c.Config, len(c.Providers), len(c.Services), c.Rules)
	for _, p := range c.Providers {
		fmt.Fprintf(w, "  %s (%s)\n", p.Name, p.Kind)
		for _, line := range p.Found {
			fmt.Fprintf(w, "    %s\n", line)
		}
		if p.Error != "" {
			fmt.Fprintf(w, "    not reached: %s\n", p.Error)
		}
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
}
