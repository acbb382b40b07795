package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

const monitoringDir = "../deploy/monitoring"

// TestMonitoring has a real Prometheus scrape a real server with a directory, an OpenID
// provider and local users, with traffic of each kind. Every documented metric has a
// value, no other one has, every panel of the dashboard shows something, and every rule
// can be evaluated. Then the directory goes away, and its alert is pending.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	d, o := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{}), newSSO(t)
	people := strings.Replace(o.toml(), `grants = ["`, `grants = ["browser", "`, 1) // whose metrics are there from the start
	s := newServer(t, options{
		more:      fmt.Sprintf("[[service]]\nname = %q\nhosts = [\"registry.corp.example\"]\n", service),
		providers: localUsers{"root": testUsers()["root"]}.toml() + slapdTOML(d, groupsIn(d.Groups, "")+"match = [\"bob\"]\nprefix = \"corp-\"\n") + people + "match = [\"alice\"]\nprefix = \"sso-\"\n",
		session:   `revalidate = "1s"`,
	})
	p := startPrometheus(t, s)
	var tokens []string
	drive := func() {
		tokens = append(tokens, s.traffic(t, o)...)
		s.redeem(t, tokens[0], teamScope) // revalidates after a second
	}
	drive()
	p.process.await(t, 20*time.Second, func() error { // two scrapes at least, with traffic between them
		drive()
		if n := len(p.query(t, `count_over_time(shorepass_build_info[1m]) >= 3`)); n != 1 {
			return fmt.Errorf("%d replicas were scraped three times", n)
		}
		return nil
	})

	scraped := p.checkScrape(t, s)
	p.checkDashboard(t)
	p.checkRules(t)

	d.Kill()
	p.process.await(t, 30*time.Second, func() error {
		s.get(t, "service="+service, basic("bob", "bobpw"))
		if state := p.alertState(t, "ShorepassProviderDown"); state != "pending" {
			return fmt.Errorf("ShorepassProviderDown is %q with the directory down, want pending", state)
		}
		return nil
	})
	if scraped < 300 {
		t.Errorf("/metrics has %d series, fewer than one server with three providers has", scraped)
	}
}

// traffic sends requests of each kind, and returns the refresh tokens of the logins.
func (s *server) traffic(t *testing.T, o *sso) (tokens []string) {
	t.Helper()
	for _, login := range []struct{ user, password string }{{"root", testUsers()["root"].password}, {"bob", "bobpw"}, {"alice", o.alice.Password}} {
		token := s.login(t, login.user, login.password)
		tokens = append(tokens, token)
		s.redeem(t, token, teamScope)
		s.get(t, "service="+service, basic(login.user, "wrong password of "+login.user))
	}
	s.get(t, "service="+service+"&scope="+teamScope, "")
	for _, path := range []string{"/readyz", "/auth?service=" + service} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		must(t, err)
		do(t, r)
	}
	return tokens
}

// prometheus is a running Prometheus that scrapes one server each second.
type prometheus struct {
	url     string
	process *process
}

// monitoringProgram returns the path of a program of Prometheus.
func monitoringProgram(t *testing.T, name string) string {
	t.Helper()
	if path, err := filepath.Abs(filepath.Join("..", ".tools", "prometheus", name)); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	need(t, name)
	return name
}

