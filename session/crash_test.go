package session_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// crashFile is the environment variable with the store's file for the process
// that is killed.
const crashFile = "SHOREPASS_TEST_CRASH_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(crashFile); file != "" {
		issueUntilKilled(file)
	}
	os.Exit(m.Run())
}

// issueUntilKilled issues and revokes tokens for ever, with several concurrent
// clients, and prints each call after it returned.
func issueUntilKilled(file string) {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, file)
	if err != nil {
		panic(err)
	}
	h := newFakeProviders()
	s, err := session.New(ctx, session.Config{Revalidate: time.Second}.WithDefaults(), store, h, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	for client := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := h.login("sso", fmt.Sprintf("%d/%d", client, i))
				token, made, err := s.Issue(ctx, id, service, laptop)
				if err != nil {
					panic(err)
				}
				fmt.Printf("issued %s\n", token.Reveal())
				if i%2 == 0 {
					continue
				}
				if n, err := s.Admin().Revoke(ctx, session.Selector{ID: made.ID}, "test"); n != 1 || err != nil {
					panic(fmt.Sprint(n, err))
				}
				fmt.Printf("revoked %s\n", token.Reveal())
			}
		}()
	}
	select {}
}

// TestKill9: kill -9 at any moment loses no token that a client got, and
// restores no revoked one.
func TestKill9(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	issued, revoked := make(map[string]bool), make(map[string]bool)
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), crashFile+"="+file)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for count := 0; lines.Scan(); count++ {
			what, token, _ := strings.Cut(lines.Text(), " ")
			if len(token) != len("sp_r_")+49 {
				continue // the last line, cut off
			}
			issued[token] = true
			if what == "revoked" {
				revoked[token] = true
			}
			if count == 40+7*round {
				must(t, cmd.Process.Kill())
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}
		s := &cluster{t: t, providers: newFakeProviders(), file: file}
		s.start(session.Config{})
		for token := range issued {
			_, err := s.redeem(secret.New(token))
			switch {
			case revoked[token] && outcome(err) != "401":
				t.Errorf("round %d: a revoked token: %v", round, err)
			case !revoked[token] && err != nil && !strings.Contains(err.Error(), string(session.ReasonRevoked)):
				// One that was being revoked may be so already.
				t.Errorf("round %d: an issued token: %v", round, err)
			}
		}
		s.close()
	}
	if len(issued) < 80 || len(revoked) < 20 {
		t.Errorf("only %d were issued and %d revoked", len(issued), len(revoked))
	}
}

// TestCopiedWhileWriting: a copy of the files, taken during a write, opens in a
// state that the store had.
func TestCopiedWhileWriting(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	given := s.issue("sso", "alice")
	gone := s.issue("sso", "bob")
	if _, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{User: "bob"}, ""); err != nil {
		t.Fatal(err)
	}
	copied := &cluster{t: t, providers: s.providers, file: filepath.Join(t.TempDir(), "data", "shorepass.db")}
	must(t, os.Mkdir(filepath.Dir(copied.file), 0o700))
	for _, name := range []string{"shorepass.db", "shorepass.db-wal", "seal.key"} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(s.file), name))
		must(t, err)
		if strings.HasSuffix(name, "-wal") {
			text = append(text, make([]byte, 1000)...) // a commit in progress
		}
		must(t, os.WriteFile(filepath.Join(filepath.Dir(copied.file), name), text, 0o600))
	}
	copied.start(session.Config{})
	defer copied.close()
	copied.expect("issued", given, "ok")
	copied.expect("revoked", gone, "401")
}
