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
	// lookEvery is how often the files are looked at, at most: a change holds
	// at the next login that somebody tries by hand, and hundreds of logins a
	// second cost one look.
	checkInterval = time.Second

	// maxFile bounds an htpasswd or group file: some hundred thousand users.
	maxFile = 16 << 20
)

// settled is how long a version must not have been written to before it takes the
// place of the one in force: a younger one may be half written. File systems have
// clocks so coarse that a file may be written twice in that time and look the
// same.
const minFileAge = 2 * time.Second

// htpasswd is a cache of an htpasswd file with its groups. The files are looked at
// when they are used, at most once a second. A version that is not settled, or
// cannot be read, leaves the one before in force; the second is reported once.
type htpasswd struct {
	path       string
	groups     string      // path of the group file; "" for none
	configured *accountSet // of the configuration, which has no name twice

	mu         sync.Mutex
	log        *slog.Logger
	accounts   *accountSet // replaced whole
	checkedAt  time.Time
	readStates [2]durable.State // of both files, when they were last read
	readEarly  bool             // they were read before they were settled, since there was no version before
	err        error            // why the last version could not be read
}

// openHtpasswd reads the files for the first time.
func openHtpasswd(path, groups string, configured *accountSet) (*htpasswd, error) {
	h := &htpasswd{path: path, groups: groups, configured: configured, log: slog.New(slog.DiscardHandler)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checkFiles(time.Now())
	return h, h.err
}

func (h *htpasswd) reportTo(log *slog.Logger) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = log
}

// users returns the accounts of the file as it is now.
func (h *htpasswd) users() *accountSet {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.checkedAt) >= checkInterval {
		h.checkFiles(now)
	}
	return h.accounts
}

// fault returns why the file as it is now could not be read.
func (h *htpasswd) lastError() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// look reads the files if they changed and are settled; the first version is read
// at once, and again when it is settled. h.mu is held.
func (h *htpasswd) checkFiles(now time.Time) {
	h.checkedAt = now
	states, first := h.fileStates(), h.accounts == nil && h.err == nil
	unsettled := slices.ContainsFunc(states[:], func(f durable.State) bool { return !isOldEnough(f, now) })
	switch {
	case first:
	case unsettled, !h.readEarly && states[0].Equal(h.readStates[0]) && states[1].Equal(h.readStates[1]):
		return
	}
	accounts, err := h.read()
	h.readStates, h.readEarly = states, unsettled
	if err != nil {
		if h.err == nil || h.err.Error() != err.Error() {
			h.log.Error("the htpasswd file cannot be used; its users stay as they were", "error", err)
		}
		h.err = err
		return
	}
	h.accounts, h.err = accounts, nil
}

// states returns the state of both files.
func (h *htpasswd) fileStates() (states [2]durable.State) {
	states[0] = durable.StateOf(h.path)
	if h.groups != "" {
		states[1] = durable.StateOf(h.groups)
	}
	return states
}

// isSettled reports whether a file was last written long enough before now. One
// that is missing, or of a time to come, is.
func isOldEnough(f durable.State, now time.Time) bool {
	age := now.Sub(f.ModTime())
	return !f.Exists() || age < 0 || age >= minFileAge
}

// read reads both files whole.
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

// readUsers reads "name:hash" lines. An error begins with the number of its
// line and never quotes it, for a line may hold a password.
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
		hash, _, _ = strings.Cut(hash, ":") // what some tools write after it is theirs
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

// readGroups reads "group: name name" lines. Names of nobody are not a fault: the
// group file may be shared.
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
