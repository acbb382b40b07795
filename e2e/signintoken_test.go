package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"

	"shorepass/e2e/browser"
)

// tokenLines are the page of a personal access token.
type tokenLines struct {
	token string
	save  string            // saves the token, from standard input
	tools map[string]string // logs in with what was saved, by tool
}

// makeToken makes a personal access token for repositories, to pull and, if push is true,
// to push, on the list of logins. The browser stays on its page.
func (w *site) makeToken(t *testing.T, p *browser.Page, name, repositories string, push bool) tokenLines {
	t.Helper()
	p.Visit(w.url + "/me")
	p.Click(words("me.token") + ": " + w.registry.host)
	p.See(words("token.title"))
	p.Fill(words("token.name"), name)
	p.Fill(words("token.repositories"), repositories)
	if push {
		p.Toggle(words("token.push"))
	}
	p.Click(words("token.make"))
	p.See(words("token.once"))
	made := tokenLines{tools: make(map[string]string)}
	made.token = secrets.add("personal access token", strings.Join(p.Texts("#token"), " "))
	made.save = strings.Join(p.Texts("#save"), " ")
	for _, tool := range []string{"podman", "skopeo", "buildah", "helm", "oras", "crane", "regctl", "docker"} {
		made.tools[tool] = p.Texts("#line-" + tool)[0]
		if made.tools[tool] == "" { // folded
			p.Toggle(tool)
			made.tools[tool] = p.Texts("#line-" + tool)[0]
		}
	}
	made.tools["oras"] = strings.Replace(made.tools["oras"], "login", "login --plain-http=false", 1) // its default for localhost alone is true
	if !strings.HasPrefix(made.token, "sp_p_") || made.save == "" {
		t.Fatalf("the page shows no token:\n%s", p.Text())
	}
	return made
}

// TestPersonalAccessToken runs the lines of the page as they are, in a shell, at a site
// with a certificate of a CA of its own: they save the token and log each tool in. The tool
// may do what the token's limits name, and nothing after its end.
func TestPersonalAccessToken(t *testing.T) {
	t.Parallel()
	w := newSite(t, siteOptions{tls: true})
	b := startBrowser(t, browser.Options{CAs: []string{filepath.Join(runDir, "localhost.crt")}})
	alice := w.addPerson(t, "alice", "team-alpha", "team-beta")
	p := b.Open(t)
	w.signIn(t, p, alice)
	cookies := slices.DeleteFunc(p.Cookies(), func(c *network.Cookie) bool { return !strings.Contains(c.Name, "shorepass") })
	if len(cookies) == 0 {
		t.Error("the browser has no cookie of the site")
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" {
			t.Errorf("the cookie %s is not one of this host alone, for https and the server alone: %+v", c.Name, c)
		}
	}
	p.Inspect("me")
	p.Click(words("me.token") + ": " + w.registry.host)
	p.Inspect("new-token")
	lines := w.makeToken(t, p, "build server", "team-alpha/**", true)
	p.Inspect("token")

	h := newHome(t)
	sh := func(t *testing.T, stdin, line string) result {
		t.Helper()
		return execute(t, w.toolEnv(t, h), stdin, "sh", "-c", line)
	}
	if got := sh(t, lines.token+"\n", lines.save); !got.ok {
		t.Fatalf("%s: %v", lines.save, got)
	}
	if info, err := os.Stat(filepath.Join(string(h), ".registry-token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the token: %v %v, want mode 0600", info, err)
	}
	chart := packageChart(t)
	image := "oci:" + ociImage(t).layout(t) + ":it"
	own, other := w.registry.host+"/team-alpha/", w.registry.host+"/team-beta/"
	if got := sh(t, "", lines.tools["skopeo"]); !got.ok {
		t.Fatalf("%s: %v", lines.tools["skopeo"], got)
	}
	if got := sh(t, "", "skopeo --insecure-policy copy "+image+" docker://"+own+"app:1"); !got.ok {
		t.Fatalf("skopeo pushes with the token: %v", got)
	}
	for _, tc := range []struct{ tool, may, mayNot string }{
		{"skopeo", "skopeo inspect docker://" + own + "app:1", "skopeo --insecure-policy copy " + image + " docker://" + other + "app:1"},
		{"podman", "podman pull " + own + "app:1", "podman pull " + other + "app:1"},
		{"helm", "helm push " + chart + " oci://" + own + "charts", "helm push " + chart + " oci://" + other + "charts"},
		{"oras", "oras manifest fetch --plain-http=false " + own + "app:1", "oras manifest fetch --plain-http=false " + other + "app:1"},
		{"crane", "crane copy " + own + "app:1 " + own + "app:2", "crane copy " + own + "app:1 " + other + "app:2"},
		{"regctl", "regctl manifest get " + own + "app:1", "regctl manifest get " + other + "app:1"},
	} {
		t.Run(tc.tool, func(t *testing.T) {
			if got := sh(t, "", lines.tools[tc.tool]); !got.ok {
				t.Fatalf("%s: %v", lines.tools[tc.tool], got)
			}
			if got := sh(t, "", tc.may); !got.ok {
				t.Errorf("%s: %v", tc.may, got)
			}
			if got := sh(t, "", tc.mayNot); got.ok {
				t.Errorf("%s: %v\nwant a failure, since the token is limited to team-alpha", tc.mayNot, got)
			}
		})
	}
	t.Run("the page ends it", func(t *testing.T) {
		p.Visit(w.url + "/me")
		p.See(words("me.kind.pat", "build server"))
		p.ClickFirst(words("me.end") + ": " + words("me.kind.pat", "build server"))
		if got := sh(t, "", "skopeo inspect docker://"+own+"app:1"); got.ok || !strings.Contains(got.text, w.namesSignIn()) {
			t.Errorf("skopeo after the token ended: %v\nwant %q", got, w.namesSignIn())
		}
	})
}

// toolEnv returns an environment in which every tool finds its programs, and uses a home.
func (w *site) toolEnv(t *testing.T, h home) []string {
	t.Helper()
	podman, err := filepath.Abs(filepath.Join("..", ".tools", "podman"))
	must(t, err)
	run, err := os.MkdirTemp(runDir, "run-") // whose path has 50 bytes at most
	must(t, err)
	config, storage := filepath.Join(run, "containers.conf"), filepath.Join(run, "storage.conf")
	must(t, os.WriteFile(config, []byte("[engine]\ntmp_dir = \""+run+"\"\n[network]\nnetwork_config_dir = \""+run+"\"\n"), 0o600))
	must(t, os.WriteFile(storage, []byte("[storage]\ndriver = \"vfs\"\ngraphroot = \""+run+"/graph\"\nrunroot = \""+run+"\"\n"), 0o600))
	return append(h.env(), "LD_LIBRARY_PATH="+podman, "PATH="+podman+":"+os.Getenv("PATH"),
		"CONTAINERS_CONF="+config, "CONTAINERS_STORAGE_CONF="+storage, "HELM_REGISTRY_CONFIG="+filepath.Join(string(h), "helm.json"))
}

// packageChart returns the path of the chart of shorepass, as an example of a chart.
func packageChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if got := helmClient(home(dir))(t, "", "package", "../deploy/chart/shorepass", "--destination", dir); !got.ok {
		t.Fatalf("helm package: %v", got)
	}
	charts, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	must(t, err)
	return charts[0]
}
