package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"shorepass/importer/dockerauth"
	"shorepass/internal/durable"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Translate the configuration of another token server",
	}
	cmd.AddCommand(newImportDockerAuth())
	return cmd
}

// importFlags are the flags of import docker_auth.
type importFlags struct {
	acl, users, output string
	services           []string
	json               bool
}

// importResult is the output of import docker_auth --json.
type importResult struct {
	File          string          `json:"file"`
	Refused       bool            `json:"refused"` // there is no configuration
	Findings      []importFinding `json:"findings"`
	Configuration string          `json:"configuration,omitempty"` // without --output
}

// importFinding is what the translation has to say of a line.
type importFinding struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Severity string `json:"severity"` // "note", "changed", "lost" or "refused"
	Text     string `json:"text"`
}

func newImportDockerAuth() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "docker_auth FILE",
		Short: "Translate a configuration of docker_auth, or the values of its Helm chart",
		Long: "Translates a configuration of docker_auth, or the values of its Helm chart, and prints\n" +
			"the configuration that grants the same, with comments. FILE may be \"-\" for standard\n" +
			"input. Standard error has a line for everything that differs: note (translated as\n" +
			"docker_auth reads it), changed (behaves in another way), lost (has no equal, or\n" +
			"docker_auth ignores it too) and refused (a translation would open the registry). With\n" +
			"a refusal nothing is written, and the exit code is 1. It reads the named files alone\n" +
			"and connects to nothing; \"shorepass check --live\" checks the result.",
		Example: "  shorepass import docker_auth auth_config.yml -o shorepass.toml --service registry.corp.example\n" +
			"  shorepass import docker_auth values.yaml > shorepass.toml     # of the Helm chart\n" +
			"  shorepass import docker_auth auth_config.yml --acl acl.json   # of MongoDB, by mongoexport",
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault // files
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write to a new `file`, which only its owner can read (default: standard output)")
	flags.StringArrayVar(&f.services, "service", nil, "the auth.token.service of a registry, a `name`; may be repeated")
	flags.StringVar(&f.acl, "acl", "", "a `file` with the ACL of acl_mongo, one JSON document a line as mongoexport writes it")
	flags.StringVar(&f.users, "mongo-users", "", "a `file` with the users of mongo_auth, the same")
	flags.BoolVar(&f.json, "json", false, "print the findings and the configuration as JSON")
	return cmd
}

func (f importFlags) run(cmd *cobra.Command, name string) error {
	in, err := f.read(cmd.InOrStdin(), name)
	if err != nil {
		return err
	}
	text, findings, err := translate(cmd.Context(), in)
	if err != nil {
		return err
	}
	all := make([]importFinding, len(findings))
	refused := 0
	for i, found := range findings {
		all[i] = importFinding{cmp.Or(found.File, in.Name), found.Line, found.Severity.String(), found.Text}
		if found.Severity == dockerauth.Refused {
			refused++
		}
	}
	if refused == 0 && f.output != "" {
		if err := createFile(f.output, text); err != nil {
			return err
		}
		text = ""
	}
	if err := f.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), in.Name, text, all); err != nil || refused == 0 {
		return err
	}
	return fmt.Errorf("%s is not imported, because of what is refused above (%d); correct it there, and import again", in.Name, refused)
}

// translate imports, and returns when the command is interrupted: the translation itself
// only computes, and ends with the process.
func translate(ctx context.Context, in dockerauth.Input) (text string, findings []dockerauth.Finding, err error) {
	done := make(chan struct{})
	var translated string
	var found []dockerauth.Finding
	var failed error
	go func() {
		defer close(done)
		translated, found, failed = dockerauth.Import(in, kinds)
	}()
	select {
	case <-done:
		return translated, found, failed
	case <-ctx.Done():
		return "", nil, fmt.Errorf("import %s: interrupted", in.Name)
	}
}

// print prints the configuration and the findings.
func (f importFlags) print(stdout, stderr io.Writer, name, text string, findings []importFinding) error {
	if f.json {
		refused := slices.ContainsFunc(findings, func(found importFinding) bool { return found.Severity == dockerauth.Refused.String() })
		return printJSON(stdout, importResult{name, refused, findings, text})
	}
	for _, found := range findings {
		place := found.File
		if found.Line > 0 {
			place = fmt.Sprintf("%s:%d", found.File, found.Line)
		}
		fmt.Fprintf(terminal{stderr}, "%s: %s: %s\n", place, found.Severity, found.Text)
	}
	_, err := io.WriteString(stdout, text)
	return err
}

// read reads the files to import.
func (f importFlags) read(stdin io.Reader, name string) (in dockerauth.Input, err error) {
	in.Services = f.services
	if in.Name, in.Text, err = name, nil, nil; name == "-" {
		in.Name = "standard input"
		in.Text, err = io.ReadAll(io.LimitReader(stdin, dockerauth.MaxSize+1))
	} else {
		in.Text, err = readImport(name)
	}
	if err != nil {
		return in, fmt.Errorf("read %s: %w", in.Name, err)
	}
	for _, export := range []struct {
		name string
		to   **dockerauth.Source
	}{{f.acl, &in.ACL}, {f.users, &in.Users}} {
		if export.name == "" {
			continue
		}
		text, err := readImport(export.name)
		if err != nil {
			return in, fmt.Errorf("read %s: %w", export.name, err)
		}
		*export.to = &dockerauth.Source{Name: export.name, Text: text}
	}
	return in, nil
}

// readImport reads a file to import, or a pipe.
func readImport(name string) ([]byte, error) {
	text, _, err := durable.ReadPipe(name, dockerauth.MaxSize)
	if _, tooLarge := errors.AsType[*durable.TooLargeError](err); tooLarge {
		return nil, fmt.Errorf("it has more than %d MiB, and is no configuration of docker_auth", dockerauth.MaxSize>>20)
	}
	if errors.Is(err, durable.ErrNotRegular) {
		return nil, errors.New("it is a folder, a device or a socket; name a file")
	}
	return text, err
}

// createFile writes a file that only its owner can read. An existing one is left as it is.
func createFile(name, text string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists, and is left as it is; name another file with --output", name)
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
