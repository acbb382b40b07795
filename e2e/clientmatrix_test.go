package e2e

import (
	"strings"
	"testing"
)

// TestClients runs every client against every registry: log in, push, pull, copy,
// list and delete, each where the user may and where the user may not.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{})
			r := s.registry(t, d)
			for _, c := range clients() {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					ct := clientTest{client: c, registry: r, folder: strings.ReplaceAll(strings.ReplaceAll(c.name, " ", "-"), ".", "-")}
					ct.seedImages(t)
					t.Run("pull", ct.testPull)
					t.Run("copy", ct.testCopy)
					t.Run("refused", ct.testRefusals)
					t.Run("anonymous", ct.testAnonymous)
					if c.push != nil {
						t.Run("push", ct.testPush)
					}
					if c.catalog != nil {
						t.Run("catalog", ct.testCatalog)
					}
					if c.remove != nil {
						t.Run("delete", ct.testDelete)
					}
				})
			}
		})
	}
}

// clientTest is one client at one registry. Its repositories are in a folder of
// their own, because the clients run concurrently.
type clientTest struct {
	client
	registry *registry
	folder   string
	seeded   *image // in team-alpha/FOLDER/seed and public/FOLDER, tagged "1"
}

func (c *clientTest) ref(repo string) string { return c.registry.host + "/" + repo }

// loggedInHome logs a user in and returns the home.
func (c *clientTest) loggedInHome(t *testing.T, name string) home {
	t.Helper()
	user, h := testUsers()[name], newHome(t)
	if s := c.login(t, h, c.registry.host, user.name, user.password); !s.ok {
		t.Fatalf("login as %s: %v", name, s)
	}
	h.stored(t, c.registry.host)
	return h
}

// seedImages pushes the seeded image without the client.
func (c *clientTest) seedImages(t *testing.T) {
	c.seeded = dockerImage(t)
	for _, repo := range []string{"team-alpha/" + c.folder + "/seed", "public/" + c.folder} {
		c.registry.seed(t, c.seeded, repo+":1")
	}
}

func (c *clientTest) testPush(t *testing.T) {
	h, i, ref := c.loggedInHome(t, "alice"), ociImage(t), c.ref("team-alpha/"+c.folder+"/pushed:1")
	if s := c.push(t, h, i, ref); !s.ok {
		t.Fatalf("push %s as alice: %v", ref, s)
	}
	if s := c.pull(t, c.loggedInHome(t, "bob"), ref); !s.ok || !s.hasDigest(i.layer.digest()) {
		t.Errorf("pull %s as bob: digests %v, want the layer %s; %v", ref, s.digests, i.layer.digest(), s)
	}
}

func (c *clientTest) testPull(t *testing.T) {
	ref := c.ref("team-alpha/" + c.folder + "/seed:1")
	for _, name := range []string{"root", "alice", "bob"} {
		if s := c.pull(t, c.loggedInHome(t, name), ref); !s.ok || !s.hasDigest(c.seeded.layer.digest()) {
			t.Errorf("pull %s as %s: digests %v, want the layer %s; %v", ref, name, s.digests, c.seeded.layer.digest(), s)
		}
	}
}

func (c *clientTest) testCopy(t *testing.T) {
	from, repo := c.ref("team-alpha/"+c.folder+"/seed:1"), "team-alpha/"+c.folder+"/copied"
	h := c.loggedInHome(t, "alice")
	if c.name == "skopeo" {
		// skopeo mounts only a blob that is in its cache of locations.
		from = c.ref("team-alpha/" + c.folder + "/known:1")
		if s := c.push(t, h, ociImage(t), from); !s.ok {
			t.Fatalf("push %s as alice: %v", from, s)
		}
	}
	if s := c.copy(t, h, from, c.ref(repo+":1")); !s.ok {
		t.Fatalf("copy %s to %s as alice: %v", from, repo, s)
	}
	if !c.registry.mounted(repo) {
		t.Errorf("copy %s to %s: no blob was mounted, want one", from, repo)
	}
}

func (c *clientTest) testRefusals(t *testing.T) {
	send := c.push
	if send == nil {
		send = func(t *testing.T, h home, i *image, ref string) result {
			return c.copy(t, h, c.ref("public/"+c.folder+":1"), ref)
		}
	}
	alpha, beta := "team-alpha/"+c.folder+"/refused:1", "team-beta/"+c.folder+":1"
	for _, tc := range []struct {
		user, ref string
	}{
		{"alice", beta},
		{"alice", "public/" + c.folder + ":2"},
		{"bob", alpha},
		{"eve", alpha},
	} {
		s := send(t, c.loggedInHome(t, tc.user), ociImage(t), c.ref(tc.ref))
		if s.ok || !c.refusedPush.MatchString(s.text) {
			t.Errorf("push %s as %s: %v\nwant a failure that prints %v", tc.ref, tc.user, s, c.refusedPush)
		}
	}
	private := "team-alpha/" + c.folder + "/seed:1"
	s := c.pull(t, c.loggedInHome(t, "eve"), c.ref(private))
	if s.ok || !c.refusedPull.MatchString(s.text) {
		t.Errorf("pull %s as eve: %v\nwant a failure that prints %v", private, s, c.refusedPull)
	}
}

func (c *clientTest) testAnonymous(t *testing.T) {
	public, private := "public/"+c.folder+":1", "team-alpha/"+c.folder+"/seed:1"
	if s := c.pull(t, newHome(t), c.ref(public)); !s.ok || !s.hasDigest(c.seeded.layer.digest()) {
		t.Errorf("pull %s without a login: %v", public, s)
	}
	if s := c.pull(t, newHome(t), c.ref(private)); s.ok {
		t.Errorf("pull %s without a login: %v\nwant a failure", private, s)
	}
	if c.push == nil {
		return
	}
	if s := c.push(t, newHome(t), ociImage(t), c.ref("public/"+c.folder+":3")); s.ok {
		t.Errorf("push %s without a login: %v\nwant a failure", public, s)
	}
}

func (c *clientTest) testCatalog(t *testing.T) {
	want := "public/" + c.folder
	if s := c.catalog(t, c.loggedInHome(t, "root"), c.registry.host); !s.ok || !strings.Contains(s.text, want) {
		t.Errorf("catalog as root: %v\nwant a list with %s", s, want)
	}
	if s := c.catalog(t, c.loggedInHome(t, "alice"), c.registry.host); s.ok {
		t.Errorf("catalog as alice: %v\nwant a failure", s)
	}
}

func (c *clientTest) testDelete(t *testing.T) {
	repo := "team-alpha/" + c.folder + "/removed"
	i := ociImage(t)
	c.registry.seed(t, i, repo+":1")
	if s := c.remove(t, c.loggedInHome(t, "bob"), c.ref(repo), i.manifest.digest()); s.ok {
		t.Errorf("delete %s as bob: %v\nwant a failure", repo, s)
	}
	if s := c.remove(t, c.loggedInHome(t, "alice"), c.ref(repo), i.manifest.digest()); !s.ok {
		t.Errorf("delete %s as alice: %v", repo, s)
	}
	if s := c.pull(t, c.loggedInHome(t, "alice"), c.ref(repo+"@"+i.manifest.digest())); s.ok {
		t.Errorf("pull %s after it was deleted: %v\nwant a failure", repo, s)
	}
}
