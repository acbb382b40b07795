package packaging

import (
	"os"
	"strings"
	"testing"
)

// TestRPM: the RPM is installed, upgraded and erased in a fresh root. The root is a Debian,
// so what the package depends on is not there, but for the programs of its scripts.
func TestRPM(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", "rpm")
	m := newMachine(t)
	rpm := func(args ...string) string {
		return command(t, "rpm", append([]string{"--root", m.root, "--nodeps"}, args...)...)
	}
	command(t, "rpm", "-K", "--nosignature", first.rpm(t))
	requires := command(t, "rpm", "-qp", "--requires", first.rpm(t))
	for _, want := range []string{"systemd", "shadow-utils", "util-linux"} { // of the unit and the scripts
		if !strings.Contains(requires, want+"\n") {
			t.Errorf("the RPM does not require %s", want)
		}
	}

	if out := rpm("--install", first.rpm(t)); !strings.Contains(out, "installed and not started") {
		t.Errorf("the installation does not say what is next:\n%s", out)
	}
	for path, want := range map[string]string{
		"/etc/shorepass":     "750 root shorepass",
		configFile:           "640 root shorepass",
		"/var/lib/shorepass": "700 shorepass shorepass",
	} {
		if got := m.run(t, "stat --format='%a %U %G' "+path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	m.run(t, "shorepass check")
	rpm("--verify", "shorepass")

	m.configure(t, "[token]", "# edited\n[token]")
	rpm("--upgrade", second.rpm(t))
	m.run(t, "grep --quiet edited "+configFile)
	if got := m.run(t, "shorepass version"); !strings.Contains(got, second.version) {
		t.Errorf("after the upgrade the version is %s", got)
	}
	rpm("--erase", "shorepass")
	m.run(t, "grep --quiet edited "+configFile+".rpmsave; test ! -e /usr/bin/shorepass")
	if _, err := os.Stat(m.root + "/var/lib/shorepass"); err != nil {
		t.Errorf("the data: %v", err)
	}
}
