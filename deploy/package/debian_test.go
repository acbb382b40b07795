package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// configured is a configuration with a person, whose sealing key is a credential of the
// unit. The password of demo is demo.
const configured = `[server]
listen  = "127.0.0.1:5001"
contact = "the platform team"
[token]
issuer   = "shorepass"
services = ["container_registry"]
[session]
seal_key = { file = "$CREDENTIALS_DIRECTORY/seal" }
[[provider]]
name = "local"
kind = "file"
[[provider.user]]
name     = "demo"
password = "$argon2id$v=19$m=19456,t=2,p=1$15hgF8sPbDWELi7JyYB6zA$stP6Ssa6BTmEcJt9Pn/tUfOBxq4khfRaFaNZt+pk3Fo"
groups   = ["team-demo"]
[[rule]]
groups       = ["team-*"]
repositories = ["{group}/**"]
actions      = ["pull", "push"]
`

const (
	configFile = "/etc/shorepass/shorepass.toml"
	dropIn     = "/etc/systemd/system/shorepass.service.d/test.conf"
	credential = "[Service]\nLoadCredentialEncrypted=seal:/etc/shorepass/seal.cred\n"
)

// TestDebianPackage is the life of an installation: installed, configured, run by systemd,
// upgraded, removed and purged.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	need(t, "nfpm")
	m := newMachine(t)
	for _, step := range []struct {
		name string
		test func(*testing.T, *machine)
	}{
		{"installed and not started", testInstalled},
		{"started with encrypted credentials", testStarted},
		{"hardened", testHardened},
		{"reloaded", testReloaded},
		{"a refused reload", testRefusedReload},
		{"audit file rotated", testRotated},
		{"restarted by the watchdog", testWatchdog},
		{"a refused start", testRefusedStart},
		{"waits for the database", testWaitsForDatabase},
		{"a port below 1024", testLowPort},
		{"upgraded", testUpgraded},
		{"a refused upgrade", testRefusedUpgrade},
		{"upgraded under another unit", testOtherUnit},
		{"stopped", testStopped},
		{"removed and purged", testPurged},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.test(t, m) }) {
			t.FailNow() // the next one begins where this one ends
		}
		if m.init == 0 {
			m.boot(t)
		}
	}
}

// show returns properties of the service, as KEY=VALUE lines.
func (m *machine) show(t *testing.T, properties string) string {
	t.Helper()
	return m.run(t, "systemctl show --property="+properties+" shorepass.service")
}

// serves checks that demo gets a token.
func (m *machine) serves(t *testing.T) {
	t.Helper()
	const ask = `curl --silent --user demo:demo "http://127.0.0.1:5001/jwt/auth?service=container_registry&scope=repository:team-demo/app:push"`
	if out := m.run(t, ask); !strings.Contains(out, `"token":"ey`) {
		t.Fatalf("no token: %s\n%s", out, m.journal(t))
	}
}

