package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
)

// nextVersion builds the next version of shorepass: this source with one migration more
// for each store. The migration adds a column. It records that this version can serve what
// it leaves if compatible is set, and records nothing otherwise.
func nextVersion(t *testing.T, compatible bool) (program string) {
	t.Helper()
	build := buildIncompatible
	if compatible {
		build = buildCompatible
	}
	program, err := build()
	must(t, err)
	return program
}

var (
	buildCompatible   = sync.OnceValues(func() (string, error) { return buildNextVersion("next-compatible", true) })
	buildIncompatible = sync.OnceValues(func() (string, error) { return buildNextVersion("next-incompatible", false) })
)

func buildNextVersion(name string, compatible bool) (string, error) {
	known, err := filepath.Glob("../session/sqlite/migrations/*.sql")
	if err != nil || len(known) == 0 {
		return "", fmt.Errorf("find the migrations: %d, %w", len(known), err)
	}
	next := len(known) + 1
	change := "ALTER TABLE session ADD COLUMN next_version TEXT;\n"
	record := func(value string) string {
		if !compatible {
			return ""
		}
		return fmt.Sprintf("INSERT INTO setting (name, value) VALUES ('oldest_schema_%d', %s);\n", next, fmt.Sprintf(value, next-1))
	}
	source, err := os.ReadFile("../session/sqlite/migrate.go")
	if err != nil {
		return "", err
	}
	list := regexp.MustCompile(`var migrations = \[\]string\{.*\}`)
	changed := list.ReplaceAllFunc(source, func(found []byte) []byte {
		return fmt.Appendf(nil, "%s, %q}", found[:len(found)-1], change+record("CAST('%d' AS BLOB)"))
	})
	if string(changed) == string(source) {
		return "", fmt.Errorf("session/sqlite/migrate.go has no list of migrations")
	}
	dir := filepath.Join(runDir, name)
	files := map[string]string{
		"session/sqlite/migrate.go":                                    string(changed),
		fmt.Sprintf("session/postgres/migrations/%04d_next.sql", next): "-- +goose Up\n" + change + record("'%d'::bytea"),
	}
	overlay := map[string]map[string]string{"Replace": {}}
	for file, text := range files {
		replaced, err := filepath.Abs(filepath.Join("..", file))
		if err != nil {
			return "", err
		}
		by := filepath.Join(dir, filepath.Base(file))
		overlay["Replace"][replaced] = by
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(by, []byte(text), 0o644)); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return "", err
	}
	program := filepath.Join(dir, "shorepass")
	cmd := exec.Command("go", "build", "-race", "-overlay", file, "-o", program, "./cmd/shorepass")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return program, nil
}
