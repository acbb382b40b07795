package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// mountedFiles is a volume as kubelet writes a projected one: a hidden folder for each
// version, the link ..data to the one in force, and a link for each file.
type mountedFiles struct {
	folder   string
	versions int
}

// write puts files in force, all in one step, and deletes the last version.
func (m *mountedFiles) write(t *testing.T, files map[string]string) {
	t.Helper()
	m.versions++
	version := fmt.Sprintf("..2026_11_27_%d", m.versions)
	must(t, os.Mkdir(filepath.Join(m.folder, version), 0o755))
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(m.folder, version, name), []byte(text), 0o440))
	}
	data := filepath.Join(m.folder, "..data")
	old, err := os.Readlink(data)
	first := err != nil
	must(t, os.Symlink(version, data+"_tmp"))
	must(t, os.Rename(data+"_tmp", data))
	if !first {
		must(t, os.RemoveAll(filepath.Join(m.folder, old)))
		return
	}
	for name := range files {
		must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(m.folder, name)))
	}
}

// TestMountedFiles changes the configuration and a Secret beside it as Kubernetes does in
// a running pod: the server loads both without a signal. A configuration with a fault
// leaves the old one in force.
func TestMountedFiles(t *testing.T) {
	t.Parallel()
	s := &server{dir: t.TempDir(), port: freePort(t), root: rootCA}
	s.url, s.config = fmt.Sprintf("http://localhost:%d", s.port), filepath.Join(s.dir, "text.toml")
	configuration := func(rules string) string {
		s.writeConfig(t, options{
			session:   fmt.Sprintf("store = \"sqlite:%s/data/shorepass.db\"", s.dir),
			providers: "[[provider]]\nname = \"local\"\nkind = \"file\"\n[[provider.user]]\nname = \"alice\"\npassword = { file = \"alice.hash\" }\ngroups = [\"team-alpha\"]\n",
			rules:     rules,
		})
		text, err := os.ReadFile(s.config)
		must(t, err)
		return string(text)
	}
	before, after, faulty := configuration(testRules), configuration(testRules+"[[rule]]\nname = \"more\"\nusers = [\"alice\"]\nrepositories = [\"team-beta/**\"]\nactions = [\"pull\"]\n"), configuration("[[rule]]\n")
	oldPassword, oldHash := passwordAndHash(t, "alice")
	newPassword, newHash := passwordAndHash(t, "alice")

	volume := &mountedFiles{folder: t.TempDir()}
	volume.write(t, map[string]string{"shorepass.toml": before, "alice.hash": oldHash})
	s.config = filepath.Join(volume.folder, "shorepass.toml")
	s.start(t)
	pull := func(password string) answer {
		t.Helper()
		return s.get(t, "service="+service+"&scope=repository:team-beta/x:pull", basic("alice", password))
	}
	if a := pull(oldPassword); a.Status != http.StatusForbidden {
		t.Fatalf("before the change: %v, want 403", a)
	}

	volume.write(t, map[string]string{"shorepass.toml": after, "alice.hash": newHash})
	s.process.await(t, 20*time.Second, func() error {
		if len(s.logLines(`"the configuration was reloaded"`)) == 0 {
			return errors.New("the configuration was not reloaded")
		}
		return nil
	})
	if a := pull(newPassword); a.Status != http.StatusOK {
		t.Errorf("with the new Secret's password and the new rule: %v, want 200", a)
	}
	if a := pull(oldPassword); a.Status != http.StatusUnauthorized {
		t.Errorf("with the old Secret's password: %v, want 401", a)
	}

	volume.write(t, map[string]string{"shorepass.toml": faulty, "alice.hash": oldHash})
	s.process.await(t, 20*time.Second, func() error {
		if checkOK(s.url+"/readyz?all") == nil {
			return errors.New("/readyz?all does not report the fault")
		}
		return nil
	})
	if a := pull(newPassword); a.Status != http.StatusOK {
		t.Errorf("while the new configuration has a fault: %v, want 200 by the old one", a)
	}
}

// passwordAndHash returns a new password and its hash.
func passwordAndHash(t *testing.T, name string) (password, hash string) {
	t.Helper()
	password = secrets.newPassword(name)
	data, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(t, err)
	return password, string(data)
}
