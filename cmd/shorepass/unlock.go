package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/throttle"
)

func newUnlock(o *options) *cobra.Command {
	return &cobra.Command{
		Use:        "unlock NAME",
		SuggestFor: []string{"unblock", "reset"},
		Short:      "Forget the wrong passwords of a login name",
		Long: "Forgets the wrong passwords that were typed for a login name, and those of every account\n" +
			"that was tried with it, so that the next login reaches the provider. NAME is what the\n" +
			"person types, in any spelling, with or without a domain. Servers on the same store\n" +
			"follow immediately, their caches within 30 seconds. The directory's own counter is not\n" +
			"changed: an account that is locked there stays locked.",
		Example: "  shorepass unlock alice",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one login name, as in: shorepass unlock alice")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			login, err := providers.ParseLogin(args[0])
			if err != nil {
				return err
			}
			return withStore(cmd.Context(), o, []string{"session.seal_key"}, func(cfg session.Config, in store) error {
				keys, err := session.ReadKeys(cmd.Context(), cfg, in)
				if err != nil {
					return err
				}
				limits := throttle.New(in, keys.Derive(throttleKey), throttle.Config{}, slog.New(slog.DiscardHandler))
				defer limits.Close()
				emptied := 0
				for _, name := range login.WindowNames() {
					n, err := limits.Unlock(cmd.Context(), name)
					if err != nil {
						return fmt.Errorf("unlock %s: %w", login, err)
					}
					emptied += n
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d windows of wrong passwords emptied\n", emptied)
				return nil
			})
		},
	}
}
