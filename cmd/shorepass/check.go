package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"shorepass/providers"
	"shorepass/registry"
	"shorepass/throttle"
)

// liveTimeout is the timeout of check --live, for all providers and the store together.
const liveTimeout = 15 * time.Second

// checkResult is the output of check.
type checkResult struct {
	Config    string       `json:"config"`
	Providers []partResult `json:"providers"`
	Store     partResult   `json:"store"`
	Services  []string     `json:"services"`
	Rules     int          `json:"rules"`
	Warnings  []string     `json:"warnings,omitempty"`
}

// partResult is the state of one provider or of the store. Without --live only its name
// and kind are known.
type partResult struct {
	Name     string             `json:"name"`
	Kind     string             `json:"kind"`
	Findings providers.Findings `json:"findings,omitempty"`
}

func newCheck(o *options) *cobra.Command {
	var live, asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and its files and, with --live, the providers and the store",
		Long: "Loads the configuration and every file that it names, as serve does, checks that serve\n" +
			"can create and write its files, and prints each fault with file, line, key and cure.\n" +
			"With --live it also connects to each provider and to the store, and prints what they\n" +
			"report. It changes nothing.",
		Example: "  shorepass check --config shorepass.toml --live",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := o.path()
			if err != nil {
				return err
			}
			cfg, err := o.loadAll()
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
	cmd.Flags().BoolVar(&live, "live", false, "connect to each provider and to the store, and print what they report")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// check builds what serve builds, and checks each file that serve opens. The error is
// the one with which serve would fail, or says which peer cannot be reached.
func check(ctx context.Context, path string, cfg *resolvedConfig, live bool) (*checkResult, error) {
	quiet := slog.New(slog.DiscardHandler)
	limits := throttle.New(throttle.NewMemoryStore(), make([]byte, 32), throttleConfig(cfg), quiet) // for no login
	defer limits.Close()
	chain, err := newChain(cfg, limits, providers.Options{Log: quiet})
	if err != nil {
		return nil, err
	}
	defer chain.Close()
	store, err := newBackend(cfg.Session)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkKeys(cfg), checkTLS(cfg), cfg.Audit.Check(), store.check()); err != nil {
		return nil, err
	}
	result := &checkResult{Config: path, Services: cfg.Token.Services, Rules: len(cfg.Rules), Store: partResult{Name: "store", Kind: store.kind()}}
	result.Warnings = append(append(result.Warnings, cfg.Warnings...), chain.Warnings()...)
	if !live {
		for _, p := range cfg.Providers {
			result.Providers = append(result.Providers, partResult{Name: p.Name, Kind: p.Kind})
		}
		return result, nil
	}
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	return result, errors.Join(result.askProviders(ctx, chain), result.inspectStore(ctx, store))
}

// checkKeys reads the keys that sign tokens, except a root that the first start makes.
func checkKeys(cfg *resolvedConfig) error {
	missing, err := rootIsMissing(cfg)
	if err != nil {
		return err
	}
	if missing {
		return registry.CheckWithoutRoot(cfg.Token, cfg.Services)
	}
	_, err = newIssuer(cfg, slog.New(slog.DiscardHandler))
	return err
}

func checkTLS(cfg *resolvedConfig) error {
	if _, err := cfg.Server.TLS.Server(); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

func (c *checkResult) askProviders(ctx context.Context, chain *providers.Chain) error {
	var faults []error
	for _, p := range chain.Ping(ctx) {
		c.Providers = append(c.Providers, partResult{Name: p.Provider, Kind: p.Kind, Findings: p.Findings})
		for _, fault := range p.Findings.Faults() {
			faults = append(faults, fmt.Errorf("provider %q: %s", p.Provider, fault.Text))
		}
	}
	return errors.Join(faults...)
}

func (c *checkResult) inspectStore(ctx context.Context, store backend) error {
	found, err := store.inspect(ctx)
	for _, line := range found {
		c.Store.Findings = append(c.Store.Findings, providers.Infof("%s", line))
	}
	if err != nil {
		c.Store.Findings = append(c.Store.Findings, providers.Faultf("", "cannot be reached: %v", err))
	}
	return err
}

func (c *checkResult) print(w io.Writer) {
	if c == nil {
		return
	}
	fmt.Fprintf(w, "%s is good: %d providers, %d services, %d rules\n", c.Config, len(c.Providers), len(c.Services), c.Rules)
	for _, f := range append(slices.Clone(c.Providers), c.Store) {
		fmt.Fprintf(w, "  %s (%s)\n", f.Name, f.Kind)
		for _, finding := range f.Findings {
			fmt.Fprintf(w, "    %s\n", finding)
		}
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
}
