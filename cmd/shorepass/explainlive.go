package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"shorepass/config"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/throttle"
)

// liveExplanation is the output of explain --live.
type liveExplanation struct {
	Login string `json:"login"`
	*providers.Inspected
	LoginRefused bool                `json:"login_refused"` // by the account's state or the configuration, or since no provider has the account
	Decision     *policy.Explanation `json:"decision,omitempty"`
}

// live asks the providers about the user and explains what the rules grant to the
// identity that they return. It prints the answers before a provider that is unavailable.
func (f *explainFlags) live(ctx context.Context, w io.Writer, o *options) error {
	login, err := f.checkLive()
	if err != nil {
		return err
	}
	cfg, err := o.load(config.OnlySecrets("provider"))
	if err != nil {
		return err
	}
	if err := f.checkNames(cfg); err != nil {
		return err
	}
	var request policy.Request
	if len(f.scopes) > 0 { // without them the answers of the providers are the whole output
		if request, err = f.request(cfg); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	found, err := inspect(ctx, cfg, login, providers.Method(cmp.Or(f.question.Method, string(providers.MethodPassword))))
	if found == nil {
		return err
	}
	result := &liveExplanation{Login: string(login), Inspected: found, LoginRefused: isRefused(found)}
	if id := found.Identity; id != nil && len(request.Scopes) > 0 {
		request.User, request.Groups, request.Unsure, request.Claims = id.User, id.Groups, id.Unsure, id.Claims
		request.Provider, request.FoldsCase = id.Provider, id.FoldsCase
		decision := cfg.Policy.Explain(request)
		result.Decision = &decision
	}
	if f.asJSON {
		err = errors.Join(printJSON(w, result), err)
	} else {
		result.print(w)
	}
	switch {
	case err != nil || !f.exitCode:
		return err
	case found.Account == nil && !result.LoginRefused:
		return errors.New("what a login is granted is not known, since the provider cannot be asked about it")
	case result.LoginRefused || result.Decision != nil && !result.Decision.GrantsAll():
		return errDenied
	}
	return nil
}

// isRefused reports whether a login is refused for certain: not where the provider that
// would be asked cannot be asked now, nor where the person may sign in with a browser.
func isRefused(found *providers.Inspected) bool {
	if found.Account != nil {
		return len(found.Account.Refusals) > 0
	}
	return !slices.ContainsFunc(found.Asked, func(asked providers.AskedProvider) bool {
		return asked.Answer == providers.AnswerNotKnown || asked.Answer == providers.AnswerUnavailable || signsInWithBrowser(asked)
	})
}

// checkLive returns the login name of --user, or an error for flags that make no sense
// with --live.
func (f *explainFlags) checkLive() (providers.Login, error) {
	q := f.question
	switch {
	case q.User == "":
		return "", errors.New("--live asks the providers about a user; name one with --user, as typed at a login")
	case len(q.Groups)+len(q.Unsure)+len(f.claims) > 0 || q.Provider != "":
		return "", errors.New("with --live the provider says what --provider, --group, --unsure and --claim would; leave them out, or leave --live out")
	case q.Method == string(providers.MethodIDToken):
		return "", errors.New("--live asks about a login by password; an ID token says itself who its holder is")
	case f.cases != "":
		return "", errors.New("--cases describes its users itself; leave --live out")
	}
	return providers.ParseLogin(q.User)
}

// inspect asks the configured providers about a login name. It opens no store, and the
// throttle in memory counts nothing.
func inspect(ctx context.Context, cfg *config.Config, login providers.Login, method providers.Method) (_ *providers.Inspected, err error) {
	quiet := slog.New(slog.DiscardHandler)
	resolved := &resolvedConfig{Config: cfg}
	limits := throttle.New(throttle.NewMemoryStore(), make([]byte, 32), throttleConfig(resolved), quiet)
	defer limits.Close()
	chain, err := newChain(resolved, limits, providers.Options{Log: quiet})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	return chain.Inspect(ctx, login, method)
}

func (e *liveExplanation) print(w io.Writer) {
	w = terminal{w}
	for _, asked := range e.Asked {
		fmt.Fprintf(w, "provider %s (%s): %s\n", asked.Provider, asked.Kind, describeAnswer(asked))
	}
	if e.Account != nil {
		printAccount(w, e.Account)
	} else if !slices.ContainsFunc(e.Asked, endsChain) {
		fmt.Fprintln(w, e.conclusion())
	}
	if e.Decision != nil {
		fmt.Fprintln(w)
		if e.LoginRefused {
			fmt.Fprintln(w, "a login is refused; were it not, the rules would decide:")
		}
		fmt.Fprint(w, e.Decision)
	}
}

// conclusion says what follows where no provider that can be asked has the account.
func (e *liveExplanation) conclusion() string {
	if slices.ContainsFunc(e.Asked, signsInWithBrowser) {
		return "no provider that takes passwords has this account: a password is refused, and a sign-in with a browser may succeed"
	}
	return "no provider has this account; a login is refused"
}

// endsChain reports whether no later provider is asked.
func endsChain(asked providers.AskedProvider) bool {
	return asked.Answer != providers.AnswerNotMine && asked.Answer != providers.AnswerNotAsked && !signsInWithBrowser(asked)
}

// signsInWithBrowser reports whether people sign in at the provider with a browser alone.
func signsInWithBrowser(asked providers.AskedProvider) bool {
	return asked.Answer == providers.AnswerBrowser
}

func describeAnswer(asked providers.AskedProvider) string {
	switch asked.Answer {
	case providers.AnswerAccount:
		return "it has the account"
	case providers.AnswerNotAsked:
		return "not asked: " + asked.Text
	case providers.AnswerRefused:
		return "a login is refused: " + asked.Text
	}
	return asked.Text
}

func printAccount(w io.Writer, a *providers.InspectedAccount) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range []struct{ name, value string }{{"DN", a.DN}, {"user name", a.User}, {"subject", a.Subject}} {
		if row.value != "" {
			fmt.Fprintf(t, "  %s\t%s\n", row.name, printable(row.value))
		}
	}
	login := "not refused, if the password is right"
	for i, r := range a.Refusals {
		if i == 0 {
			login = ""
		} else {
			login += "; "
		}
		login += "refused: " + printable(r.Text)
		if r.EndsSessions {
			login += ", and sessions end"
		}
	}
	fmt.Fprintf(t, "  login\t%s\n", login)
	if len(a.RequireGroups) > 0 {
		fmt.Fprintf(t, "  require_groups\t%s\n", providers.Quoted(a.RequireGroups))
	}
	t.Flush()
	printInspectedGroups(w, a.Groups)
	for _, note := range a.Notes {
		fmt.Fprintf(w, "  note: %s\n", printable(note))
	}
}

