package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shorepass/providers"
	"shorepass/session"
)

func newPeople(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "people",
		Short: "List the people in the store, delete what it has of one",
		Long: "A person is one account at a provider. The store has a person from the first login that\n" +
			"made a session until session.remember_people after the last session ended. These commands\n" +
			"open the store themselves, whether a server uses it or not. They neither create nor\n" +
			"migrate it, and of the secrets they read only the store's.",
	}
	cmd.AddCommand(newPeopleList(o), newPeopleForget(o))
	return cmd
}

// personRow is one person as list prints it.
type personRow struct {
	User     string    `json:"user"`
	Provider string    `json:"provider"`
	Subject  string    `json:"subject"`
	LastSeen time.Time `json:"last_seen"`
	Sessions int       `json:"sessions"` // live ones
}

func newPeopleList(o *options) *cobra.Command {
	var user, provider string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List people by user name, with their live sessions",
		Example: "  shorepass people list --provider corp\n  shorepass people list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd.Context(), o, func(a *session.Admin) error {
				found, err := listPeople(cmd.Context(), a, user, provider)
				if err != nil {
					return err
				}
				rows := make([]personRow, len(found))
				for i, p := range found {
					rows[i] = personRow{User: p.User, Provider: p.Provider, Subject: p.Subject, LastSeen: p.LastSeen, Sessions: p.Live}
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), rows)
				}
				return printPeople(cmd.OutOrStdout(), rows)
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "people with this user `name`")
	cmd.Flags().StringVar(&provider, "provider", "", "people of this provider")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// forgottenRow is one person as forget prints it.
type forgottenRow struct {
	User     string `json:"user"`
	Provider string `json:"provider"`
	Subject  string `json:"subject"`
	Ended    int    `json:"ended"`  // sessions
	Tokens   int    `json:"tokens"` // refresh tokens of the provider that a server has revoked
}

func newPeopleForget(o *options) *cobra.Command {
	var provider string
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "forget USER",
		SuggestFor: []string{"delete", "remove", "erase"},
		Short:      "Delete all that the store has of a person",
		Long: "Ends all sessions of the person with this user name, and deletes the person, their\n" +
			"sign-ins, sessions, one-time passwords, groups and claims from the store. A server on the\n" +
			"store has the provider revoke the person's refresh tokens within minutes; until then the\n" +
			"store has these, encrypted, with provider and subject. The rate limit of wrong passwords\n" +
			"has no names, only MACs, which expire within a day. Audit lines and copies of the store are\n" +
			"not changed.\n\n" +
			"The person can log in again: to prevent that, disable the account at the provider.",
		Example: "  shorepass people forget alice\n  shorepass people forget alice --provider corp --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return errors.New("name one user, as in: shorepass people forget alice")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd.Context(), o, func(a *session.Admin) error {
				found, err := findPerson(cmd.Context(), a, args[0], provider)
				if err != nil {
					return err
				}
				var rows []forgottenRow
				for _, p := range found {
					done, err := a.Forget(cmd.Context(), p)
					if err != nil && !errors.Is(err, session.ErrNoPerson) { // another command may have deleted it
						return err
					}
					rows = append(rows, forgottenRow{User: p.User, Provider: p.Provider, Subject: p.Subject, Ended: done.Sessions, Tokens: done.Tokens})
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), rows)
				}
				printForgotten(cmd.OutOrStdout(), rows)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&provider, "provider", "", "the person of this provider")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// listPeople returns people by user name and provider, empty for all, in that order.
func listPeople(ctx context.Context, a *session.Admin, user, provider string) ([]session.Person, error) {
	found, err := a.ListPersons(ctx, user, provider)
	slices.SortFunc(found, func(a, b session.Person) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Subject, b.Subject))
	})
	return found, err
}

// findPerson returns the person with a user name, or the accounts that had it one after
// another at one provider. It refuses a name at several providers, unless one is given.
func findPerson(ctx context.Context, a *session.Admin, user, provider string) ([]session.Person, error) {
	found, err := listPeople(ctx, a, user, provider)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range found {
		names = append(names, p.Provider)
	}
	switch names = slices.Compact(names); {
	case len(names) == 0 && provider != "":
		return nil, fmt.Errorf("the store has no person with the user name %q of the provider %q; shorepass people list shows all", user, provider)
	case len(names) == 0:
		return nil, fmt.Errorf("the store has no person with the user name %q; shorepass people list shows all", user)
	case len(names) > 1:
		return nil, fmt.Errorf("the user name %q is of people of the providers %s; name one with --provider", user, providers.Quoted(names))
	}
	return found, nil
}

func printPeople(w io.Writer, rows []personRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "USER\tPROVIDER\tSUBJECT\tLAST SEEN\tSESSIONS")
	for _, r := range rows {
		fmt.Fprintf(t, "%q\t%s\t%q\t%s\t%d\n", r.User, r.Provider, r.Subject, formatTime(r.LastSeen), r.Sessions)
	}
	return t.Flush()
}

func printForgotten(w io.Writer, rows []forgottenRow) {
	for _, r := range rows {
		fmt.Fprintf(w, "deleted %q of %s, subject %q: %d sessions ended\n", r.User, r.Provider, r.Subject, r.Ended)
		if r.Tokens > 0 {
			fmt.Fprintf(w, "%d refresh tokens of %s are left, until a server has had them revoked there\n", r.Tokens, r.Provider)
		}
	}
}
