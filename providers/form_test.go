package providers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/throttle"
)

// tryForm signs in with the form.
func (c *Chain) tryForm(t *testing.T, cred Credential) error {
	t.Helper()
	id, err := c.SignInByForm(t.Context(), cred)
	if (id == nil) == (err == nil) {
		t.Fatalf("SignInByForm(%q) = %v, %v, want either an identity or an error", cred.Login, id, err)
	}
	return err
}

// TestSignInByForm: what the form takes for a password, and which providers see it.
func TestSignInByForm(t *testing.T) {
	corp := func() *directory { return &directory{accounts: bob()} }
	grant := func() *directory {
		return &directory{accounts: map[Login]fakeAccount{"bob": account("right", "9", "bob"), "dave": account("right", "8", "dave")}, catches: true, takes: []Kind{Password, RefreshToken}, issuers: []string{"https://sso"}}
	}
	tokens := func() *directory {
		return &directory{takes: []Kind{RefreshToken, IDToken}, issuers: []string{"https://sso"}}
	}
	for _, test := range []struct {
		name     string
		first    *directory
		kind     string
		second   *directory
		kind2    string
		login    Login
		password string
		want     string
		reached  string // the providers that were asked
	}{
		{"a right password", corp(), "ldap", grant(), "oidc", "bob", "right", "200", "first"},
		{"a wrong one", corp(), "ldap", grant(), "oidc", "bob", "wrong", "401", "first"},
		{"an account of the OpenID provider's", corp(), "ldap", grant(), "oidc", "dave", "right", "401", "first"},
		{"the OpenID provider comes first", grant(), "oidc", corp(), "ldap", "bob", "right", "401", ""},
		{"it takes no passwords, but refresh tokens", tokens(), "oidc", corp(), "ldap", "bob", "right", "200", "second"},
		{"a file before a directory", &directory{accounts: map[Login]fakeAccount{"root": account("right", "1", "root")}}, "file", corp(), "ldap", "bob", "right", "200", "first second"},
		{"an ID token", corp(), "ldap", tokens(), "oidc", "bob", jwt(`{"iss":"https://sso"}`), "401", ""},
		{"an ID token of another issuer", corp(), "ldap", tokens(), "oidc", "bob", jwt(`{"iss":"https://evil"}`), "401", ""},
		{"a provider's refresh token", corp(), "ldap", tokens(), "oidc", "bob", jwt(`{"iss":"https://sso","typ":"Refresh"}`), "401", ""},
		{"one with the scheme of a header", corp(), "ldap", tokens(), "oidc", "bob", "Bearer " + jwt(`{"iss":"https://sso"}`), "401", ""},
		{"an encrypted token", corp(), "ldap", tokens(), "oidc", "bob", encrypted, "401", ""},
		{"a token of ours", corp(), "ldap", tokens(), "oidc", "bob", "ours-1", "401", ""},
		{"one with a line break", corp(), "ldap", tokens(), "oidc", "bob", " ours-1\n", "401", ""},
		{"the name of a refresh token", corp(), "ldap", tokens(), "oidc", "$refresh", "opaque", "401", ""},
		{"the name of a provider's", corp(), "ldap", tokens(), "oidc", "$refresh:second", "opaque", "401", ""},
		{"a name of tools", corp(), "ldap", tokens(), "oidc", "oauth2accesstoken", "right", "401", ""},
		{"no name", corp(), "ldap", tokens(), "oidc", "", "right", "401", ""},
		{"no password", corp(), "ldap", tokens(), "oidc", "bob", "", "401", ""},
		{"a blank password", corp(), "ldap", tokens(), "oidc", "bob", " ", "401", ""},
		{"a password that is too long", corp(), "ldap", tokens(), "oidc", "bob", strings.Repeat("x", maxPassword+1), "401", ""},
		{"one longer than a token", corp(), "ldap", tokens(), "oidc", "bob", strings.Repeat("x", 1<<20), "401", ""},
		{"a password with two dots", corp(), "ldap", tokens(), "oidc", "bob", "a.b.c", "401", "first"},
		{"a directory that is down", &directory{broken: errors.New("connection refused")}, "ldap", grant(), "oidc", "bob", "right", "503", "first"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := chainWith(t, newThrottle(t), Options{OurToken: func(s secret.Text) bool { return strings.HasPrefix(s.Reveal(), "ours-") }},
				Member{test.first, Config{Name: "first", Kind: test.kind, Prefix: pointer("1:")}}, Member{test.second, Config{Name: "second", Kind: test.kind2, Prefix: pointer("2:")}})
			err := c.tryForm(t, typed(test.login, test.password, home))
			var reached []string
			for i, d := range []*directory{test.first, test.second} {
				if d.searches() > 0 {
					reached = append(reached, []string{"first", "second"}[i])
				}
			}
			if got := outcome(err); got != test.want || strings.Join(reached, " ") != test.reached {
				t.Errorf("SignInByForm = %s (%v) after asking %q, want %s after %q", got, err, reached, test.want, test.reached)
			}
		})
	}
}

