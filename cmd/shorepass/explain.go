package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

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
	scopes   []string
	cases    string
	asJSON   bool
}

func newExplain(o *options) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say which rule gives or takes what",
		Long: "Decides as the server would and says for each action which rule gave or took it.\n" +
			"With --cases it holds the policy against a file of expectations instead, and fails\n" +
			"where they differ. It asks no provider: who somebody is, the flags say.",
		Example: "  shorepass explain --user alice --group team-blue --scope repository:team-blue/app:pull,push\n" +
			"  shorepass explain --scope repository:public/app:pull          # without credentials\n" +
			"  shorepass explain --cases policy-cases.toml",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	flags.StringVar(&f.question.User, "user", "", "the user `name`; left out, somebody without credentials")
	flags.StringArrayVar(&f.question.Groups, "group", nil, "a group of the user; may be given again")
	flags.StringArrayVar(&f.question.Unsure, "unsure", nil, "a group that the user may or may not be in, \"*\" for any; may be given again")
	flags.StringArrayVar(&f.claims, "claim", nil, "a claim as `NAME=VALUE`; the value is JSON, or else a string")
	flags.StringVar(&f.question.Provider, "provider", "", "the provider that knows the user, and says whether case matters")
	flags.StringVar(&f.question.Method, "method", "", "how the user logged in: password (default), refresh, id_token, browser, pat or robot")
	flags.StringVar(&f.question.Service, "service", "", "the registry that asks")
	flags.StringVar(&f.question.Address, "address", "", "the client's address; left out, it is unknown")
	flags.StringArrayVar(&f.scopes, "scope", nil, "what is asked, such as repository:team/app:pull,push; may be given again")
	flags.StringVar(&f.cases, "cases", "", "a `file` of expectations, in TOML")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *explainFlags) explain(w io.Writer, cfg *config.Config) error {
	f.question.Scope = strings.Join(f.scopes, " ")
	for _, claim := range f.claims {
		name, text, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return fmt.Errorf("--claim %q is not NAME=VALUE", claim)
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
	request, err := f.question.Request(cfg.FoldsCase)
	if err != nil {
		return err
	}
	explanation := cfg.Policy.Explain(request)
	if f.asJSON {
		return printJSON(w, explanation)
	}
	_, err = fmt.Fprint(w, explanation)
	return err
}

// checkCases fails when an expectation is not met, or when there is none: a
// check that checks nothing must not pass.
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
			return fmt.Errorf("%s: unknown keys:\n%s", f.cases, strict.String())
		}
		return fmt.Errorf("%s: %w", f.cases, err)
	}
	if len(file.Cases) == 0 {
		return fmt.Errorf("%s holds no [[case]]", f.cases)
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
