package file

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"shorepass/internal/secret"
	"shorepass/internal/share"
	"shorepass/providers"
	"shorepass/providers/providertest"
)

// Parts of hashes in tests.
const (
	salt        = "c29tZXNhbHQ"                                 // "somesalt"
	key         = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE" // any 32 bytes
	unknownHash = "$2y$05$abcdefghijklmnopqrstuuWBHoKG0YWYtLCUSK3R7MlTVw/1xNCIG"
)

// cheapHash returns a bcrypt hash of the lowest cost.
func cheapHash(t *testing.T, password string) string {
	t.Helper()
	line, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func TestHash(t *testing.T) {
	for _, password := range []string{"a", "correct horse", "pässwörd", strings.Repeat("x", 4096), " \x00"} {
		line, err := Hash(secret.New(password))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(line, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("Hash(%q) = %s, want 19 MiB and two passes", password, line)
		}
		h, err := parseHash(line)
		if err != nil {
			t.Fatalf("parseHash(Hash(%q)) = %v", password, err)
		}
		if !h.matches([]byte(password)) || h.matches([]byte(password+"x")) || h.matches(nil) {
			t.Errorf("Hash(%q) does not match that password alone", password)
		}
	}
	if line, err := Hash(secret.Text{}); err == nil {
		t.Errorf("Hash of an empty password = %s, want an error", line)
	}
	one, _ := Hash(secret.New("a"))
	two, _ := Hash(secret.New("a"))
	if one == two {
		t.Error("Hash gives one password the same line twice, want another salt each time")
	}
}

// TestForeignHashes: hashes made by other implementations match.
func TestForeignHashes(t *testing.T) {
	for _, test := range []struct{ password, line string }{
		// From the test vectors of the reference implementation
		// (P-H-C/phc-winner-argon2, src/test.c).
		{"password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
		{"password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
		// From the test vectors of crypt_blowfish.
		{"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
	} {
		h, err := parseHash(test.line)
		if err != nil {
			t.Errorf("parseHash(%s) = %v", test.line, err)
			continue
		}
		if !h.matches([]byte(test.password)) || h.matches([]byte(test.password+"x")) {
			t.Errorf("%s does not match %q alone", test.line, test.password)
		}
	}
}

func TestParseHashRefuses(t *testing.T) {
	argon := func(parameters string) string { return "$argon2id$v=19$" + parameters + "$" + salt + "$" + key }
	for _, test := range []struct{ line, want string }{
		{"hunter2", "is neither an argon2id nor a bcrypt hash"},
		{"", "is neither"},
		{"$apr1$x$y", "is neither"},
		{"{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "is neither"},
		{"$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "is neither"},
		{"$argon2i$v=19$m=65536,t=2,p=1$" + salt + "$" + key, "only argon2id is accepted"},
		{"$2y$05$short", "these have 60 characters"},
		{"$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "cost 31; at most 16"},
		{"$argon2id$v=16$m=65536,t=2,p=1$" + salt + "$" + key, "of another version"},
		{"$argon2id$m=65536,t=2,p=1$" + salt + "$" + key, "these look like"},
		{argon("m=65536,t=2"), "the parameters m, t and p, in this order"},
		{argon("t=2,m=65536,p=1"), "parameter m"},
		{argon("m=2097152,t=1,p=1"), "parameter m of an argon2id hash is a number from 8 to 1048576"},
		{argon("m=4294967296,t=1,p=1"), "parameter m"},
		{argon("m=-1,t=1,p=1"), "parameter m"},
		{argon("m=65536,t=0,p=1"), "parameter t"},
		{argon("m=65536,t=999999,p=1"), "parameter t"},
		{argon("m=1048576,t=16,p=1"), "takes seconds at each login"},
		{argon("m=65536,t=1,p=0"), "parameter p"},
		{argon("m=65536,t=1,p=256"), "parameter p"},
		{"$argon2id$v=19$m=65536,t=2,p=1$" + salt + "=$" + key, "base64 without padding"},
		{"$argon2id$v=19$m=65536,t=2,p=1$$" + key, "a salt of 8 to 64 bytes"},
		{"$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$" + salt, "a key of 16 to 64"},
	} {
		_, err := parseHash(test.line)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("parseHash(%q) = %v, want %q", test.line, err, test.want)
		}
		if err != nil && test.line != "" && strings.Contains(err.Error(), test.line) {
			t.Errorf("parseHash(%q) quotes the line", test.line)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$" + key)
	f.Add("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	f.Fuzz(func(t *testing.T, line string) {
		h, err := parseHash(line)
		if (h == nil) == (err == nil) {
			t.Fatalf("parseHash(%q) = %v, %v, want either a hash or an error", line, h, err)
		}
		if a, ok := h.(*argon2idHash); ok && (a.memory > maxMemory || uint64(a.memory)*uint64(a.passes) > maxWork || a.lanes < 1 || len(a.key) < 16) {
			t.Errorf("parseHash(%q) lets %+v through", line, a)
		}
	})
}

func FuzzReadUsers(f *testing.F) {
	f.Add("# people\n\nbob:" + unknownHash + "\r\nalice:" + unknownHash + ":gecos\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := readUsers(strings.NewReader(text))
		if err != nil {
			return
		}
		for login, u := range users {
			if folded, err := foldName(u.Name); err != nil || folded != login {
				t.Errorf("readUsers(%q) has %q under %q", text, u.Name, login)
			}
		}
	})
}

func TestConfigValidate(t *testing.T) {
	good := User{Name: "bob", Password: secret.New(unknownHash)}
	named := func(name string) User { u := good; u.Name = name; return u }
	for _, test := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"good", Config{Users: []User{good}}, ""},
		{"htpasswd alone", Config{Htpasswd: "x"}, ""},
		{"no users", Config{}, "user: the provider has no users"},
		{"groups without htpasswd", Config{Users: []User{good}, HtpasswdGroups: "x"}, "htpasswd_groups: names the groups of the users in htpasswd, which is missing"},
		{"no name", Config{Users: []User{named(" ")}}, "user[0].name: is required"},
		{"reserved name", Config{Users: []User{named("$refresh")}}, `user[0].name: "$refresh" is reserved: tools`},
		{"control character", Config{Users: []User{named("a\tb")}}, `user[0].name: "a\tb" cannot be a user`},
		{"twice", Config{Users: []User{good, named("BOB")}}, `user[1].name: "BOB" is the name of user[0] too`},
		{"no password", Config{Users: []User{{Name: "bob"}}}, "user[0].password: is required"},
		{"the password itself", Config{Users: []User{{Name: "bob", Password: secret.New("hunter2")}}}, "user[0].password: is neither"},
		{"A10: a name with an invisible character", Config{Users: []User{{Name: "b\ufe0fob", Password: secret.New(unknownHash)}}}, "user[0].name: \"b\ufe0fob\" cannot be a user"},
		{"A10: a name that folds to another's", Config{Users: []User{{Name: "\u212aevin", Password: secret.New(unknownHash)}}}, "user[0].name: \"\u212aevin\" cannot be a user"},
		{"A10: a group with an invisible character", Config{Users: []User{{Name: "bob", Password: secret.New(unknownHash), Groups: []string{"a\u200b"}}}}, "user[0].groups[0]: \"a\\u200b\" cannot be a group"},
		{"empty group", Config{Users: []User{{Name: "bob", Password: good.Password, Groups: []string{"a", ""}}}}, "user[0].groups[1]: \"\" cannot be a group"},
		{"two e-mails", Config{Users: []User{{Name: "bob", Password: good.Password, Email: "a@b", Claims: map[string]any{"email": "c@d"}}}}, "user[0].claims.email: duplicates email"},
	} {
		var faults []string
		test.cfg.WithDefaults().Validate(func(key, problem string) { faults = append(faults, key+": "+problem) })
		got := strings.Join(faults, "; ")
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) || len(faults) > 1 {
			t.Errorf("%s: Validate reports %q, want %q", test.name, got, test.want)
		}
	}
}

func TestHtpasswdRefuses(t *testing.T) {
	for _, test := range []struct{ name, users, groups, want string }{
		{"no colon", "bob\n", "", `htpasswd:1: no "name:hash"`},
		{"md5", "# x\nbob:$apr1$abc$def\n", "", `htpasswd:2: the hash of "bob" is not a bcrypt hash; make one with "htpasswd -B"`},
		{"sha", "bob:{SHA}abc\n", "", "htpasswd:1: "},
		{"plain text", "\n\nbob:hunter2\n", "", "htpasswd:3: "},
		{"argon2id", "bob:$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key, "", "htpasswd:1: "},
		{"cut off", "bob:$2y$05$abc\n", "", `htpasswd:1: the hash of "bob" begins like a bcrypt hash`},
		{"twice", "bob:" + unknownHash + "\nBob:" + unknownHash, "", `htpasswd:2: "Bob" is listed twice`},
		{"no name", ":" + unknownHash, "", "htpasswd:1: the name is required"},
		{"in the configuration too", "Demo:" + unknownHash, "", `user "Demo" is in the configuration too`},
		{"a group without names", "bob:" + unknownHash, "devs bob", `groups:1: no "group: name name"`},
		{"a line without end", "bob:" + strings.Repeat("x", 2<<20), "", "htpasswd:bufio"},
	} {
		folder := t.TempDir()
		cfg := Config{Htpasswd: filepath.Join(folder, "htpasswd"), Users: []User{{Name: "demo", Password: secret.New(unknownHash)}}}
		writeFile(t, cfg.Htpasswd, test.users)
		if test.groups != "" {
			cfg.HtpasswdGroups = filepath.Join(folder, "groups")
			writeFile(t, cfg.HtpasswdGroups, test.groups)
		}
		_, err := New(cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: New = %v, want %q", test.name, err, test.want)
		}
		for _, secret := range []string{"hunter2", "abcdefghijklmnop"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: New = %v, which quotes the line", test.name, err)
			}
		}
	}
	if _, err := New(Config{Htpasswd: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New without the file = %v, want os.ErrNotExist", err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestInvalidFileIsNotLoaded: the last good version stays in use, one error is
// logged, and the file is loaded once it is valid again.
func TestInvalidFileIsNotLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "htpasswd")
	writeFile(t, path, "bob:"+cheapHash(t, "one"))
	p, err := New(Config{Htpasswd: path})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
	login := func(password string) error {
		p.TestOnlyRecheck()
		_, err := providertest.Authenticate(t.Context(), p, "bob", typed(password))
		return err
	}
	// Written in place, within the same second, with the same length.
	writeFile(t, path, "bob:"+cheapHash(t, "two"))
	if err := login("two"); err != nil {
		t.Errorf("Authenticate after a change in place = %v, want an identity", err)
	}
	writeFile(t, path, "bob:hunter2")
	for range 3 {
		if err := login("two"); err != nil {
			t.Errorf("Authenticate with a bad file = %v, want an identity of the last good version", err)
		}
	}
	if _, err := p.Ping(t.Context()); err == nil {
		t.Error("Ping with a bad file gave no error")
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log has %d errors, want one without the line: %s", n, log.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := login("two"); err != nil {
		t.Errorf("Authenticate without the file = %v, want an identity of the last good version", err)
	}
	writeFile(t, path, "bob:"+cheapHash(t, "three"))
	if err := login("three"); err != nil {
		t.Errorf("Authenticate when it is valid again = %v, want an identity", err)
	}
	if found, err := p.Ping(t.Context()); err != nil || !strings.Contains(strings.Join(found, "; "), "1 users in "+path) {
		t.Errorf("Ping = %q, %v, want one user", found, err)
	}
}

// TestHalfWrittenFile: a group file is not loaded while it is being written: a
// deny rule would not match the people whose lines are still missing (A12).
func TestHalfWrittenFile(t *testing.T) {
	users, groups := filepath.Join(t.TempDir(), "htpasswd"), filepath.Join(t.TempDir(), "groups")
	writeFile(t, users, "bob:"+cheapHash(t, "right"))
	writeFile(t, groups, "devs: bob\ncontractors: bob\n")
	p, err := New(Config{Htpasswd: users, HtpasswdGroups: groups})
	if err != nil {
		t.Fatal(err)
	}
	check := func(after time.Duration, want string) {
		t.Helper()
		p.htpasswd.mu.Lock()
		p.htpasswd.checkFiles(time.Now().Add(after))
		p.htpasswd.mu.Unlock()
		if got := strings.Join(p.find("bob").groups, " "); got != want {
			t.Errorf("the groups of bob %s later = %q, want %q", after, got, want)
		}
	}
	check(minFileAge, "contractors devs")
	writeFile(t, groups, "devs: bob\n") // half written
	check(0, "contractors devs")
	check(minFileAge/2, "contractors devs")
	writeFile(t, groups, "devs: bob\ncontractors: bob\nops: bob\n")
	check(minFileAge/2, "contractors devs")
	check(minFileAge, "contractors devs ops")
	writeFile(t, groups, "devs: bob\n")
	check(minFileAge, "devs")
	if err := os.Chtimes(groups, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, users, "bob:"+cheapHash(t, "other"))
	before := p.find("bob").stamp
	if check(minFileAge, "devs"); p.find("bob").stamp == before {
		t.Error("a file with a time in the future keeps the other from being read")
	}
}

func TestIdentityAndRevalidate(t *testing.T) {
	user := User{
		Name: "José", Password: secret.New(cheapHash(t, "right")), Groups: []string{"devs"},
		Email: "jose@corp.example", Claims: map[string]any{"team": "a"},
	}
	open := func(users ...User) *Provider {
		p, err := New(Config{Users: users})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open(user)
	login, _ := providers.ParseLogin("JOSE\u0301")
	id, err := providertest.Authenticate(t.Context(), p, login, typed("right"))
	if err != nil {
		t.Fatal(err)
	}
	if id.User != "josé" || id.Claims["email"] != "jose@corp.example" || id.Claims["team"] != "a" || id.Stamp == "" {
		t.Errorf("Authenticate = %+v, want josé with both claims and a stamp", id)
	}
	if again, err := p.Revalidate(t.Context(), id); err != nil || again.Stamp != id.Stamp || again.User != "josé" {
		t.Errorf("Revalidate = %+v, %v, want the same", again, err)
	}
	disabled, changed := user, user
	disabled.Disabled = true
	changed.Password = secret.New(cheapHash(t, "right")) // another salt
	if _, err := open(disabled).Revalidate(t.Context(), id); !errors.Is(err, providers.ErrRejected) || !errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of a disabled user = %v, want ErrRejected and ErrEnded", err)
	}
	if again, err := open(changed).Revalidate(t.Context(), id); err != nil || again.Stamp == id.Stamp {
		t.Errorf("Revalidate after another password = %+v, %v, want another stamp", again, err)
	}
	other := user
	other.Name = "other"
	if _, err := open(other).Revalidate(t.Context(), id); !errors.Is(err, providers.ErrGone) || errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of a deleted user = %v, want ErrGone", err)
	}
	if _, ok := any(p).(providers.IDTokenVerifier); ok {
		t.Error("the file provider verifies ID tokens")
	}
}

// typed is a password.
func typed(password string) providers.Proof { return providers.Proof{Secret: secret.New(password)} }

// countingHash records the maximum of concurrent calls.
type countingHash struct{ now, most *atomic.Int32 }

func (c countingHash) matches([]byte) bool {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	time.Sleep(time.Second)
	return true
}

func TestConcurrentHashesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Provider{slots: share.New(2, 100), seed: maphash.MakeSeed()}
		h := countingHash{new(atomic.Int32), new(atomic.Int32)}
		for i := range 10 {
			name := fmt.Sprint("user", i)
			p.users.add(&account{subject: name, name: name, hash: h})
		}
		began := time.Now()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				login := providers.Login(fmt.Sprint("user", i))
				if i%2 == 0 {
					p.Pad(t.Context(), time.Now(), login, typed("x")) // takes a slot too
				} else if _, err := providertest.Authenticate(t.Context(), p, login, typed("x")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := providertest.Authenticate(ctx, p, "user0", typed("x"))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, providers.ErrRejected) || providers.MayHaveArrived(err) {
			t.Errorf("Authenticate while every slot is taken = %v, want context.DeadlineExceeded and NotSent: nothing was compared", err)
		}
		all.Wait()
		if h.most.Load() != 2 || time.Since(began) != 5*time.Second {
			t.Errorf("%d concurrent hashes, all done in %v, want 2 in 5s", h.most.Load(), time.Since(began))
		}
	})
}

