package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"shorepass/internal/durable"
	"shorepass/internal/secret"
	"shorepass/providers"
)

const (
	// checkInterval is the minimum time between two checks of the files: short
	// enough that a person does not notice it after a change, and long enough
	// that hundreds of logins cost one check.
	checkInterval = time.Second

	// maxFile bounds an htpasswd or group file: some hundred thousand users.
	maxFile = 16 << 20
)

// minFileAge is how old the last write of a file must be before the file is
// loaded: a younger file may be half written, and with the coarse clocks of
// file systems two writes within that time can look the same.
const minFileAge = 2 * time.Second

// htpasswd is a cache of an htpasswd file and its group file. A use checks the
// files, at most once in checkInterval, and loads them if they changed. While
// they are younger than minFileAge or cannot be read, the loaded version stays
// in use; an error is logged once.
type htpasswd struct {
	path       string
	groups     string      // path of the group file; "" for none
	configured *accountSet // users of the configuration, whose names the file must not have

	mu         sync.Mutex
	log        *slog.Logger
	accounts   *accountSet // replaced whole
	checkedAt  time.Time
	readStates [2]durable.State // of both files, when they were last read
	readEarly  bool             // they were younger than minFileAge: it was the first read
	err        error            // of the last read; nil after a success
}

// openHtpasswd reads the files for the first time.
func openHtpasswd(path, groups string, configured *accountSet) (*htpasswd, error) {
	h := &htpasswd{path: path, groups: groups, configured: configured, log: slog.New(slog.DiscardHandler)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checkFiles(time.Now())
	return h, h.err
}

func (h *htpasswd) setLog(log *slog.Logger) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = log
}

// users returns the accounts, after a check of the files if one is due.
func (h *htpasswd) users() *accountSet {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.checkedAt) >= checkInterval {
		h.checkFiles(now)
	}
	return h.accounts
}

// lastError returns why the files could not be read the last time, or nil.
func (h *htpasswd) lastError() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// checkFiles reads the files if they changed and are old enough. The first call
// reads them at any age; if that was too early, they are read again once they
// are old enough. h.mu is held.
func (h *htpasswd) checkFiles(now time.Time) {
	h.checkedAt = now
	states, first := h.fileStates(), h.accounts == nil && h.err == nil
	tooEarly := slices.ContainsFunc(states[:], func(f durable.State) bool { return !isOldEnough(f, now) })
	switch {
	case first:
	case tooEarly, !h.readEarly && states[0].Equal(h.readStates[0]) && states[1].Equal(h.readStates[1]):
		return
	}
	accounts, err := h.read()
	h.readStates, h.readEarly = states, tooEarly
	if err != nil {
		if h.err == nil || h.err.Error() != err.Error() {
			h.log.Error("the htpasswd file cannot be read; the users of the last good version stay", "error", err)
		}
		h.err = err
		return
	}
	h.accounts, h.err = accounts, nil
}

// fileStates returns the states of both files.
func (h *htpasswd) fileStates() (states [2]durable.State) {
	states[0] = durable.StateOf(h.path)
	if h.groups != "" {
		states[1] = durable.StateOf(h.groups)
	}
	return states
}

// isOldEnough reports whether a file was last written at least minFileAge
// before now. A file that is missing or whose time is in the future counts as old
// enough.
func isOldEnough(f durable.State, now time.Time) bool {
	age := now.Sub(f.ModTime())
	return !f.Exists() || age < 0 || age >= minFileAge
}

// read parses both files.
func (h *htpasswd) read() (*accountSet, error) {
	groups := make(map[providers.Login][]string)
	if h.groups != "" {
		var err error
		if groups, err = readFile(h.groups, readGroups); err != nil {
			return nil, err
		}
	}
	users, err := readFile(h.path, readUsers)
	if err != nil {
		return nil, err
	}
	accounts := new(accountSet)
	for login, u := range users {
		if h.configured.find(login) != nil {
			return nil, fmt.Errorf("%s: user %q is in the configuration too; name each once", h.path, u.Name)
		}
		hash, err := parseHash(u.Password.Reveal())
		if err != nil {
			return nil, fmt.Errorf("%s: the hash of %q %w", h.path, u.Name, err)
		}
		u.Groups = groups[login]
		a, err := newAccount(login, u, hash)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.path, err)
		}
		accounts.add(a)
	}
	return accounts, nil
}

func readFile[T any](path string, read func(io.Reader) (T, error)) (none T, err error) {
	data, _, err := durable.Read(path, maxFile)
	if err != nil {
		return none, err
	}
	t, err := read(bytes.NewReader(data))
	if err != nil {
		return none, fmt.Errorf("%s:%w", path, err)
	}
	return t, nil
}

// readUsers parses "name:hash" lines. An error begins with the line number and
// never quotes the line, which may hold a password.
func readUsers(r io.Reader) (map[providers.Login]User, error) {
	users := make(map[providers.Login]User)
	err := readLines(r, func(line string) error {
		name, hash, ok := strings.Cut(line, ":")
		if !ok {
			return errors.New("no \"name:hash\"")
		}
		login, err := foldName(name)
		if err != nil {
			return fmt.Errorf("the name %w", err)
		}
		if _, twice := users[login]; twice {
			return fmt.Errorf("%q is listed twice; case makes no difference", name)
		}
		hash, _, _ = strings.Cut(hash, ":") // some tools write more fields
		if !strings.HasPrefix(hash, "$2") {
			return fmt.Errorf("the hash of %q is not a bcrypt hash; make one with \"htpasswd -B\"", name)
		}
		if _, err := parseHash(hash); err != nil {
			return fmt.Errorf("the hash of %q %w", name, err)
		}
		users[login] = User{Name: name, Password: secret.New(hash)}
		return nil
	})
	return users, err
}

// readGroups parses "group: name name" lines. Names without an account are no
// fault: other programs may use the group file too.
func readGroups(r io.Reader) (map[providers.Login][]string, error) {
	groups := make(map[providers.Login][]string)
	err := readLines(r, func(line string) error {
		group, names, ok := strings.Cut(line, ":")
		if group = strings.TrimSpace(group); !ok || group == "" {
			return errors.New("no \"group: name name\"")
		}
		if err := checkGroup(group); err != nil {
			return err
		}
		for name := range strings.FieldsSeq(names) {
			login, err := foldName(name)
			if err != nil {
				return fmt.Errorf("the name %w", err)
			}
			groups[login] = append(groups[login], group)
		}
		return nil
	})
	return groups, err
}

// readLines calls each for every line that is neither blank nor a comment.
func readLines(r io.Reader, each func(line string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		if err := each(line); err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
	}
	return lines.Err()
}
