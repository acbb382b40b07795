// Package compose tests the compose file that shorepass is tried with. No container
// engine runs here: the file is parsed by the library of Compose, and the same
// configurations run as processes.
package compose

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

// load parses compose.yaml as Compose does, with this environment.
func load(t *testing.T, folder string, environment map[string]string) (*types.Project, error) {
	t.Helper()
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(folder, "compose.yaml")}},
		Environment: environment,
	})
}

// initialized returns a copy of this folder in which init has run.
func initialized(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "cp", "-r", "compose.yaml", "init", "shorepass", "registry", "openldap", "dex", folder).CombinedOutput(); err != nil {
		t.Fatalf("copy the folder: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(folder, "init")).CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	return folder
}

// TestServices: each service runs as an unprivileged account, with the networks and the
// secrets that it needs and no other.
func TestServices(t *testing.T) {
	t.Parallel()
	folder := initialized(t)
	project, err := load(t, folder, map[string]string{"OWNER": "1000:1000"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ networks, secrets string }{
		"shorepass": {"clients identities", "RootCA.crt RootCA.key ca.crt ldap.password seal.key sso.secret"},
		"registry":  {"clients", "RootCA.crt"},
		"openldap":  {"identities", "ca.crt openldap.crt openldap.key people.ldif"},
		"dex":       {"identities", "ca.crt dex.crt dex.key"},
	}
	if len(project.Services) != len(want) {
		t.Errorf("the services are %v", project.ServiceNames())
	}
	for name, service := range project.Services {
		checkHardened(t, service)
		var networks, secrets []string
		for network := range service.Networks {
			networks = append(networks, network)
		}
		for _, secret := range service.Secrets {
			secrets = append(secrets, secret.Source)
		}
		slices.Sort(networks)
		slices.Sort(secrets)
		if got := strings.Join(networks, " "); got != want[name].networks {
			t.Errorf("%s is in the networks %s, want %s", name, got, want[name].networks)
		}
		if got := strings.Join(secrets, " "); got != want[name].secrets {
			t.Errorf("%s has the secrets %s, want %s", name, got, want[name].secrets)
		}
	}
	if !project.Networks["identities"].Internal {
		t.Error("directory and provider can be reached from outside")
	}
	for name, secret := range project.Secrets {
		info, err := os.Stat(secret.File)
		if err != nil {
			t.Errorf("init makes no %s: %v", name, err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v; shorepass refuses a secret that everybody can read", name, info.Mode())
		}
	}
}

// checkHardened checks what holds for every service.
func checkHardened(t *testing.T, s types.ServiceConfig) {
	t.Helper()
	switch {
	case !s.ReadOnly:
		t.Errorf("the root file system of %s is writable", s.Name)
	case !slices.Equal(s.CapDrop, []string{"ALL"}) || s.CapAdd != nil || s.Privileged:
		t.Errorf("%s has capabilities: drop %v, add %v", s.Name, s.CapDrop, s.CapAdd)
	case !slices.Contains(s.SecurityOpt, "no-new-privileges:true"):
		t.Errorf("%s can gain privileges: %v", s.Name, s.SecurityOpt)
	case s.User != "1000:1000":
		t.Errorf("%s runs as %q", s.Name, s.User)
	}
	if !regexp.MustCompile(`^[^:]+:[a-z0-9.]+$`).MatchString(s.Image) || strings.HasSuffix(s.Image, ":latest") {
		t.Errorf("%s has the image %s, want one with a version", s.Name, s.Image)
	}
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			t.Errorf("%s is published on %q", s.Name, port.HostIP)
		}
	}
	for _, v := range s.Volumes {
		if !v.ReadOnly && !strings.Contains(v.Source, "/data/") {
			t.Errorf("%s can write %s", s.Name, v.Source)
		}
	}
}

// TestInitFirst: without init, Compose says what to do.
func TestInitFirst(t *testing.T) {
	t.Parallel()
	if _, err := load(t, ".", nil); err == nil || !strings.Contains(err.Error(), "run ./init first") {
		t.Errorf("without OWNER: %v, want in it: run ./init first", err)
	}
}

// TestInitTwice: init keeps what is there, and leaves nothing half made.
func TestInitTwice(t *testing.T) {
	t.Parallel()
	folder := initialized(t)
	key := filepath.Join(folder, "secrets", "RootCA.key")
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(folder, "init")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "secrets/ exists. To begin anew:") {
		t.Errorf("init again: %v\n%s", err, out)
	}
	if after, _ := os.ReadFile(key); !bytes.Equal(after, before) {
		t.Error("init replaced the root's key")
	}
	if _, err := os.Stat(filepath.Join(folder, "secrets.new")); err == nil {
		t.Error("init left secrets.new")
	}
}

// TestDexAgrees: Dex, which is not run here, has the names that shorepass.toml has.
func TestDexAgrees(t *testing.T) {
	t.Parallel()
	var dex struct {
		Issuer        string
		OAuth2        struct{ PasswordConnector string }
		StaticClients []struct{ ID, SecretEnv string }
		Connectors    []struct {
			ID     string
			Config struct{ Host, BindDN, BindPW string }
		}
	}
	text, err := os.ReadFile("dex/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &dex); err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("shorepass/shorepass.toml")
	if err != nil {
		t.Fatal(err)
	}
	connector := dex.Connectors[0]
	for _, want := range []string{
		`issuer        = "` + dex.Issuer + `"`, `client_id     = "` + dex.StaticClients[0].ID + `"`,
		`urls          = ["ldaps://` + connector.Config.Host + `"]`, `bind_dn       = "` + connector.Config.BindDN + `"`,
	} {
		if !strings.Contains(string(ours), want) {
			t.Errorf("shorepass.toml lacks %s, which dex/config.yaml has", want)
		}
	}
	if dex.OAuth2.PasswordConnector != connector.ID {
		t.Errorf("passwords go to %s, and the connector is %s", dex.OAuth2.PasswordConnector, connector.ID)
	}
	environment, err := os.ReadFile(filepath.Join(initialized(t), "secrets", "dex.env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range []string{dex.StaticClients[0].SecretEnv, strings.TrimPrefix(connector.Config.BindPW, "$")} {
		if !regexp.MustCompile(`(?m)^` + variable + `=.+$`).Match(environment) {
			t.Errorf("dex.env lacks %s", variable)
		}
	}
}
