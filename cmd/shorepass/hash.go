package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"shorepass/internal/secret"
	"shorepass/providers/file"
)

// maxTypedPassword bounds the password that hash reads, in bytes.
const maxTypedPassword = 4 << 10

func newHash() *cobra.Command {
	return &cobra.Command{
		Use:     "hash",
		Short:   "Hash a password read from standard input, for a local user",
		Long:    "Reads one password from standard input and prints its argon2id line (19 MiB, two passes) for\npassword = \"…\" in a [[provider.user]] table. A newline at the end is not part of the password.",
		Example: "  printf %s 'correct horse' | shorepass hash",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if isTerminal(cmd.InOrStdin()) {
				fmt.Fprintln(cmd.ErrOrStderr(), "Type the password, which is shown, then Enter and Ctrl-D.")
			}
			typed, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxTypedPassword+1))
			if err != nil {
				return fmt.Errorf("read the password: %w", err)
			}
			typed = bytes.TrimSuffix(bytes.TrimSuffix(typed, []byte("\n")), []byte("\r"))
			switch {
			case len(typed) == 0:
				return fmt.Errorf("the password on standard input is empty, and the server refuses empty passwords; enter one")
			case len(typed) > maxTypedPassword:
				return fmt.Errorf("the password is longer than %d bytes, which the server refuses; choose a shorter one", maxTypedPassword)
			}
			line, err := file.Hash(secret.New(string(typed)))
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), line)
			return nil
		},
	}
}

// isTerminal reports whether a reader is a terminal, or another device.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
