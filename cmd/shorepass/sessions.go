package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shorepass/internal/duration"
	"shorepass/providers"
	"shorepass/session"
)

func newSessions(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List and end sessions, re-encrypt their tokens",
		Long:  "A session is the record behind the refresh token that docker login stores. These\ncommands open the store themselves, whether a server uses it or not. They neither create\nnor migrate it, and of the secrets they read only the store's, and rekey the sealing key.",
	}
	cmd.AddCommand(newSessionsList(o), newSessionsRevoke(o), newSessionsRekey(o))
	return cmd
}

// sessionRow is one session as list prints it. It has no secret.
type sessionRow struct {
	ID       string    `json:"id"`
	User     string    `json:"user"`
	Provider string    `json:"provider"`
	Subject  string    `json:"subject"`
	Groups   []string  `json:"groups"`
	Kind     string    `json:"kind"`
	Service  string    `json:"service"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	LastUsed time.Time `json:"last_used,omitzero"`
	Checked  time.Time `json:"checked"`
	Address  string    `json:"address,omitempty"`
	Client   string    `json:"client,omitempty"`
	Ended    time.Time `json:"ended,omitzero"`
	Reason   string    `json:"reason,omitempty"`
	By       string    `json:"by,omitempty"` // who revoked it, if it was revoked
}

func newSessionsList(o *options) *cobra.Command {
	var chosen selection
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List sessions, the newest first",
		Example: "  shorepass sessions list --user alice\n  shorepass sessions list --ended --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd.Context(), o, func(a *session.Admin) error {
				found, err := a.List(cmd.Context(), chosen.selector(a.Now()))
				if err != nil {
					return err
				}
				rows := make([]sessionRow, len(found))
				for i, f := range found {
					rows[i] = newSessionRow(f)
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), rows)
				}
				return printSessions(cmd.OutOrStdout(), rows)
			})
		},
	}
	chosen.flags(cmd)
	cmd.Flags().BoolVar(&chosen.ended, "ended", false, "show sessions that have ended too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newSessionsRevoke(o *options) *cobra.Command {
	var chosen selection
	cmd := &cobra.Command{
		Use:        "revoke [ID…]",
		SuggestFor: []string{"end", "kill", "delete", "remove"},
		Short:      "End sessions immediately, on every replica",
		Long: "Ends the sessions with these ids, or all that the flags select. Their tokens are refused\n" +
			"from that moment. An access token that was issued before expires by itself within its\n" +
			"lifetime, and a cached password within a minute.",
		Example: "  shorepass sessions revoke 5klgeezbwidpry4w\n  shorepass sessions revoke --user alice\n  shorepass sessions revoke --group contractors --older-than 30d",
		RunE: func(cmd *cobra.Command, ids []string) error {
			if len(ids) == 0 && chosen.empty() {
				return errors.New("name the sessions to end: their ids, or --user, --provider, --group, --kind, --older-than")
			}
			if len(ids) > 0 && !chosen.empty() {
				return errors.New("the sessions are named by ids and by flags; use one of the two")
			}
			return withAdmin(cmd.Context(), o, func(a *session.Admin) error {
				ended := 0
				var without []string // ids that ended no session
				for _, sel := range chosen.selectors(ids, a.Now()) {
					n, err := a.Revoke(cmd.Context(), sel, commandLineUser())
					if err != nil {
						return errors.Join(err, fmt.Errorf("%d sessions had ended before", ended))
					}
					if n == 0 && sel.ID != "" {
						without = append(without, sel.ID)
					}
					ended += n
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d sessions ended\n", ended)
				switch {
				case len(without) > 0:
					return fmt.Errorf("no live session has the id %s; shorepass sessions list --ended shows those that have ended", providers.Quoted(without))
				case ended == 0:
					return errors.New("no live session matches")
				}
				return nil
			})
		},
	}
	chosen.flags(cmd)
	return cmd
}

func newSessionsRekey(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "rekey",
		Short: "Re-encrypt stored tokens with the first sealing key",
		Long: "Re-encrypts the providers' refresh tokens in the store with the first key of\n" +
			"session.seal_key. It is the fourth of five steps to replace a key while servers run:\n\n" +
			"  1. make a key: shorepass keys init --seal-key new.key\n" +
			"  2. give every replica both keys, the old one first, and restart it\n" +
			"  3. put the new key first on every replica, and restart it\n" +
			"  4. shorepass sessions rekey\n" +
			"  5. remove the old key\n\n" +
			"It skips tokens that the first key has sealed, so that it can be run again.",
		Example: "  shorepass sessions rekey",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd.Context(), o, []string{"session.seal_key"}, func(cfg session.Config, in store) error {
				keys, err := session.ReadKeys(cmd.Context(), cfg, in)
				if err != nil {
					return err
				}
				n, err := session.Rekey(cmd.Context(), in, keys)
				fmt.Fprintf(cmd.OutOrStdout(), "%d refresh tokens sealed anew\n", n)
				return err
			})
		},
	}
}

// selection is the flags of list and revoke that select sessions.
type selection struct {
	user, provider, group string
	kind                  kindFlag
	olderThan             durationFlag
	ended                 bool
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.user, "user", "", "sessions of this user `name`")
	cmd.Flags().StringVar(&s.provider, "provider", "", "sessions of this provider")
	cmd.Flags().StringVar(&s.group, "group", "", "sessions of people who were in this group when last checked")
	cmd.Flags().Var(&s.kind, "kind", "sessions of this kind: refresh, browser, pat or robot")
	cmd.Flags().Var(&s.olderThan, "older-than", "sessions that began longer ago than this, such as 30d or 12h")
}

// kindFlag is a flag whose value is a kind of session.
type kindFlag session.Kind

func (f *kindFlag) Set(text string) error {
	switch kind := session.Kind(text); kind {
	case session.KindRefresh, session.KindBrowser, session.KindPAT, session.KindRobot:
		*f = kindFlag(kind)
		return nil
	}
	return errors.New("there is no such kind; write refresh, browser, pat or robot")
}

func (f *kindFlag) String() string { return string(*f) }

func (f *kindFlag) Type() string { return "string" }

// durationFlag is a flag whose value is a duration as in the configuration, with days.
type durationFlag time.Duration

func (f *durationFlag) Set(text string) error {
	d, err := duration.Parse(text)
	if err != nil || d <= 0 {
		return errors.New("this is not a length of time; write one such as 30d or 12h")
	}
	*f = durationFlag(d)
	return nil
}

func (f *durationFlag) String() string {
	if *f == 0 {
		return "" // help then shows no default
	}
	return time.Duration(*f).String()
}

func (f *durationFlag) Type() string { return "duration" }

func (s *selection) empty() bool { return *s == selection{} }

func (s *selection) selector(now time.Time) session.Selector {
	sel := session.Selector{User: s.user, Provider: s.provider, Group: s.group, Kind: session.Kind(s.kind), Ended: s.ended}
	if s.olderThan > 0 {
		sel.Before = now.Add(-time.Duration(s.olderThan))
	}
	return sel
}

func (s *selection) selectors(ids []string, now time.Time) []session.Selector {
	if len(ids) == 0 {
		return []session.Selector{s.selector(now)}
	}
	var all []session.Selector
	for i, id := range ids {
		if slices.Index(ids, id) == i {
			all = append(all, session.Selector{ID: id})
		}
	}
	return all
}

// withAdmin calls do with an Admin of the configured store.
func withAdmin(ctx context.Context, o *options, do func(*session.Admin) error) error {
	return withStore(ctx, o, nil, func(cfg session.Config, in store) error {
		a, err := session.NewAdmin(ctx, cfg, in)
		if err != nil {
			return err
		}
		return do(a)
	})
}

// commandLineUser names the user of the command, as the list of ended sessions shows it.
func commandLineUser() string {
	u, err := user.Current()
	if err != nil {
		return "the command line"
	}
	return u.Username + " at the command line"
}

func newSessionRow(s session.Session) sessionRow {
	r := sessionRow{
		ID: s.ID, Kind: string(s.Kind), Service: s.Service, Created: s.Created, Expires: s.Expires,
		LastUsed: s.LastUsed, Checked: s.LastVouched, Client: s.Client.ID, Ended: s.Ended, Reason: string(s.Reason), By: s.By,
		User: s.Identity.User, Provider: s.Identity.Provider, Subject: s.Identity.Subject, Groups: s.Identity.Groups,
	}
	if s.Client.Address.IsValid() {
		r.Address = s.Client.Address.String()
	}
	return r
}

func printSessions(w io.Writer, rows []sessionRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tUSER\tPROVIDER\tKIND\tSERVICE\tCREATED\tLAST USED\tSTATE")
	for _, r := range rows {
		state := "ends " + formatTime(r.Expires)
		switch {
		case r.Reason != "" && r.Ended.IsZero():
			state = "refused, ends soon: " + r.Reason
		case r.Reason != "":
			state = "ended " + formatTime(r.Ended) + ": " + r.Reason
			if r.By != "" {
				state += fmt.Sprintf(" by %q", r.By)
			}
		}
		fmt.Fprintf(t, "%s\t%q\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.User, r.Provider, r.Kind, r.Service, formatTime(r.Created), formatTime(r.LastUsed), state)
	}
	return t.Flush()
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}