// encrypted has the form of a JWE.
const encrypted = "eyJhbGciOiJkaXIifQ.a.b.c.d"

// TestFormIdentity: the identity of the form is that of a login with the password, but for
// how and when the person authenticated.
func TestFormIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(t, &directory{accounts: bob(), plain: true}, func(cfg *Config) { cfg.Prefix = pointer("corp:") })
		c.try(t, typed("bob", "right", home))
		time.Sleep(10 * time.Second)
		id, err := c.SignInByForm(t.Context(), typed("bob", "right", home))
		if err != nil {
			t.Fatal(err)
		}
		if id.User != "corp:bob" || !slices.Equal(id.Groups, []string{"authenticated", "corp:devs"}) || id.Method != MethodBrowser ||
			!slices.Equal(id.AMR, []string{"pwd"}) || id.ACR != "" || !id.AuthTime.Equal(time.Now()) {
			t.Errorf("SignInByForm = %+v", id)
		}
		basic, err := c.Authenticate(t.Context(), typed("bob", "right", home))
		if err != nil || basic.Method != MethodPassword || basic.AMR != nil {
			t.Errorf("Authenticate after it = %+v, %v, want the method password and no amr", basic, err)
		}
	})
}

// TestFormSharesCounters: passwords of the form and of docker login count as one, at one replica
// and at two with one store. f stands for the form.
func TestFormSharesCounters(t *testing.T) {
	for _, test := range []struct {
		name, steps string // each FORM-OR-BASIC, password, answer, secrets that reached the directory
	}{
		{"the form counts for docker login", "f w1 401 1, f w2 401 2, f w3 401 3, b w4 429 3, b right 429 3, f right 429 3"},
		{"docker login counts for the form", "b w1 401 1, b w2 401 2, b w3 401 3, f w4 429 3, f right 429 3, b right 429 3"},
		{"a wrong password is sent once", "f w1 401 1, b w1 401 1, f w1 401 1"},
		{"a right one is asked for each time at the form", "b right 200 1, b right 200 1, f right 200 2, f right 200 3"},
		{"a sign-in leaves a proof for docker login, which has one guess more", "f right 200 1, b w1 401 2, b w2 401 3, b w3 401 4, b w4 401 5, b w5 429 5"},
		{"and for itself", "b right 200 1, f w1 401 2, f w2 401 3, f w3 401 4, f w4 401 5, f w5 429 5"},
	} {
		for _, replicas := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d replicas", test.name, replicas), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, d := throttle.NewMemoryStore(), &directory{accounts: bob()}
					chains := make([]*Chain, replicas)
					for i := range chains {
						chains[i] = chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap"}})
					}
					for i, text := range strings.Split(test.steps, ", ") {
						var by, password, want string
						var reached int
						if _, err := fmt.Sscan(text, &by, &password, &want, &reached); err != nil {
							t.Fatal(err)
						}
						try, replica := (*Chain).try, 0
						if by == "f" {
							try, replica = (*Chain).tryForm, replicas-1
						}
						got := outcome(try(chains[replica], t, typed("bob", password, home)))
						if got != want || d.reached() != reached {
							t.Errorf("step %d (%s) = %s, and %d secrets have reached the directory", i, text, got, d.reached())
						}
						time.Sleep(time.Second) // so that what is written after the answer is there
					}
				})
			})
		}
	}
}