// TestOneAccountDoesNotDelayOthers (B3): 700 concurrent logins of one account,
// and as many of one unknown name, delay another person's login by a few
// hashes.
func TestOneAccountDoesNotDelayOthers(t *testing.T) {
	for _, cores := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			p := &Provider{slots: share.New(cores, maxWaiting), seed: maphash.MakeSeed()}
			h := countingHash{new(atomic.Int32), new(atomic.Int32)} // of a second each
			for _, name := range []string{"flood", "bob"} {
				p.users.add(&account{subject: name, name: name, hash: h})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var all sync.WaitGroup
			for range 700 {
				all.Go(func() { _, _ = providertest.Authenticate(ctx, p, "flood", typed("x")) })
				all.Go(func() { p.Pad(ctx, time.Now(), "nobody", typed("x")) })
			}
			synctest.Wait()
			began := time.Now()
			if _, err := providertest.Authenticate(ctx, p, "bob", typed("x")); err != nil || time.Since(began) > 4*time.Second {
				t.Errorf("with %d cores bob's login took %s during 1,400 others: %v, want at most the time of four hashes", cores, time.Since(began), err)
			}
			all.Wait()
		})
	}
}

// TestState: State changes with the hash and with disabled, so that a wrong
// password is compared again.
func TestState(t *testing.T) {
	state := func(u User) string {
		t.Helper()
		p, err := New(Config{Users: []User{u}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.Lookup(t.Context(), "bob")
		if err != nil || a.State == "" {
			t.Fatalf("Lookup = %v, %v, want an account with its state", a, err)
		}
		return a.State
	}
	bob := User{Name: "bob", Password: secret.New(cheapHash(t, "one"))}
	before := state(bob)
	disabled, changed := bob, bob
	disabled.Disabled, changed.Password = true, secret.New(cheapHash(t, "two"))
	if state(bob) != before || state(disabled) == before || state(changed) == before {
		t.Errorf("State = %q, disabled %q, with another password %q, want three different ones", before, state(disabled), state(changed))
	}
}

// TestHashMemoryIsBounded: the number of concurrent hashes, of 19 MiB each,
// does not grow with the machine.
func TestHashMemoryIsBounded(t *testing.T) {
	for cores, want := range map[int]int{1: 1, 2: 2, 4: 4, 16: 4, 128: 4} {
		if got := concurrentHashes(cores); got != want {
			t.Errorf("with %d cores there are %d concurrent hashes, want %d, of %d MiB each", cores, got, want, hashMemory>>10)
		}
	}
}

// TestUnknownNameTakesAsLong: as a wrong password. It goes through the chain,
// which calls Equalize.
func TestUnknownNameTakesAsLong(t *testing.T) {
	line, err := Hash(secret.New("right"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Users: []User{{Name: "bob", Password: secret.New(line)}}})
	if err != nil {
		t.Fatal(err)
	}
	took := func(login providers.Login) time.Duration { // in a chain of its own, so that no cache refuses it
		c, err := providers.NewChain([]providers.Member{{Provider: p, Config: providers.Config{Name: "local", Kind: "file"}.WithDefaults()}}, providertest.NewThrottle(), providers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err = c.Authenticate(t.Context(), providers.Credential{Login: login, Secret: secret.New("wrong")}); !errors.Is(err, providers.ErrRejected) {
			t.Fatalf("Authenticate(%q) = %v, want ErrRejected", login, err)
		}
		return time.Since(began)
	}
	known, unknown := time.Hour, time.Hour // the minimum of several runs, since the machine may be busy
	for range 20 {
		known, unknown = min(known, took("bob")), min(unknown, took("nobody"))
	}
	if ratio := float64(unknown) / float64(known); ratio < 0.3 || ratio > 3 {
		t.Errorf("an unknown name takes %v and a known one %v, want about the same", unknown, known)
	}
}
