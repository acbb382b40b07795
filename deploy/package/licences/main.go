// Command licences prints the licences of every module that is linked into a static
// binary of Go: who distributes it has to repeat them.
//
//	licences /usr/bin/shorepass FOLDER-OF-ITS-MODULE
package main

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: licences PROGRAM FOLDER")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(program, folder string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	folders, err := moduleFolders(folder)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "%s contains the following modules, under these licences.\n", filepath.Base(info.Path))
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	if err := printLicences(out, "the Go standard library, "+info.GoVersion, strings.TrimSpace(string(root))); err != nil {
		return err
	}
	for _, module := range info.Deps {
		if err := printLicences(out, module.Path+" "+module.Version, folders[module.Path]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// moduleFolders returns the folder of each module that the one in folder needs.
func moduleFolders(folder string) (map[string]string, error) {
	list := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Dir}}", "all")
	list.Dir, list.Stderr = folder, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m all: %w", err)
	}
	folders := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		folders[path] = dir
	}
	return folders, nil
}

// printLicences prints the files with the licences of a module. A module without one is
// an error: it may not be distributed.
func printLicences(out *bufio.Writer, module, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("the licence of %s: %w", module, err)
	}
	found := 0
	for _, entry := range entries {
		if entry.IsDir() || !slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, func(name string) bool {
			return strings.HasPrefix(strings.ToUpper(entry.Name()), name)
		}) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		rule := strings.Repeat("-", 78)
		fmt.Fprintf(out, "\n%s\n%s (%s)\n%s\n\n%s\n", rule, module, entry.Name(), rule, bytes.TrimSpace(text))
		found++
	}
	if found == 0 {
		return fmt.Errorf("%s has no file with a licence in %s", module, folder)
	}
	return nil
}
