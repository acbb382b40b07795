package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// helmClient returns a function that runs helm with a registry's credentials in a home.
func helmClient(h home) func(t *testing.T, stdin string, args ...string) result {
	return func(t *testing.T, stdin string, args ...string) result {
		t.Helper()
		need(t, "helm")
		env := append(h.env(), "HELM_REGISTRY_CONFIG="+h.config(), "HELM_CACHE_HOME="+string(h), "HELM_DATA_HOME="+string(h), "HELM_CONFIG_HOME="+string(h), "SOURCE_DATE_EPOCH=1")
		return execute(t, env, stdin, "helm", args...)
	}
}

// TestHelm distributes the chart of shorepass by a registry behind shorepass: helm logs
// in, pushes, pulls and renders it, each where the user may and where the user may not.
func TestHelm(t *testing.T) {
	t.Parallel()
	for _, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := newServer(t, options{}).registry(t, d)
			h := newHome(t)
			helm := helmClient(h)
			if got := helm(t, "", "package", "../deploy/chart/shorepass", "--destination", string(h)); !got.ok {
				t.Fatalf("helm package: %v", got)
			}
			packages, err := filepath.Glob(filepath.Join(string(h), "shorepass-*.tgz"))
			must(t, err)
			pushed, err := os.ReadFile(packages[0])
			must(t, err)
			_, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(packages[0]), ".tgz"), "-")

			login := func(user, password string) result {
				return helm(t, password+"\n", "registry", "login", r.host, "--plain-http", "-u", user, "--password-stdin")
			}
			wrong := secrets.add("wrong password", "alice-is-not-helm")
			if got := login("alice", wrong); got.ok || !strings.Contains(got.text, "incorrect username or password") {
				t.Errorf("helm registry login with a wrong password: %v", got)
			}
			if got := login("alice", testUsers()["alice"].password); !got.ok {
				t.Fatalf("helm registry login: %v", got)
			}
			h.stored(t, r.host)
			if got := helm(t, "", "push", packages[0], "oci://"+r.host+"/team-alpha/charts", "--plain-http"); !got.ok {
				t.Fatalf("helm push as alice: %v", got)
			}
			if got := helm(t, "", "push", packages[0], "oci://"+r.host+"/team-beta/charts", "--plain-http"); got.ok {
				t.Errorf("helm push into a folder of another team: %v\nwant a failure", got)
			}

			if got := login("bob", testUsers()["bob"].password); !got.ok { // a reader
				t.Fatalf("helm registry login as bob: %v", got)
			}
			h.stored(t, r.host)
			pulledTo := t.TempDir()
			chart := "oci://" + r.host + "/team-alpha/charts/shorepass"
			if got := helm(t, "", "pull", chart, "--version", version, "--plain-http", "--destination", pulledTo); !got.ok {
				t.Fatalf("helm pull as bob: %v", got)
			}
			pulled, err := os.ReadFile(filepath.Join(pulledTo, filepath.Base(packages[0])))
			must(t, err)
			if !bytes.Equal(pulled, pushed) {
				t.Error("the pulled chart differs from the pushed one")
			}
			if got := helm(t, "", "template", chart, "--version", version, "--plain-http", "-f", "../deploy/chart/shorepass/examples/postgres.yaml"); !got.ok || !strings.Contains(got.text, "kind: Deployment") {
				t.Errorf("helm template of the pulled chart: %v", got)
			}
			if got := helm(t, "", "push", packages[0], "oci://"+r.host+"/team-alpha/charts", "--plain-http"); got.ok {
				t.Errorf("helm push as a reader: %v\nwant a failure", got)
			}
			if got := helm(t, "", "registry", "logout", r.host); !got.ok {
				t.Errorf("helm registry logout: %v", got)
			}
		})
	}
}
