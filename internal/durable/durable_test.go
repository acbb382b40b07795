package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"shorepass/internal/durable"
)

func TestRead(t *testing.T) {
	folder := t.TempDir()
	name := func(n string) string { return filepath.Join(folder, n) }
	for n, content := range map[string]string{"plain": "12345678", "empty": "", "bom": "\ufefftext", "twice": "\ufeff\ufefftext", "large": "123456789"} {
		if err := os.WriteFile(name(n), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("plain", name("link")), os.Mkdir(name("folder"), 0o700), syscall.Mkfifo(name("pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	tooLarge := func(err error) bool { _, ok := errors.AsType[*durable.TooLargeError](err); return ok }
	for _, test := range []struct {
		file, want string
		fails      func(error) bool
	}{
		{"plain", "12345678", nil},
		{"link", "12345678", nil},
		{"empty", "", nil},
		{"bom", "text", nil},
		{"twice", "", tooLarge}, // ten bytes in the file; the second mark is content
		{"large", "", tooLarge},
		{"folder", "", func(err error) bool { return errors.Is(err, durable.ErrNotRegular) }},
		{"pipe", "", func(err error) bool { return errors.Is(err, durable.ErrNotRegular) }},
		{"missing", "", func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
	} {
		data, state, err := durable.Read(name(test.file), 8)
		switch {
		case test.fails != nil:
			if err == nil || !test.fails(err) || !bytes.Contains([]byte(err.Error()), []byte(name(test.file))) {
				t.Errorf("Read(%s) = %v, want the matching error with the file's name", test.file, err)
			}
		case err != nil || string(data) != test.want:
			t.Errorf("Read(%s) = %q, %v, want %q", test.file, data, err, test.want)
		case !state.Exists() || state.Mode() != 0o640 || state.WorldReadable():
			t.Errorf("Read(%s): mode %v, want 0640", test.file, state.Mode())
		}
	}
}

// TestReadPipe: a pipe is read to its end, up to the limit, and a regular file
// as by Read.
func TestReadPipe(t *testing.T) {
	folder := t.TempDir()
	pipe, plain := filepath.Join(folder, "pipe"), filepath.Join(folder, "plain")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(plain, []byte("\ufeff12345"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, written, want string
		tooLarge            bool
	}{
		{pipe, "\ufeff12345", "12345", false},
		{pipe, "123456789", "", true},
		{plain, "", "12345", false},
	} {
		if test.written != "" {
			go os.WriteFile(test.name, []byte(test.written), 0) // waits for its reader
		}
		data, _, err := durable.ReadPipe(test.name, 8)
		if _, tooLarge := errors.AsType[*durable.TooLargeError](err); string(data) != test.want || tooLarge != test.tooLarge || !tooLarge && err != nil {
			t.Errorf("ReadPipe of %q = %q, %v, want %q", test.written, data, err, test.want)
		}
	}
}

// TestReadPipeWithoutWriter: ReadPipe does not wait for ever, and opens neither a folder
// nor a device.
func TestReadPipeWithoutWriter(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{pipe: durable.ErrNoWriter, t.TempDir(): durable.ErrNotRegular, "/dev/zero": durable.ErrNotRegular} {
		if _, _, err := durable.ReadPipe(name, 8); !errors.Is(err, want) {
			t.Errorf("ReadPipe(%s) = %v, want %v", name, err, want)
		}
	}
}

// TestReadRefuses: Read refuses a world-writable file, and ReadSecret a
// world-readable one too.
func TestReadRefuses(t *testing.T) {
	for _, test := range []struct {
		mode         fs.FileMode
		read, secret error
	}{
		{0o600, nil, nil}, {0o640, nil, nil}, {0o660, nil, nil}, {0o644, nil, durable.ErrWorldReadable},
		{0o664, nil, durable.ErrWorldReadable}, {0o666, durable.ErrWorldWritable, durable.ErrWorldWritable},
		{0o602, durable.ErrWorldWritable, durable.ErrWorldWritable}, {0o777, durable.ErrWorldWritable, durable.ErrWorldWritable},
	} {
		name := filepath.Join(t.TempDir(), "file")
		if err := errors.Join(os.WriteFile(name, []byte("text"), 0o600), os.Chmod(name, test.mode)); err != nil {
			t.Fatal(err)
		}
		for kind, read := range map[string]func(string, int64) ([]byte, durable.State, error){"Read": durable.Read, "ReadPipe": durable.ReadPipe, "ReadSecret": durable.ReadSecret} {
			want := test.read
			if kind == "ReadSecret" {
				want = test.secret
			}
			if data, _, err := read(name, 100); !errors.Is(err, want) || (want == nil) != (string(data) == "text") {
				t.Errorf("%s of a file of mode %v = %q, %v, want %v", kind, test.mode, data, err, want)
			}
		}
	}
}

// TestCreate: of concurrent calls one creates the file, whole and with its
// mode, and no other file is left in the folder.
func TestCreate(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "key")
	var made sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		made.Go(func() { results <- durable.Create(name, []byte("content"), 0o640) })
	}
	made.Wait()
	close(results)
	succeeded := 0
	for err := range results {
		switch {
		case err == nil:
			succeeded++
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("Create of a name that exists = %v, want fs.ErrExist", err)
		}
	}
	data, state, err := durable.Read(name, 100)
	if succeeded != 1 || err != nil || string(data) != "content" || state.Mode() != 0o640 {
		t.Errorf("%d of 8 concurrent calls created %q, mode %v (%v), want one with mode 0640", succeeded, data, state.Mode(), err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v (%v), want the file alone", entries, err)
	}
	if err := durable.Create(filepath.Join(folder, "missing", "key"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create in a missing folder = %v, want fs.ErrNotExist", err)
	}
}

func TestState(t *testing.T) {
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, test := range []struct {
		name   string
		change func(name string) error
		same   bool
	}{
		{"nothing", func(string) error { return nil }, true},
		{"the same time set again", func(name string) error { return os.Chtimes(name, then, then) }, true},
		{"another time", func(name string) error { return os.Chtimes(name, then, then.Add(time.Second)) }, false},
		{"another size", func(name string) error {
			return errors.Join(os.Truncate(name, 1), os.Chtimes(name, then, then))
		}, false},
		{"another mode", func(name string) error { return os.Chmod(name, 0o644) }, false},
		{"removed", os.Remove, false},
		{"another file of that size and time renamed to its name", func(name string) error {
			other := name + ".new"
			return errors.Join(os.WriteFile(other, []byte("other"), 0o600), os.Chtimes(other, then, then), os.Rename(other, name))
		}, false},
	} {
		name := filepath.Join(t.TempDir(), "file")
		if err := errors.Join(os.WriteFile(name, []byte("first"), 0o600), os.Chtimes(name, then, then)); err != nil {
			t.Fatal(err)
		}
		before := durable.StateOf(name)
		if err := test.change(name); err != nil {
			t.Fatal(err)
		}
		if after := durable.StateOf(name); after.Equal(before) != test.same || before.Equal(after) != test.same {
			t.Errorf("%s: the state is equal: %v, want %v", test.name, !test.same, test.same)
		}
	}
	none := durable.StateOf(filepath.Join(t.TempDir(), "nothing"))
	if none.Exists() || none.WorldReadable() || !none.Equal(durable.State{}) || !none.ModTime().IsZero() {
		t.Error("the state of a missing file is not the zero State")
	}
}