// configure replaces a text in the configuration.
func (m *machine) configure(t *testing.T, old, text string) {
	t.Helper()
	now, err := os.ReadFile(filepath.Join(m.root, configFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(now), old) {
		t.Fatalf("the configuration has no %q", old)
	}
	m.write(t, configFile, strings.Replace(string(now), old, text, 1))
}

// dropIn replaces the test's drop-in of the unit.
func (m *machine) dropIn(t *testing.T, text string) {
	t.Helper()
	m.write(t, dropIn, text)
	m.run(t, "systemctl daemon-reload")
}

func testInstalled(t *testing.T, m *machine) {
	install, _, _ := strings.Cut(pageBlock(t, "apt install"), " #")
	m.put(t, first.deb(t))
	// Without a network: what is only recommended is not there.
	out := m.run(t, "cd /root; "+strings.Replace(install, "sudo apt install", "apt-get install --yes --no-install-recommends", 1))
	if !strings.Contains(out, "installed and not started") || !strings.Contains(out, "shorepass check") {
		t.Errorf("the installation does not say what is next:\n%s", out)
	}
	if out := m.run(t, "systemd-analyze verify --man=no shorepass.service 2>&1"); strings.Contains(out, "shorepass.service") {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	for path, want := range map[string]string{
		"/etc/shorepass":             "750 root shorepass",
		configFile:                   "640 root shorepass",
		"/usr/bin/shorepass":         "755 root root",
		"/usr/share/man/man1":        "755 root root",
		"/etc/logrotate.d/shorepass": "644 root root",
	} {
		if got := m.run(t, "stat --format='%a %U %G' "+path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if got := m.run(t, "getent passwd shorepass"); !strings.HasSuffix(got, ":/var/lib/shorepass:/usr/sbin/nologin") {
		t.Errorf("the user is %s", got)
	}
	if got := m.run(t, "systemctl is-enabled shorepass.service || true"); got != "disabled" {
		t.Errorf("the unit is %s; a server without a configuration must not start at boot", got)
	}
	if out := m.run(t, "setpriv --reuid=shorepass --regid=shorepass --clear-groups --inh-caps=-all shorepass check"); !strings.Contains(out, "there is no [[provider]], so nobody can log in") {
		t.Errorf("check says of the configuration as installed:\n%s", out)
	}
}

func testStarted(t *testing.T, m *machine) {
	m.write(t, configFile, configured)
	encrypt, _, _ := strings.Cut(pageBlock(t, "systemd-creds encrypt"), " #")
	encrypt = strings.NewReplacer("sudo ", "", "ldap", "seal", " - ", " --with-key=host /root/seal.key ").Replace(encrypt) // no TPM
	m.run(t, "shorepass keys init --seal-key /root/seal.key; "+encrypt+"; rm /root/seal.key")
	if want := strings.ReplaceAll(pageBlock(t, "LoadCredentialEncrypted="), "ldap", "seal"); credential != want {
		t.Errorf("the page has another drop-in:\n%s", want)
	}
	m.dropIn(t, credential)
	m.run(t, "systemctl enable --now shorepass.service")
	// It is ready when systemctl returns.
	if got := m.run(t, "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:5001/v2/"); got != "401" {
		t.Errorf("right after the start /v2/ is answered %s, want 401", got)
	}
	m.serves(t)
	if got := m.show(t, "StatusText,ActiveState"); !strings.Contains(got, "StatusText=serving 1 services, 1 providers, 1 rules") || !strings.Contains(got, "ActiveState=active") {
		t.Error(got)
	}
	m.run(t, "shorepass check --config "+configFile+" || CREDENTIALS_DIRECTORY=/run/credentials/shorepass.service shorepass check")
	m.run(t, "CREDENTIALS_DIRECTORY=/run/credentials/shorepass.service shorepass sessions list")
}

func testHardened(t *testing.T, m *machine) {
	status := m.run(t, "cat /proc/$(systemctl show --property=MainPID --value shorepass.service)/status")
	uid := m.run(t, "id -u shorepass")
	for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "Uid:\t" + uid + "\t" + uid} {
		if !strings.Contains(status, want) {
			t.Errorf("the process has no %q:\n%s", want, status)
		}
	}
	for path, want := range map[string]string{
		"/var/lib/shorepass":                 "700 shorepass shorepass",
		"/var/lib/shorepass/data":            "700 shorepass shorepass",
		"/var/lib/shorepass/data/RootCA.key": "600 shorepass shorepass",
		"/var/log/shorepass":                 "700 shorepass shorepass",
	} {
		if got := m.run(t, "stat --format='%a %U %G' "+path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	inside := "nsenter --mount --target=$(systemctl show --property=MainPID --value shorepass.service) "
	for _, path := range []string{"/etc/shorepass/x", "/usr/bin/x", "/root/x"} {
		m.fails(t, inside+"touch "+path) // even root cannot, in its mounts
	}
	m.run(t, inside+"touch /var/log/shorepass/x")
}

func testReloaded(t *testing.T, m *machine) {
	before := m.show(t, "MainPID")
	m.configure(t, "the platform team", "the harbour office")
	m.run(t, "systemctl reload shorepass.service")
	m.until(t, "journalctl --unit=shorepass --output=cat", "the configuration was reloaded")
	m.serves(t)
	if after := m.show(t, "MainPID"); after != before {
		t.Errorf("a reload restarted the server: %s, then %s", before, after)
	}
}

func testRefusedReload(t *testing.T, m *machine) {
	m.configure(t, "contact =", "contct =")
	m.fails(t, "systemctl reload shorepass.service")
	m.until(t, "journalctl --unit=shorepass --output=cat", `unknown key "contct"; did you mean "contact"?`)
	m.until(t, "systemctl show shorepass.service", "ActiveState=active", "the one on disk", configFile+":3: server.contct; the log has the reason")
	m.serves(t)
	// A signal goes to the server itself, which reports the same.
	m.run(t, "systemctl kill --kill-whom=main --signal=HUP shorepass.service")
	m.until(t, "systemctl show shorepass.service", "ActiveState=active", "by an older configuration; the one on disk is refused: "+configFile+":3: server.contct")
	m.configure(t, "contct =", "contact =")
	m.run(t, "systemctl reload shorepass.service")
	m.until(t, "systemctl show shorepass.service", "StatusText=serving 1 services, 1 providers, 1 rules\n")
}

func testRotated(t *testing.T, m *machine) {
	m.configure(t, "[token]", "[audit]\nto = \"file:/var/log/shorepass/audit.log\"\n[token]")
	m.run(t, "systemctl restart shorepass.service")
	m.serves(t)
	m.run(t, "logrotate --force /etc/logrotate.d/shorepass")
	m.until(t, "ls /var/log/shorepass", "audit.log\n", "audit.log.1\n")
	m.serves(t)
	for _, file := range []string{"audit.log", "audit.log.1"} {
		m.until(t, "cat /var/log/shorepass/"+file, `"user":"demo"`)
		if got := m.run(t, "stat --format='%a %U' /var/log/shorepass/"+file); got != "600 shorepass" {
			t.Errorf("%s is %s", file, got)
		}
	}
}

func testWatchdog(t *testing.T, m *machine) {
	m.dropIn(t, credential+"WatchdogSec=1s\n")
	m.run(t, "systemctl restart shorepass.service")
	before := m.show(t, "MainPID")
	m.run(t, "sleep 2") // it does not end a server that lives
	if after := m.show(t, "MainPID,NRestarts"); !strings.Contains(after, before) || !strings.Contains(after, "NRestarts=0") {
		t.Fatalf("%s became %s\n%s", before, after, m.journal(t))
	}
	m.run(t, "kill -STOP $(systemctl show --property=MainPID --value shorepass.service)")
	m.until(t, "systemctl show shorepass.service", "NRestarts=1", "ActiveState=active")
	m.serves(t)
	m.dropIn(t, credential)
}

func testRefusedStart(t *testing.T, m *machine) {
	m.configure(t, "contact =", "contct =")
	m.fails(t, "systemctl restart shorepass.service")
	m.run(t, "sleep 3") // more than RestartSec
	got := m.show(t, "ActiveState,ExecMainStatus,NRestarts,StatusText")
	for _, want := range []string{"ActiveState=failed", "ExecMainStatus=78", "NRestarts=0", "StatusText=the configuration is refused: " + configFile + ":3: server.contct"} {
		if !strings.Contains(got, want) {
			t.Errorf("after a refused start the unit has\n%s\nwant %s", got, want)
		}
	}
	m.configure(t, "contct =", "contact =")
	m.run(t, "systemctl restart shorepass.service")
	m.serves(t)
}

func testWaitsForDatabase(t *testing.T, m *machine) {
	m.write(t, "/root/store", "postgres://shorepass:canary@127.0.0.1:1/shorepass")
	m.dropIn(t, credential+"LoadCredential=store:/root/store\nTimeoutStartSec=2s\n")
	const away = "[session]\nstore = { file = \"$CREDENTIALS_DIRECTORY/store\" }\n"
	const root = "[token]\nroot_certificate = \"/var/lib/shorepass/data/RootCA.crt\"\nroot_key = \"/var/lib/shorepass/data/RootCA.key\"\n"
	m.configure(t, "[session]\n", away)
	m.configure(t, "[token]\n", root)
	m.run(t, "systemctl restart --no-block shorepass.service; sleep 4") // twice the timeout
	m.until(t, "systemctl show shorepass.service", "ActiveState=activating", "StatusText=waiting for the store (postgres), which is unavailable")
	m.run(t, "timeout 20 dpkg --install /root/"+filepath.Base(first.deb(t))) // an upgrade does not wait
	m.until(t, "systemctl show shorepass.service", "ActiveState=activating", "StatusText=waiting for the store (postgres)")
	m.configure(t, away, "[session]\n")
	m.configure(t, root, "[token]\n")
	m.dropIn(t, credential)
	m.run(t, "systemctl restart shorepass.service")
	m.serves(t)
}

// testLowPort takes the drop-in of the page.
func testLowPort(t *testing.T, m *machine) {
	m.dropIn(t, pageBlock(t, "AmbientCapabilities=")+strings.TrimPrefix(credential, "[Service]\n"))
	m.configure(t, "127.0.0.1:5001", "127.0.0.1:443")
	m.run(t, "systemctl restart shorepass.service; curl --silent --fail http://127.0.0.1:443/healthz")
	m.configure(t, "127.0.0.1:443", "127.0.0.1:5001")
	m.dropIn(t, credential)
	m.run(t, "systemctl restart shorepass.service")
	m.serves(t)
}

func testUpgraded(t *testing.T, m *machine) {
	before := m.show(t, "MainPID")
	edited := m.run(t, "cat "+configFile)
	m.run(t, "dpkg --install "+m.put(t, second.deb(t)))
	if m.run(t, "cat "+configFile) != edited {
		t.Error("the upgrade changed the configuration")
	}
	if got := m.run(t, "stat --format='%a %U %G' "+configFile); got != "640 root shorepass" {
		t.Errorf("the upgrade made the configuration %s", got)
	}
	if after := m.show(t, "MainPID"); after == before {
		t.Error("the upgrade did not restart the server")
	}
	if got := m.run(t, "shorepass version"); !strings.Contains(got, second.version) {
		t.Errorf("after the upgrade the version is %s", got)
	}
	m.serves(t)
}

func testRefusedUpgrade(t *testing.T, m *machine) {
	before := m.show(t, "MainPID")
	out := m.run(t, "dpkg --install "+m.put(t, strict.deb(t)))
	if !strings.Contains(out, "this version refuses the configuration") {
		t.Errorf("the upgrade does not say that it did not restart:\n%s", out)
	}
	m.fails(t, "CREDENTIALS_DIRECTORY=/run/credentials/shorepass.service shorepass check")
	if after := m.show(t, "MainPID"); after != before {
		t.Errorf("the upgrade restarted the server: %s, then %s", before, after)
	}
	m.serves(t)
	m.until(t, "systemctl show shorepass.service", "ActiveState=active", "StatusText=serving by an older configuration; shorepass v"+strict.version+" refuses the one on disk: "+configFile+":3: server.contact")
	m.until(t, "journalctl --unit=shorepass --output=cat", `unknown key "contact"`)

	m.configure(t, "contact =", "ask =")
	m.run(t, "systemctl restart shorepass.service")
	m.serves(t)
}

// testOtherUnit: a unit of the administrator's own hides the package's, and has no
// ExecReload. Nothing says then that the configuration is refused.
func testOtherUnit(t *testing.T, m *machine) {
	const other = "/etc/systemd/system/shorepass.service"
	m.run(t, "sed '/^ExecReload=/d' /usr/lib/systemd/system/shorepass.service >"+other+"; systemctl daemon-reload; systemctl restart shorepass.service")
	before := m.show(t, "MainPID")
	out := m.run(t, "dpkg --install /root/"+filepath.Base(strict.deb(t)))
	if !strings.Contains(out, "the unit has no ExecReload") || strings.Contains(out, "refuses the configuration") {
		t.Errorf("the upgrade says\n%s", out)
	}
	if after := m.show(t, "MainPID"); after != before {
		t.Errorf("the upgrade restarted the server unchecked: %s, then %s", before, after)
	}
	m.run(t, "rm "+other+"; systemctl daemon-reload")
}

func testStopped(t *testing.T, m *machine) {
	m.run(t, "systemctl stop shorepass.service")
	got := m.show(t, "ActiveState,Result,ExecMainStatus")
	for _, want := range []string{"ActiveState=inactive", "Result=success", "ExecMainStatus=0"} {
		if !strings.Contains(got, want) {
			t.Errorf("after a stop the unit has\n%s\nwant %s", got, want)
		}
	}
	out := m.run(t, "dpkg --install /root/"+filepath.Base(strict.deb(t)))
	if !strings.Contains(out, "is not running, and was not started: systemctl start shorepass") {
		t.Errorf("an upgrade of a stopped server does not say that it stays so:\n%s", out)
	}
	m.run(t, "systemctl start shorepass.service")
}

// testPurged: the logs are on a volume of their own.
func testPurged(t *testing.T, m *machine) {
	m.run(t, "mount --bind /var/log/shorepass /var/log/shorepass; touch /var/log/shorepass/audit.log")
	m.run(t, "dpkg --remove shorepass")
	if got := m.run(t, "systemctl show --property=ActiveState,LoadState shorepass.service"); !strings.Contains(got, "ActiveState=inactive") || !strings.Contains(got, "LoadState=not-found") {
		t.Errorf("after the removal the unit is\n%s", got)
	}
	m.run(t, "test -f "+configFile+" -a -f /var/lib/shorepass/data/shorepass.db")
	m.run(t, "dpkg --purge shorepass; test ! -e /var/log/shorepass/audit.log; umount /var/log/shorepass; rmdir /var/log/shorepass")
	for _, path := range []string{configFile, "/var/lib/shorepass", "/var/log/shorepass", "/usr/bin/shorepass", "/etc/logrotate.d/shorepass", "/etc/systemd/system/multi-user.target.wants/shorepass.service"} {
		m.run(t, "test ! -e "+path+" -a ! -L "+path)
	}
	m.run(t, "test -f /etc/shorepass/seal.cred") // not the package's
}