// printInspectedGroups prints each group with its name in rules, its name and DN at the
// provider, and what became of it.
func printInspectedGroups(w io.Writer, groups []providers.InspectedGroup) {
	if len(groups) == 0 {
		fmt.Fprintln(w, "  no groups")
		return
	}
	sorted := slices.SortedFunc(slices.Values(groups), func(a, b providers.InspectedGroup) int {
		return cmp.Or(strings.Compare(a.Dropped, b.Dropped), strings.Compare(a.Name, b.Name), strings.Compare(a.DN, b.DN))
	})
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  GROUP IN RULES\tAT THE PROVIDER\tREMARK")
	for _, g := range sorted {
		remark := "" // with the tab before it, since an empty cell would be blanks
		switch {
		case g.Dropped != "":
			remark = "\tdropped: " + printable(g.Dropped)
		case g.Unsure != "":
			remark = "\tunsure: " + printable(g.Unsure)
		case g.Renamed:
			remark = "\trenamed"
		}
		provided := printable(g.Name)
		if g.DN != "" {
			provided = strings.TrimSpace(provided + " " + printable(g.DN))
		}
		fmt.Fprintf(t, "  %s\t%s%s\n", cmp.Or(printable(g.Group), "-"), provided, remark)
	}
	t.Flush()
}

// printable quotes a text of a provider that is not printable. A newline or a tab in it,
// which [terminal] passes, would forge a line or a column.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
