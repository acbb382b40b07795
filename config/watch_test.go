package config

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/durable"
)

func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, folder string)
		want   int
	}{
		{"nothing", func(*testing.T, string) {}, 0},
		{"edited", func(t *testing.T, folder string) { writeFile(t, folder+"/shorepass.toml", "edited") }, 1},
		{"same length", func(t *testing.T, folder string) {
			writeFile(t, folder+"/shorepass.toml", "FIRST")
			// The clock of a file system ticks in milliseconds, and this test runs within one.
			if err := os.Chtimes(folder+"/shorepass.toml", time.Time{}, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"renamed into place", func(t *testing.T, folder string) {
			writeFile(t, folder+"/.shorepass.toml.swp", "first")
			rename(t, folder+"/.shorepass.toml.swp", folder+"/shorepass.toml")
		}, 1},
		{"a secret", func(t *testing.T, folder string) { writeFile(t, folder+"/secret", "rotated") }, 1},
		{"both files", func(t *testing.T, folder string) {
			writeFile(t, folder+"/shorepass.toml", "edited")
			writeFile(t, folder+"/secret", "rotated")
		}, 1},
		{"gone", func(t *testing.T, folder string) { remove(t, folder+"/secret") }, 1},
		{"gone and back", func(t *testing.T, folder string) {
			remove(t, folder+"/secret")
			time.Sleep(20 * time.Second)
			writeFile(t, folder+"/secret", "rotated")
		}, 2},
		{"mode", func(t *testing.T, folder string) {
			if err := os.Chmod(folder+"/secret", 0o400); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"Kubernetes swaps ..data", func(t *testing.T, folder string) {
			writeFile(t, folder+"/..2/key", "second")
			link(t, "..2", folder+"/..data_tmp")
			rename(t, folder+"/..data_tmp", folder+"/..data")
		}, 1},
		{"another file", func(t *testing.T, folder string) { writeFile(t, folder+"/other", "edited") }, 0},
		{"still being written", func(t *testing.T, folder string) {
			for i := range 5 {
				writeFile(t, folder+"/shorepass.toml", "half a policy"[:5+i])
				time.Sleep(pollInterval)
			}
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			writeFile(t, folder+"/shorepass.toml", "first")
			writeFile(t, folder+"/secret", "first")
			writeFile(t, folder+"/..1/key", "first")
			link(t, "..1", folder+"/..data")
			link(t, "..data/key", folder+"/key")
			synctest.Test(t, func(t *testing.T) {
				cfg := configOf(folder+"/shorepass.toml", folder+"/secret", folder+"/key")
				ctx, cancel := context.WithCancel(t.Context())
				changed, done := 0, make(chan struct{})
				go func() {
					defer close(done)
					Watch(ctx, func() *Config { return cfg }, func() { changed++ })
				}()
				time.Sleep(10*pollInterval + time.Second)
				tt.change(t, folder)
				time.Sleep(10 * pollInterval)
				cancel()
				<-done
				if changed != tt.want {
					t.Errorf("changed was called %d times, want %d", changed, tt.want)
				}
			})
		})
	}
}

// TestWatchMissesNoChange: Watch detects a change between Load and the first poll, and one
// during a reload.
func TestWatchMissesNoChange(t *testing.T) {
	folder := t.TempDir()
	name, added := folder+"/shorepass.toml", folder+"/added"
	writeFile(t, name, "first")
	writeFile(t, added, "first")
	synctest.Test(t, func(t *testing.T) {
		cfg := configOf(name)
		writeFile(t, name, "changed before Watch")
		ctx, cancel := context.WithCancel(t.Context())
		changed, done := 0, make(chan struct{})
		go func() {
			defer close(done)
			Watch(ctx, func() *Config { return cfg }, func() {
				if changed++; changed == 1 {
					cfg = configOf(name, added)
					writeFile(t, name, "changed while it was loaded")
					writeFile(t, added, "and this")
				}
			})
		}()
		time.Sleep(10 * pollInterval)
		cancel()
		<-done
		if changed != 2 {
			t.Errorf("changed was called %d times, want 2", changed)
		}
	})
}

// TestAddFiles: a file that was added is watched, and one whose state was taken anew has
// not changed.
func TestAddFiles(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder+"/shorepass.toml", "first")
	synctest.Test(t, func(t *testing.T) {
		cfg := configOf(folder + "/shorepass.toml")
		cfg.AddFiles(folder+"/root", folder+"/key")
		writeFile(t, folder+"/root", "made at the first start")
		cfg.AddFiles(folder + "/root")
		ctx, cancel := context.WithCancel(t.Context())
		var changed atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			Watch(ctx, func() *Config { return cfg }, func() { changed.Add(1) })
		}()
		for i, want := range []int{0, 1, 2} {
			time.Sleep(10 * pollInterval)
			if got := int(changed.Load()); got != want {
				t.Errorf("step %d: %d changes, want %d", i, got, want)
			}
			writeFile(t, folder+[]string{"/root", "/key", "/root"}[i], "another"+folder[:i])
		}
		cancel()
		<-done
	})
}

func configOf(files ...string) *Config {
	c := &Config{Files: files, states: make(map[string]durable.State)}
	for _, name := range files {
		c.states[name] = durable.StateOf(name)
	}
	return c
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}
