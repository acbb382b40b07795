package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shorepass/config"
)

const (
	// supportTimeout is the timeout of one request of support to the running server.
	supportTimeout = 5 * time.Second

	// maxSupportAnswer bounds what support reads of an answer, in bytes.
	maxSupportAnswer = 4 << 20
)

func newSupport(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "support",
		Short: "Print what a bug report needs, without secrets",
		Long: "Prints the version, the effective configuration, the findings of check --live, and the\n" +
			"health and the metrics of the server that runs on this machine, as one text. A part that\n" +
			"fails is printed with its error. No password, token, key or password hash is in it, and no\n" +
			"audit line. It has the names of hosts, groups, rules and local users: read it before you\n" +
			"send it.",
		Example: "  shorepass support > support.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printSupport(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
}

// printSupport writes the bundle. A part that fails does not fail the others: the bundle
// is for a server that does not work.
func printSupport(ctx context.Context, o *options, w io.Writer) error {
	var out strings.Builder
	part := func(name string, write func(io.Writer) error) {
		fmt.Fprintf(&out, "=== %s\n\n", name)
		if err := write(&out); err != nil {
			fmt.Fprintf(&out, "error: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		}
		out.WriteString("\n")
	}
	part("version", func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "shorepass %s\n%d CPUs\n%s\n", thisBuild(), runtime.NumCPU(), time.Now().UTC().Format(time.RFC3339))
		return err
	})
	cfg, err := o.load(config.OnlySecrets())
	part("configuration", func(w io.Writer) error {
		if err != nil {
			return err
		}
		return printSettings(w, cfg.Settings())
	})
	part("check --live", func(w io.Writer) error {
		result, err := check(ctx, o, true, nil)
		result.print(w)
		return err
	})
	if cfg != nil {
		for _, path := range []string{"/readyz?all", "/metrics"} {
			part("GET "+path, func(w io.Writer) error { return getOwn(ctx, cfg, path, w) })
		}
	}
	_, err = io.WriteString(w, escapeControls(out.String()))
	return err
}

// getOwn writes what the server that runs on this machine answers.
func getOwn(ctx context.Context, cfg *config.Config, path string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, supportTimeout)
	defer cancel()
	scheme := "http"
	if cfg.Server.ServesTLS() {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+cfg.Server.ConnectAddress()+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// The certificate is for the public name. The request has no secret, and its
			// answer is only printed.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(req)
	switch {
	case err != nil && cfg.Server.TLS.CA != "":
		return errors.Join(errors.New("server.tls.ca has the server refuse clients without a certificate, and this command presents none"), err)
	case err != nil:
		return errors.Join(errors.New("no server answers at server.listen on this machine"), err)
	}
	defer answer.Body.Close()
	fmt.Fprintln(w, answer.Status)
	_, err = io.Copy(w, io.LimitReader(answer.Body, maxSupportAnswer))
	return err
}
