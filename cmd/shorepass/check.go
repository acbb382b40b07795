package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"shorepass/config"
	"shorepass/providers"
	"shorepass/registry"
	"shorepass/server"
	"shorepass/throttle"
)

// liveTimeout is the timeout of check --live, for all providers and the store together.
const liveTimeout = 15 * time.Second

// checkResult is the output of check, with faults and without.
type checkResult struct {
	Config    string       `json:"config"`
	Good      bool         `json:"good"`     // no fault among all findings; check exits with 0
	Findings  []finding    `json:"findings"` // of the configuration and its files
	Providers []partResult `json:"providers,omitempty"`
	Store     *partResult  `json:"store,omitempty"`
	Audit     *partResult  `json:"audit,omitempty"`    // only with --live and a syslog collector
	ACME      *partResult  `json:"acme,omitempty"`     // only with server.acme
	Pages     *partResult  `json:"pages,omitempty"`    // only where they are served
	Registry  *partResult  `json:"registry,omitempty"` // only with --registry
	Services  []string     `json:"services,omitempty"`
	Rules     int          `json:"rules"`
}

// finding is a warning or a fault of the configuration.
type finding struct {
	Severity providers.Severity `json:"severity"`
	File     string             `json:"file,omitempty"`
	Line     int                `json:"line,omitempty"`
	Key      string             `json:"key,omitempty"` // dotted, counted from 0: "provider[1].users.filter"
	Text     string             `json:"text"`
}

// partResult has the findings about a provider, the store or a registry. Without --live
// only the name and the kind of the first two are known.
type partResult struct {
	Name     string             `json:"name"`
	Kind     string             `json:"kind"`
	Findings providers.Findings `json:"findings,omitempty"`
}

func newCheck(o *options) *cobra.Command {
	var live, asJSON bool
	var registryURL string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and its files and, with --live, the providers and the store",
		Long: "Loads the configuration and every file that it names, as serve does, checks that serve\n" +
			"can create and write its files, and prints each fault with file, line, key and cure.\n" +
			"With --live it also connects to each provider and to the store, and prints what they\n" +
			"report. With --registry it asks a registry as its clients do, presents tokens that grant\n" +
			"nothing, and says which setting there or here is wrong. It changes nothing. It exits with\n" +
			"1 if there is a fault, and with 0 if there are only warnings.",
		Example: "  shorepass check --config shorepass.toml --live\n" +
			"  shorepass check --registry https://registry.corp.example\n" +
			"  shorepass check --json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked := &registryURL
			if !cmd.Flags().Changed("registry") {
				asked = nil
			}
			result, err := check(cmd.Context(), o, live, asked)
			notifyOfCheck(err)
			if asJSON {
				return errors.Join(printJSON(cmd.OutOrStdout(), result), err)
			}
			result.print(cmd.OutOrStdout())
			return err
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "connect to each provider and to the store, and print what they report")
	cmd.Flags().StringVar(&registryURL, "registry", "", "the `URL` of a registry, to compare with the configuration")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, also where there are faults")
	return cmd
}

// check loads the configuration, and checks it. The error is the one with which serve
// would fail, or says which peer cannot be reached; the result has it as findings. A nil
// registryURL asks no registry.
func check(ctx context.Context, o *options, live bool, registryURL *string) (*checkResult, error) {
	result := &checkResult{Config: o.config, Findings: []finding{}}
	path, err := o.path()
	if err != nil {
		return result, result.add(err)
	}
	result.Config = path
	err = result.checkFile(ctx, o, live, registryURL)
	result.Good = err == nil
	return result, err
}

