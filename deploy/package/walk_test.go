package packaging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A walk executes the indented blocks of a page in their order, in a booted machine, as a
// person who reads it does. The sentence before a block says what it is:
//
//	Write `/etc/x`:       the whole content of a file
//	Append to `/etc/x`:   further lines of a file
//	…prints:              what the block before has printed; "…" stands for anything
//	…is refused:          commands that must fail
//	anything else         commands that must succeed
//
// The commands are typed into a terminal by a user whom sudo asks for no password. Nothing in
// them is replaced. Each block has a shell of its own, so none may change the folder or the
// environment of the next.
type walk struct {
	m *machine
	// answers are typed at prompts, by a text of the prompt.
	answers map[string]string
	// printed is the output of the last block of commands.
	printed string
}

// blockKind is what a block of a page is for.
type blockKind int

const (
	commands blockKind = iota
	refused
	content
	appended
	output
)

// block is an indented block of a page.
type block struct {
	kind blockKind
	file string // of content and appended
	line int    // of the page, from 1
	text string
}

var sentences = []struct {
	kind blockKind
	ends *regexp.Regexp
}{
	{content, regexp.MustCompile("(?:^|[.,;] )[Ww]rite `(/[^`]+)`:$")},
	{appended, regexp.MustCompile("(?:^|[.,;] )[Aa]ppend to `(/[^`]+)`:$")},
	{output, regexp.MustCompile(`prints( [^.]*)?:$`)},
	{refused, regexp.MustCompile(`is refused:$`)},
}

// blocks returns the indented blocks of a text in Markdown, those in lists too.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	var all []block
	var current *block
	sentence := ""
	for i, line := range strings.Split(page, "\n") {
		code, isCode := strings.CutPrefix(line, "    ")
		if strings.Contains(line, "```") {
			t.Fatalf("line %d: a walk reads indented blocks, and no fences", i+1)
		}
		switch {
		case isCode && current == nil:
			all = append(all, block{kind: commands, line: i + 1})
			current = &all[len(all)-1]
			for _, s := range sentences {
				if match := s.ends.FindStringSubmatch(sentence); match != nil {
					current.kind = s.kind
					if s.kind == content || s.kind == appended {
						current.file = match[1]
					}
					break
				}
			}
			fallthrough
		case isCode:
			current.text += code + "\n"
		case line == "" && current != nil:
			current.text += "\n" // ends, or goes on after an empty line
		case line != "":
			current, sentence = nil, line
		}
	}
	for i := range all {
		if all[i].kind == commands && regexp.MustCompile(`(?m)^(cd|export) `).MatchString(all[i].text) {
			t.Fatalf("line %d: the next block would not have this folder or environment", all[i].line)
		}
		all[i].text = dedent(all[i].text)
	}
	return all
}

// dedent removes what all lines of a block are indented by, and empty lines at its end.
func dedent(text string) string {
	for !regexp.MustCompile(`(?m)^[^ \n]`).MatchString(text) {
		text = regexp.MustCompile(`(?m)^ `).ReplaceAllString(text, "")
	}
	return strings.TrimRight(text, "\n") + "\n"
}

// do executes a block.
func (w *walk) do(t *testing.T, b block) {
	t.Helper()
	switch b.kind {
	case content, appended:
		text := b.text
		if b.kind == appended {
			text = w.m.run(t, "cat "+b.file) + "\n\n" + text
		}
		w.m.write(t, b.file, text)
	case output:
		rest := w.printed
		for part := range strings.FieldsFuncSeq(b.text, func(r rune) bool { return r == '…' || r == '\n' }) {
			_, after, found := strings.Cut(rest, strings.TrimSpace(part))
			if !found {
				t.Fatalf("line %d: the commands do not print %q; they printed\n%s", b.line, part, w.printed)
			}
			rest = after
		}
	case commands, refused:
		out, err := w.typed(t, b.text)
		w.printed = out
		exit, failed := errors.AsType[*exec.ExitError](err)
		switch {
		case err != nil && (!failed || exit.ExitCode() < 0):
			t.Fatalf("line %d: %v\n%s%s\n%s", b.line, err, b.text, out, w.m.journal(t))
		case failed != (b.kind == refused):
			t.Fatalf("line %d: %v\n%s%s\n%s", b.line, err, b.text, out, w.m.journal(t))
		}
	}
}

// walker is the user who types the commands, in the home folder.
const (
	walker        = "platform"
	walkerHome    = "/home/" + walker
	runtimeFolder = "/run/user/platform"
)

// newWalk boots a machine with the walker.
func newWalk(t *testing.T, answers map[string]string) *walk {
	t.Helper()
	m := newMachine(t)
	m.run(t, "useradd --create-home --shell /bin/bash "+walker+"; echo '"+walker+" ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/"+walker)
	m.write(t, "/etc/hostname", "server1\n")
	m.write(t, "/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 server1\n")
	m.run(t, "chmod 644 /etc/hosts")
	m.boot(t)
	m.run(t, "install --directory --owner="+walker+" --mode=700 "+runtimeFolder) // as a login by ssh does
	return &walk{m: m, answers: answers}
}

// give copies a file into the walker's home.
func (w *walk) give(t *testing.T, name string) {
	t.Helper()
	w.m.run(t, fmt.Sprintf("install --owner=%s %s %s", walker, w.m.put(t, name), walkerHome))
}

// typed runs commands in a terminal for two minutes at most, types the answers to their
// prompts, and returns what the terminal shows.
func (w *walk) typed(t *testing.T, script string) (string, error) {
	t.Helper()
	const file = walkerHome + "/block"
	w.m.write(t, file, script)
	if err := os.Chmod(filepath.Join(w.m.root, file), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := w.m.command(ctx, "runuser", "--login", walker, "--command",
		"export XDG_RUNTIME_DIR="+runtimeFolder+" && exec script --quiet --return --command 'exec bash -eo pipefail "+file+"' /dev/null")
	in, keyboard, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer in.Close()
	defer keyboard.Close()
	screen := &screen{answers: w.answers, keyboard: keyboard}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, screen, screen
	err = cmd.Run()
	return strings.ReplaceAll(screen.text.String(), "\r", ""), err
}

// screen keeps what a terminal shows, and types the answer when a prompt appears: an
// unfinished line with a text of answers.
type screen struct {
	answers  map[string]string
	keyboard io.Writer
	text     bytes.Buffer
	answered int // newlines before the last prompt that was answered, plus one
}

func (s *screen) Write(p []byte) (int, error) {
	s.text.Write(p)
	all := s.text.Bytes()
	last := all[bytes.LastIndexByte(all, '\n')+1:]
	line := bytes.Count(all, []byte("\n")) + 1
	for prompt, answer := range s.answers {
		if line > s.answered && bytes.Contains(last, []byte(prompt)) {
			s.answered = line
			if _, err := io.WriteString(s.keyboard, answer+"\n"); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}