// TestFormAddressBudget: refusals of the form count for the address together with those of docker
// login; tokens count for the address alone.
func TestFormAddressBudget(t *testing.T) {
	password := func(i int) Credential { return typed(Login(fmt.Sprint("nobody", i)), "w", home) }
	token := func(i int) Credential {
		return typed("bob", jwt(fmt.Sprintf(`{"iss":"https://sso","sub":"%d"}`, i)), home)
	}
	for _, refused := range []func(i int) Credential{password, token} {
		synctest.Test(t, func(t *testing.T) {
			c := one(t, &directory{accounts: bob()}, nil)
			for i := range addressFailures {
				try := c.tryForm
				if cred := c.Recognize(refused(i)); cred.Kind() == Password && i%2 == 0 {
					try = c.try
				}
				if got := outcome(try(t, refused(i))); got != "401" {
					t.Fatalf("refusal %d = %s, want 401", i, got)
				}
			}
			for _, try := range []func(*testing.T, Credential) error{c.try, c.tryForm} {
				if got := outcome(try(t, typed("bob", "right", home))); got != "429" {
					t.Errorf("from an address without budget = %s, want 429", got)
				}
				if got := outcome(try(t, typed("bob", "right", stranger))); got != "200" {
					t.Errorf("from another address = %s, want 200", got)
				}
			}
		})
	}
}

// TestFormRefusals: each refusal of the form has the same kind and takes the time of a wrong
// password, also where a provider that the form does not ask would be next.
func TestFormRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: 70 * time.Millisecond}
		locked := account("right", "uuid-3", "locked")
		locked.refusal = Reject(Locked, errors.New("locked"))
		d.accounts["locked"] = locked
		sso := &directory{catches: true, slow: time.Second}
		c := chainOf(t, newThrottle(t), Member{d, Config{Name: "corp", Kind: "ldap", Prefix: pointer(""), Match: []string{"*"}}},
			Member{sso, Config{Name: "sso", Kind: "oidc", Prefix: pointer("")}})
		for _, test := range []struct{ name, login, password string }{
			{"a wrong password", "bob", "wrong"},
			{"the same again", "bob", "wrong"},
			{"no account", "nobody", "wrong"},
			{"the same again", "nobody", "wrong"},
			{"a locked account", "locked", "right"},
			{"the same again", "locked", "right"},
			{"a token", "bob", jwt(`{"iss":"https://sso"}`)},
			{"the same again", "bob", jwt(`{"iss":"https://sso"}`)},
		} {
			began := time.Now()
			err := c.tryForm(t, typed(Login(test.login), test.password, stranger))
			if outcome(err) != "401" || time.Since(began) != d.slow {
				t.Errorf("%s = %v after %v, want 401 after %v", test.name, err, time.Since(began), d.slow)
			}
		}
		if sso.searches() != 0 {
			t.Errorf("the OpenID provider was asked %d times, want never", sso.searches())
		}
	})
}

// TestFormAndLoginConcurrently: of concurrent equal passwords of the form and of docker login one
// reaches the directory, and each has the identity of its own way.
func TestFormAndLoginConcurrently(t *testing.T) {
	for _, password := range []string{"wrong", "right"} {
		synctest.Test(t, func(t *testing.T) {
			d := &directory{accounts: bob(), slow: time.Second, plain: true}
			c := one(t, d, nil)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					authenticate, want := c.Authenticate, MethodPassword
					if i%2 == 0 {
						authenticate, want = c.SignInByForm, MethodBrowser
					}
					cred := typed("bob", password, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
					cred.Offline = i%4 == 1
					id, err := authenticate(context.Background(), cred)
					if id != nil && id.Method != want || (err == nil) != (password == "right") {
						t.Errorf("login %d = %+v, %v, want the method %s", i, id, err, want)
					}
				})
			}
			all.Wait()
			if password == "wrong" && d.reached() != 1 || d.reached() > 3 {
				t.Errorf("the %s password reached the directory %d times", password, d.reached())
			}
		})
	}
}

