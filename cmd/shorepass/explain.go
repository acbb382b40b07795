package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"shorepass/config"
	"shorepass/policy"
	"shorepass/providers"
)

// explainFlags are the flags of explain.
type explainFlags struct {
	question policy.Case
	claims   []string
	authTime string
	scopes   []string
	cases    string
	isLive   bool
	exitCode bool
	asJSON   bool
}

func newExplain(o *options) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Explain which rule grants or denies an action",
		Long: "Decides as the server does and prints for each action the rule that grants or denies\n" +
			"it. With --cases it checks the policy against a file of expected decisions instead,\n" +
			"and fails if one differs. The flags describe the user, and no provider is asked.\n\n" +
			"With --live it asks the providers instead, with the configuration's service accounts\n" +
			"and without the user's password: which provider answers, which groups it has and what\n" +
			"becomes of each, whether a login would be refused and why, and then the rules.\n" +
			"It asks them itself and not a running server, and counts and changes nothing.\n\n" +
			"It exits with 0, and with 1 on an error, such as a provider that does not answer. With\n" +
			"--exit-code it exits with 2 if anything requested is denied, or a login is refused.",
		Example: "  shorepass explain --user alice --group team-blue --scope repository:team-blue/app:pull,push\n" +
			"  shorepass explain --scope repository:public/app:pull          # without credentials\n" +
			"  shorepass explain --live --user alice --scope repository:team-blue/app:pull\n" +
			"  shorepass explain --cases policy-cases.toml",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.isLive {
				return f.live(cmd.Context(), cmd.OutOrStdout(), o)
			}
			if f.cases != "" && f.exitCode {
				return errors.New("--cases fails by itself if a decision differs; leave --exit-code out")
			}
			cfg, err := o.load(config.OnlySecrets())
			if err != nil {
				return err
			}
			if f.cases != "" {
				return f.checkCases(cmd.OutOrStdout(), cfg)
			}
			return f.explain(cmd.OutOrStdout(), cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.question.User, "user", "", "the user `name`; without it the request is anonymous")
	flags.StringArrayVar(&f.question.Groups, "group", nil, "a group of the user; repeatable")
	flags.StringArrayVar(&f.question.Unsure, "unsure", nil, "a group that the user may or may not be in, \"*\" for any; repeatable")
	flags.StringArrayVar(&f.claims, "claim", nil, "a claim as `NAME=VALUE`; a value that is not JSON is a string; repeatable")
	flags.StringVar(&f.question.Provider, "provider", "", "the user's provider, for rules that name providers; it decides whether case matters in names")
	flags.StringVar(&f.question.Method, "method", "", "how the user logged in: password (default), refresh, id_token, browser, pat or robot")
	flags.StringVar(&f.question.ACR, "acr", "", "the acr of the login, as the provider says it")
	flags.StringArrayVar(&f.question.AMR, "amr", nil, "an amr of the login, such as mfa; repeatable")
	flags.StringVar(&f.authTime, "auth-time", "", "when the user authenticated, a `time` such as 2026-05-01T08:00:00Z; now without it")
	flags.StringVar(&f.question.Service, "service", "", "the service, a registry of token.services")
	flags.StringVar(&f.question.Address, "address", "", "the client's address; unknown without it")
	flags.StringArrayVar(&f.scopes, "scope", nil, "a requested scope, such as repository:team/app:pull,push; repeatable")
	flags.StringVar(&f.cases, "cases", "", "a `file` of expected decisions, in TOML")
	flags.BoolVar(&f.isLive, "live", false, "ask the providers about --user, a login name as typed")
	flags.BoolVar(&f.exitCode, "exit-code", false, "exit with 2 if anything requested is denied")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

// loginMethods are the values of --method.
var loginMethods = []string{"password", "refresh", "id_token", "browser", "pat", "robot"}

// checkNames returns an error if a flag has a name that the configuration does not know:
// the rules would then decide about a request that cannot occur.
func (f *explainFlags) checkNames(cfg *config.Config) error {
	for _, flag := range []struct {
		name, value string
		known       []string
	}{
		{"provider", f.question.Provider, providerNames(cfg)},
		{"method", f.question.Method, loginMethods},
		{"service", f.question.Service, cfg.Token.Services},
	} {
		if flag.value != "" && !slices.Contains(flag.known, flag.value) {
			if near := config.Closest(flag.value, flag.known); near != "" {
				return fmt.Errorf("--%s %q is unknown; did you mean %q?", flag.name, flag.value, near)
			}
			return fmt.Errorf("--%s %q is unknown; write one of %s", flag.name, flag.value, strings.Join(flag.known, ", "))
		}
	}
	return nil
}