func startPrometheus(t *testing.T, s *server) *prometheus {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join(monitoringDir, "rules.yaml"))
	must(t, err)
	dir, port := t.TempDir(), freePort(t)
	config := filepath.Join(dir, "prometheus.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, evaluation_interval: 1s}
scrape_configs:
  - job_name: shorepass
    static_configs: [{targets: ["127.0.0.1:%d"]}]
rule_files: [%q]
`, s.port, rules), 0o600))
	p := &prometheus{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	p.process = start(t, "prometheus", exec.Command(monitoringProgram(t, "prometheus"), "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+strings.TrimPrefix(p.url, "http://")))
	p.process.await(t, 30*time.Second, func() error { return checkOK(p.url + "/-/ready") })
	return p
}

// api calls the HTTP API, and decodes the data of the answer.
func (p *prometheus) api(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	res, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode())
	must(t, err)
	defer res.Body.Close()
	answer := struct {
		Error string
		Data  any
	}{Data: into}
	must(t, json.NewDecoder(res.Body).Decode(&answer))
	if answer.Error != "" {
		t.Errorf("Prometheus refuses %s %s: %s", path, query.Get("query"), answer.Error)
	}
}

// query returns the series of an instant query.
func (p *prometheus) query(t *testing.T, expr string) []any {
	t.Helper()
	var data struct{ Result []any }
	p.api(t, "query", url.Values{"query": {expr}}, &data)
	return data.Result
}

// alertState returns the state of an alert, "" where it is neither pending nor firing.
func (p *prometheus) alertState(t *testing.T, name string) string {
	t.Helper()
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	p.api(t, "alerts", nil, &data)
	for _, a := range data.Alerts {
		if a.Labels["alertname"] == name {
			return a.State
		}
	}
	return ""
}

// checkScrape compares /metrics with the table of docs/monitoring.md, and has promtool
// check it. It returns the number of series.
func (p *prometheus) checkScrape(t *testing.T, s *server) (series int) {
	t.Helper()
	text, err := get(s.url + "/metrics")
	must(t, err)
	check := exec.Command(monitoringProgram(t, "promtool"), "check", "metrics")
	check.Stdin = strings.NewReader(string(text))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	found, types := make(map[string][]string), make(map[string]string)
	sample := regexp.MustCompile(`^(shorepass_\w+)(?:\{(.*)\})? `)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "# TYPE shorepass_"); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			types["shorepass_"+name] = kind
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		series++
		name := m[1]
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, part); types[base] == "histogram" {
				name = base
			}
		}
		var labels []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		slices.Sort(labels)
		found[name] = labels
	}
	documented := documentedMetrics(t)
	for name, want := range documented {
		labels, ok := found[name]
		if got := types[name] + " " + strings.Join(labels, ", "); !ok || got != want {
			t.Errorf("/metrics has %s as %q, and docs/monitoring.md as %q", name, got, want)
		}
	}
	for name := range found {
		if documented[name] == "" {
			t.Errorf("docs/monitoring.md does not have %s", name)
		}
	}
	return series
}

// documentedMetrics returns the type and the sorted labels of each metric in the table of
// docs/monitoring.md.
func documentedMetrics(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../docs/monitoring.md")
	must(t, err)
	all := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(shorepass_\\w+)` \\| (\\w+) \\| ([^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		labels := strings.FieldsFunc(row[3], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(labels)
		all[row[1]] = row[2] + " " + strings.Join(labels, ", ")
	}
	return all
}

// emptyPanels are the expressions of the dashboard that have no value here: they divide
// by what does not happen, or show only what is above zero.
var emptyPanels = []string{"> 0"}

// checkDashboard evaluates each expression of the dashboard with its variables.
func (p *prometheus) checkDashboard(t *testing.T) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(monitoringDir, "dashboard.json"))
	must(t, err)
	must(t, json.Unmarshal(text, &dashboard))
	variables := strings.NewReplacer("$job", "shorepass", "$instance", ".*", "$__rate_interval", "30s")
	evaluated := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			evaluated++
			found := p.query(t, variables.Replace(target.Expr))
			mayBeEmpty := slices.ContainsFunc(emptyPanels, func(part string) bool { return strings.Contains(target.Expr, part) })
			if len(found) == 0 && !mayBeEmpty {
				t.Errorf("the panel %q shows nothing: %s", panel.Title, target.Expr)
			}
		}
	}
	if evaluated < 50 {
		t.Errorf("the dashboard has %d expressions", evaluated)
	}
}

// checkRules waits until each rule was evaluated, without an error.
func (p *prometheus) checkRules(t *testing.T) {
	t.Helper()
	p.process.await(t, 20*time.Second, func() error {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		p.api(t, "rules", nil, &data)
		count := 0
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				if count++; r.Health != "ok" {
					return fmt.Errorf("the rule %s is %s: %s", r.Name, r.Health, r.LastError)
				}
			}
		}
		if count == 0 {
			return fmt.Errorf("there are no rules")
		}
		return nil
	})
}