// checkFile loads the configuration and builds what serve builds.
func (c *checkResult) checkFile(ctx context.Context, o *options, live bool, registryURL *string) error {
	cfg, err := o.loadAll()
	if err != nil {
		return c.add(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	limits := throttle.New(throttle.NewMemoryStore(), make([]byte, 32), throttleConfig(cfg), quiet) // for no login
	defer limits.Close()
	chain, err := newChain(cfg, limits, providers.Options{Log: quiet})
	if err != nil {
		return c.add(err)
	}
	defer chain.Close()
	store, err := newBackend(cfg.Session)
	if err != nil {
		return c.add(providers.WithKey("session.store", err))
	}
	for _, warning := range cfg.Warnings {
		c.Findings = append(c.Findings, finding{providers.SeverityWarning, warning.File, warning.Line, warning.Key, warning.Problem})
	}
	for _, warning := range chain.Warnings() {
		c.Findings = append(c.Findings, finding{Severity: providers.SeverityWarning, Text: warning})
	}
	c.Services, c.Rules, c.Store = cfg.Token.Services, len(cfg.Rules), &partResult{Name: "store", Kind: store.kind()}
	for _, p := range cfg.Providers {
		c.Providers = append(c.Providers, partResult{Name: p.Name, Kind: p.Kind})
	}
	broken := store.check()
	issuer, keys := checkKeys(cfg)
	files := errors.Join(keys, checkListen(cfg), checkTLS(cfg), checkAudit(cfg), broken)
	if files != nil {
		files = c.add(files)
	}
	files = errors.Join(files, c.checkCertificates(cfg, issuer), c.checkACME(cfg), c.checkPages(cfg))
	if registryURL != nil && keys == nil {
		files = errors.Join(files, c.askRegistry(ctx, cfg, *registryURL))
	}
	if !live {
		return files
	}
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	err = c.askProviders(ctx, chain)
	if err == nil {
		c.warnOfGroups(ctx, cfg, chain)
	}
	err = errors.Join(files, err, c.askACME(ctx, cfg), c.askCollector(ctx, cfg))
	if broken == nil {
		err = errors.Join(err, c.inspectStore(ctx, store))
	}
	return err
}

// add adds the faults that err joins, and returns them with their keys.
func (c *checkResult) add(err error) error {
	if parts := joined(err); parts != nil {
		for i, part := range parts {
			parts[i] = c.add(part)
		}
		return errors.Join(parts...)
	}
	found := finding{Severity: providers.SeverityFault, Key: providers.KeyOf(err), Text: err.Error()}
	if fault, ok := errors.AsType[*config.Fault](err); ok {
		found = finding{providers.SeverityFault, fault.File, fault.Line, fault.Key, fault.Problem}
	}
	c.Findings = append(c.Findings, found)
	return nameKeys(err)
}

// nameKeys returns err with the key in the text of each error that it joins, where
// [providers.WithKey] gave one.
func nameKeys(err error) error {
	if parts := joined(err); parts != nil {
		for i, part := range parts {
			parts[i] = nameKeys(part)
		}
		return errors.Join(parts...)
	}
	if key := providers.KeyOf(err); key != "" {
		return fmt.Errorf("%s: %w", key, err)
	}
	return err
}

// joined returns the errors of an [errors.Join], or nil. An error that wraps several in
// one sentence is none.
func joined(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(several.Unwrap()...).Error() != err.Error() {
		return nil
	}
	return slices.Clone(several.Unwrap())
}

// checkKeys reads the keys that sign tokens, except a root that the first start makes. The
// issuer is nil where that is missing.
func checkKeys(cfg *resolvedConfig) (*registry.Issuer, error) {
	missing, err := rootIsMissing(cfg)
	if err != nil {
		return nil, err
	}
	if missing {
		return nil, registry.CheckWithoutRoot(cfg.Token, cfg.Services)
	}
	return newIssuer(cfg, slog.New(slog.DiscardHandler))
}

// checkListen checks that the address to listen on is one of this machine. It listens at
// another port, since a server may be running. A host name is not resolved.
func checkListen(cfg *resolvedConfig) error {
	host, port, _ := net.SplitHostPort(cfg.Server.Listen)
	if _, err := netip.ParseAddr(host); err != nil {
		return nil
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return providers.WithKey("server.listen", fmt.Errorf("no interface of this machine has the address %s; write %q for every address", host, ":"+port))
	}
	if err == nil {
		err = listener.Close()
	}
	return err
}

func checkTLS(cfg *resolvedConfig) error {
	if _, err := cfg.Server.TLS.Server(); err != nil {
		return providers.WithKey("server.tls", err)
	}
	return nil
}

func checkAudit(cfg *resolvedConfig) error {
	if err := cfg.Audit.Check(); err != nil {
		return providers.WithKey("audit.to", err)
	}
	return nil
}

// askCollector adds whether the syslog collector of the audit log takes connections.
func (c *checkResult) askCollector(ctx context.Context, cfg *resolvedConfig) error {
	if !cfg.Audit.IsRemote() {
		return nil
	}
	c.Audit = &partResult{Name: cfg.Audit.To, Kind: "audit"}
	err := cfg.Audit.Ping(ctx)
	if err == nil {
		c.Audit.Findings = append(c.Audit.Findings, providers.Infof("the collector takes connections"))
		return nil
	}
	c.Audit.Findings = append(c.Audit.Findings, providers.Faultf("audit.to", "%v", err))
	return fmt.Errorf("audit.to: %w", err)
}

// checkPages adds where people sign in with a browser, and for which registries.
func (c *checkResult) checkPages(cfg *resolvedConfig) error {
	page, err := server.CheckPages(cfg.Server, cfg.Services, cfg.Pages)
	if err != nil {
		return c.add(err)
	}
	if page == "" {
		return nil
	}
	c.Pages = &partResult{Name: page, Kind: "sign-in page"}
	for _, s := range cfg.Services {
		if len(s.Hosts) > 0 && !s.Disabled {
			c.Pages.Findings = append(c.Pages.Findings, providers.Infof("for the service %q, which people call %s", s.Name, strings.Join(s.Hosts, ", ")))
		}
	}
	return nil
}

func (c *checkResult) askProviders(ctx context.Context, chain *providers.Chain) error {
	var faults []error
	for i, p := range chain.Ping(ctx) {
		c.Providers[i].Findings = p.Findings
		faults = append(faults, faultsOf(fmt.Sprintf("provider %q", p.Provider), p.Findings)...)
	}
	return errors.Join(faults...)
}

// faultsOf returns the faults among the findings about a peer as errors, with their keys.
func faultsOf(peer string, findings providers.Findings) []error {
	var faults []error
	for _, fault := range findings.Faults() {
		text := fault.Text
		if fault.Key != "" {
			text = fault.Key + ": " + text
		}
		faults = append(faults, fmt.Errorf("%s: %s", peer, text))
	}
	return faults
}

func (c *checkResult) inspectStore(ctx context.Context, store backend) error {
	found, err := store.inspect(ctx)
	for _, line := range found {
		c.Store.Findings = append(c.Store.Findings, providers.Infof("%s", line))
	}
	if err == nil {
		return nil
	}
	c.Store.Findings = append(c.Store.Findings, providers.Faultf("session.store", "cannot be reached: %v", err))
	return fmt.Errorf("session.store: %w", err)
}

// print prints what was found. The faults of the configuration are not printed: they are
// in the error of check.
func (c *checkResult) print(w io.Writer) {
	if c.Store == nil {
		return // the configuration could not be read
	}
	w = terminal{w}
	state := "is good"
	if !c.Good {
		state = "has faults"
	}
	fmt.Fprintf(w, "%s %s: %d providers, %d services, %d rules\n", c.Config, state, len(c.Providers), len(c.Services), c.Rules)
	parts := append(slices.Clone(c.Providers), *c.Store)
	if c.Audit != nil {
		parts = append(parts, *c.Audit)
	}
	if c.ACME != nil {
		parts = append(parts, *c.ACME)
	}
	if c.Pages != nil {
		parts = append(parts, *c.Pages)
	}
	if c.Registry != nil {
		parts = append(parts, *c.Registry)
	}
	for _, part := range parts {
		fmt.Fprintf(w, "  %s (%s)\n", part.Name, part.Kind)
		for _, found := range part.Findings {
			fmt.Fprint(w, indent(indent(found.String())))
		}
	}
	for _, found := range c.Findings {
		if found.Severity == providers.SeverityWarning {
			fmt.Fprintf(w, "warning: %s\n", found)
		}
	}
}

// String returns the finding in the form of a [config.Fault], without a key that the text
// names.
func (f finding) String() string {
	switch {
	case f.File == "" && (f.Key == "" || strings.Contains(f.Text, f.Key)):
		return f.Text
	case f.File == "":
		return f.Key + ": " + f.Text
	}
	return (&config.Fault{File: f.File, Line: f.Line, Key: f.Key, Problem: f.Text}).Error()
}
