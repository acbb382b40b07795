package e2e

import (
	"strings"
	"testing"
)

// TestClients plays every client at every registry: log in, push, pull, copy,
// list, delete, where the person may and where they may not.
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
					j := journey{client: c, registry: r, folder: strings.ReplaceAll(strings.ReplaceAll(c.name, " ", "-"), ".", "-")}
					j.seed(t)
					t.Run("pull", j.pull)
					t.Run("copy", j.copy)
					t.Run("refused", j.refused)
					t.Run("anonymous", j.anonymous)
					if c.push != nil {
						t.Run("push", j.push)
					}
					if c.catalog != nil {
						t.Run("catalog", j.catalog)
					}
					if c.remove != nil {
						t.Run("delete", j.remove)
					}
				})
			}
		})
	}
}

// journey is one client at one registry. What it makes is in a folder of its
// own, since the others are there too.
type journey struct {
	client
	registry *registry
	folder   string
	seeded   *image // lies in team-alpha/FOLDER/seed and public/FOLDER, tagged "1"
}

func (j *journey) ref(repo string) string { return j.registry.host + "/" + repo }

// member returns the home of somebody who is logged in.
func (j *journey) member(t *testing.T, name string) home {
	t.Helper()
	who, h := testUsers()[name], newHome(t)
	if s := j.login(t, h, j.registry.host, who.name, who.password); !s.ok {
		t.Fatalf("login as %s: %v", name, s)
	}
	h.stored(t, j.registry.host)
	return h
}

// seed puts an image where it can be pulled from, without the client's help.
func (j *journey) seed(t *testing.T) {
	j.seeded = dockerImage(t)
	for _, repo := range []string{"team-alpha/" + j.folder + "/seed", "public/" + j.folder} {
		j.registry.seed(t, j.seeded, repo+":1")
	}
}

func (j *journey) push(t *testing.T) {
	h, i, ref := j.member(t, "alice"), ociImage(t), j.ref("team-alpha/"+j.folder+"/pushed:1")
	if s := j.client.push(t, h, i, ref); !s.ok {
		t.Fatalf("push %s as alice: %v", ref, s)
	}
	if s := j.client.pull(t, j.member(t, "bob"), ref); !s.ok || !s.hasDigest(i.layer.digest()) {
		t.Errorf("pull %s as bob brought %v, want the layer %s; %v", ref, s.digests, i.layer.digest(), s)
	}
}

func (j *journey) pull(t *testing.T) {
	ref := j.ref("team-alpha/" + j.folder + "/seed:1")
	for _, name := range []string{"root", "alice", "bob"} {
		if s := j.client.pull(t, j.member(t, name), ref); !s.ok || !s.hasDigest(j.seeded.layer.digest()) {
			t.Errorf("pull %s as %s brought %v, want the layer %s; %v", ref, name, s.digests, j.seeded.layer.digest(), s)
		}
	}
}

func (j *journey) copy(t *testing.T) {
	from, repo := j.ref("team-alpha/"+j.folder+"/seed:1"), "team-alpha/"+j.folder+"/copied"
	h := j.member(t, "alice")
	if j.client.name == "skopeo" {
		// skopeo mounts what it remembers to have seen in the registry.
		from = j.ref("team-alpha/" + j.folder + "/known:1")
		if s := j.client.push(t, h, ociImage(t), from); !s.ok {
			t.Fatalf("push %s as alice: %v", from, s)
		}
	}
	if s := j.client.copy(t, h, from, j.ref(repo+":1")); !s.ok {
		t.Fatalf("copy %s to %s as alice: %v", from, repo, s)
	}
	if !j.registry.mounted(repo) {
		t.Errorf("copy %s to %s: no blob was mounted", from, repo)
	}
}

func (j *journey) refused(t *testing.T) {
	send := j.client.push
	if send == nil {
		send = func(t *testing.T, h home, i *image, ref string) result {
			return j.client.copy(t, h, j.ref("public/"+j.folder+":1"), ref)
		}
	}
	own, foreign := "team-alpha/"+j.folder+"/refused:1", "team-beta/"+j.folder+":1"
	for _, tc := range []struct {
		who, ref string
	}{
		{"alice", foreign},
		{"alice", "public/" + j.folder + ":2"},
		{"bob", own},
		{"eve", own},
	} {
		s := send(t, j.member(t, tc.who), ociImage(t), j.ref(tc.ref))
		if s.ok || !j.client.refusedPush.MatchString(s.text) {
			t.Errorf("push %s as %s: %v\nwant a failure that prints %v", tc.ref, tc.who, s, j.client.refusedPush)
		}
	}
	private := "team-alpha/" + j.folder + "/seed:1"
	s := j.client.pull(t, j.member(t, "eve"), j.ref(private))
	if s.ok || !j.client.refusedPull.MatchString(s.text) {
		t.Errorf("pull %s as eve: %v\nwant a failure that prints %v", private, s, j.client.refusedPull)
	}
}

func (j *journey) anonymous(t *testing.T) {
	public, private := "public/"+j.folder+":1", "team-alpha/"+j.folder+"/seed:1"
	if s := j.client.pull(t, newHome(t), j.ref(public)); !s.ok || !s.hasDigest(j.seeded.layer.digest()) {
		t.Errorf("pull %s without a login: %v", public, s)
	}
	if s := j.client.pull(t, newHome(t), j.ref(private)); s.ok {
		t.Errorf("pull %s without a login: %v\nwant a failure", private, s)
	}
	if j.client.push == nil {
		return
	}
	if s := j.client.push(t, newHome(t), ociImage(t), j.ref("public/"+j.folder+":3")); s.ok {
		t.Errorf("push %s without a login: %v\nwant a failure", public, s)
	}
}

func (j *journey) catalog(t *testing.T) {
	known := "public/" + j.folder
	if s := j.client.catalog(t, j.member(t, "root"), j.registry.host); !s.ok || !strings.Contains(s.text, known) {
		t.Errorf("catalog as root: %v\nwant a list with %s", s, known)
	}
	if s := j.client.catalog(t, j.member(t, "alice"), j.registry.host); s.ok {
		t.Errorf("catalog as alice: %v\nwant a failure", s)
	}
}

func (j *journey) remove(t *testing.T) {
	repo := "team-alpha/" + j.folder + "/removed"
	i := ociImage(t)
	j.registry.seed(t, i, repo+":1")
	if s := j.client.remove(t, j.member(t, "bob"), j.ref(repo), i.manifest.digest()); s.ok {
		t.Errorf("delete %s as bob: %v\nwant a failure", repo, s)
	}
	if s := j.client.remove(t, j.member(t, "alice"), j.ref(repo), i.manifest.digest()); !s.ok {
		t.Errorf("delete %s as alice: %v", repo, s)
	}
	if s := j.client.pull(t, j.member(t, "alice"), j.ref(repo+"@"+i.manifest.digest())); s.ok {
		t.Errorf("pull %s after it was deleted: %v\nwant a failure", repo, s)
	}
}