func (f *explainFlags) explain(w io.Writer, cfg *config.Config) error {
	if err := f.checkNames(cfg); err != nil {
		return err
	}
	request, err := f.request(cfg)
	if err != nil {
		return err
	}
	explanation := cfg.Policy.Explain(request)
	if f.asJSON {
		err = printJSON(w, explanation)
	} else {
		_, err = fmt.Fprint(w, explanation, f.omitted(cfg.Rules))
	}
	if err == nil && f.exitCode && !explanation.GrantsAll() {
		return errDenied
	}
	return err
}

// omitted returns a note for each flag whose absence keeps rules from being matched: a
// deny rule for the people of one provider would be passed over without a word.
func (f *explainFlags) omitted(rules []policy.Rule) string {
	var notes strings.Builder
	for _, flag := range []struct {
		name    string
		missing bool
		in      func(policy.Rule) []string
	}{
		{"provider", f.question.User != "" && f.question.Provider == "", func(r policy.Rule) []string { return r.Providers }},
		{"service", f.question.Service == "", func(r policy.Rule) []string { return r.Services }},
	} {
		if flag.missing && slices.ContainsFunc(rules, func(r policy.Rule) bool { return flag.in(r) != nil }) {
			fmt.Fprintf(&notes, "note: rules that name %ss were passed over; name one with --%[1]s\n", flag.name)
		}
	}
	return notes.String()
}

// errDenied is the result of explain --exit-code where something requested is denied.
// main exits with exitDenied and prints nothing.
var errDenied = errors.New("denied")

// request returns the request that the flags describe.
func (f *explainFlags) request(cfg *config.Config) (policy.Request, error) {
	f.question.Scope = strings.Join(f.scopes, " ")
	for _, claim := range f.claims {
		name, text, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return policy.Request{}, fmt.Errorf("--claim %q is not NAME=VALUE; write for example --claim team=blue", claim)
		}
		if f.question.Claims == nil {
			f.question.Claims = map[string]any{}
		}
		value, err := providers.DecodeClaim([]byte(text))
		if err != nil {
			value = text
		}
		f.question.Claims[name] = value
	}
	if f.authTime != "" {
		at, err := time.Parse(time.RFC3339, f.authTime)
		if err != nil {
			return policy.Request{}, fmt.Errorf("--auth-time %q is not a time; write for example --auth-time 2026-05-01T08:00:00Z", f.authTime)
		}
		f.question.AuthTime = at
	}
	return f.question.Request(cfg.FoldsCase)
}

// checkCases checks the policy against the file of expected decisions. A file without
// cases is an error, since a check of nothing must not pass.
func (f *explainFlags) checkCases(w io.Writer, cfg *config.Config) error {
	text, err := os.Open(f.cases)
	if err != nil {
		return err
	}
	defer text.Close()
	var file struct {
		Cases []policy.Case `toml:"case"`
	}
	if err := toml.NewDecoder(text).DisallowUnknownFields().Decode(&file); err != nil {
		if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
			return fmt.Errorf("%s: unknown keys; remove or correct them:\n%s", f.cases, strict.String())
		}
		return fmt.Errorf("%s: %w", f.cases, err)
	}
	if len(file.Cases) == 0 {
		return fmt.Errorf("%s has no [[case]]; add one, or leave --cases out", f.cases)
	}
	failed := cfg.Policy.CheckCases(file.Cases, cfg.FoldsCase)
	if f.asJSON {
		if err := printJSON(w, failed); err != nil {
			return err
		}
	} else {
		for _, c := range failed {
			fmt.Fprintf(w, "%s: %s\n%s", c.Case, c.Problem, indent(c.Explanation.String()))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d cases differ", len(failed), len(file.Cases))
	}
	if !f.asJSON {
		fmt.Fprintf(w, "%d cases hold\n", len(file.Cases))
	}
	return nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}