// TestFormSharesNoLogin: a sign-in with the form does not share the answer of an equal login that
// may ask an OpenID provider.
func TestFormSharesNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sso := &directory{accounts: map[Login]fakeAccount{"dave": account("right", "8", "dave")}, catches: true, slow: time.Second, plain: true}
		c := chainOf(t, newThrottle(t), Member{&directory{}, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}}, Member{sso, Config{Name: "sso", Kind: "oidc", Prefix: pointer("")}})
		cred := typed("dave", "right", home)
		cred.Offline = true
		var login sync.WaitGroup
		login.Go(func() {
			if got := outcome(c.try(t, cred)); got != "200" {
				t.Errorf("docker login = %s, want 200", got)
			}
		})
		synctest.Wait()
		if got := outcome(c.tryForm(t, cred)); got != "401" {
			t.Errorf("the form meanwhile = %s, want 401", got)
		}
		login.Wait()
	})
}

// TestFormGuessesOnReplicas: of concurrent guesses at the form and at docker login, on several
// replicas, no more reach the directory than of those that come one after another.
func TestFormGuessesOnReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slowStore{throttle.NewMemoryStore(), 5 * time.Millisecond}
		d := &directory{accounts: bob(), slow: time.Second}
		var replicas []*Chain
		for range 3 {
			replicas = append(replicas, chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap"}}))
		}
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				try := replicas[i%3].try
				if i%2 == 0 {
					try = replicas[i%3].tryForm
				}
				cred := typed("bob", fmt.Sprint("w", i), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
				if got := outcome(try(t, cred)); got != "401" && got != "429" {
					t.Errorf("a guess = %s, want 401 or 429", got)
				}
			})
		}
		all.Wait()
		if d.reached() > strangers {
			t.Errorf("%d guesses reached the directory, want %d at most", d.reached(), strangers)
		}
	})
}

// TestFormCircuitBreaker: the circuit breaker counts the form's passwords at the providers that
// were asked, and while it is open a refusal is unavailable.
func TestFormCircuitBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: 70 * time.Millisecond}
		sso := &directory{catches: true}
		breaker := &testBreaker{open: make(map[string]bool)}
		c := chainWith(t, newThrottle(t), Options{CircuitBreaker: breaker},
			Member{d, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}}, Member{sso, Config{Name: "sso", Kind: "oidc", Prefix: pointer("")}})
		for _, test := range []struct {
			login    Login
			password string
			open     string
			want     string
			notes    string
		}{
			{"bob", "right", "", "200", "[corp uuid-1 known=false accepted=true]"},
			{"bob", "right", "", "200", "[corp uuid-1 known=true accepted=true]"},
			{"bob", "wrong", "", "401", "[corp uuid-1 known=true accepted=false]"},
			{"nobody", "wrong", "", "401", "[corp nobody known=false accepted=false]"},
			{"bob", "wrong 2", "corp", "503", "[corp uuid-1 known=true accepted=false]"},
			{"nobody", "wrong 2", "corp", "503", "[corp nobody known=false accepted=false]"},
			{"nobody", "wrong 3", "sso", "401", "[corp nobody known=false accepted=false]"},
			{"bob", "right", "corp", "200", "[corp uuid-1 known=true accepted=true]"},
		} {
			breaker.notes, breaker.open = nil, map[string]bool{test.open: true}
			got := outcome(c.tryForm(t, typed(test.login, test.password, home)))
			if got != test.want || fmt.Sprint(breaker.notes) != test.notes {
				t.Errorf("%s with %q = %s, noted %s, want %s, %s", test.login, test.password, got, breaker.notes, test.want, test.notes)
			}
			time.Sleep(time.Second)
		}
	})
}
