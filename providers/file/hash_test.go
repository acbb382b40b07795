package file

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/share"
	"shorepass/providers"
	"shorepass/providers/providertest"
)

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
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, providers.ErrRejected) || providers.MayBeCounted(err) {
			t.Errorf("Authenticate while every slot is taken = %v, want context.DeadlineExceeded and NotCounted: nothing was compared", err)
		}
		all.Wait()
		if h.most.Load() != 2 || time.Since(began) != 5*time.Second {
			t.Errorf("%d concurrent hashes, all done in %v, want 2 in 5s", h.most.Load(), time.Since(began))
		}
	})
}

// TestOneAccountDoesNotDelayOthers: 700 concurrent logins of one account,
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
// which calls Pad.
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
