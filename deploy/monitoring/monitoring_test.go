package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// ruleFile is a file of rules for Prometheus.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) []rule {
	t.Helper()
	var file ruleFile
	readYAML(t, "rules.yaml", &file)
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// dashboard is the part of a dashboard of Grafana that the tests look at.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type, AllValue string
			Query                any
			Datasource           any
		}
	}
	Annotations struct{ List []struct{ Expr string } }
	Panels      []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
	FieldConfig struct{ Defaults struct{ Unit string } }
}

func readDashboard(t *testing.T) (d dashboard, text string) {
	t.Helper()
	body, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	return d, string(body)
}

// expressions returns every expression of the dashboard, by its panel.
func (d dashboard) expressions() map[string]string {
	all := make(map[string]string)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[p.Title+" "+target.RefID] = target.Expr
		}
	}
	for i, a := range d.Annotations.List {
		all[fmt.Sprint("annotation ", i)] = a.Expr
	}
	return all
}

// promtool runs promtool, and returns its output.
func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		program, _ = filepath.Abs("../../.tools/prometheus/promtool")
		if _, err := os.Stat(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("promtool is missing: run e2e/install")
			}
			t.Skip("promtool is missing: run e2e/install")
		}
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	return string(out), err
}

func TestRules(t *testing.T) {
	if out, err := promtool(t, "check", "rules", "rules.yaml"); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}

// TestAlerts: each alert fires and does not fire as rules_test.yaml and
// rules_days_test.yaml say, and each has a case of both.
func TestAlerts(t *testing.T) {
	fires, rests := make(map[string]bool), make(map[string]bool)
	for _, name := range []string{"rules_test.yaml", "rules_days_test.yaml"} {
		if out, err := promtool(t, "test", "rules", name); err != nil {
			t.Errorf("promtool test rules %s: %v\n%s", name, err, out)
		}
		var file struct {
			Tests []struct {
				Cases []struct {
					Alert  string `json:"alertname"`
					Expect []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			}
		}
		readYAML(t, name, &file)
		for _, test := range file.Tests {
			for _, c := range test.Cases {
				if len(c.Expect) > 0 {
					fires[c.Alert] = true
				} else {
					rests[c.Alert] = true
				}
			}
		}
	}
	for _, r := range readRules(t) {
		if r.Alert != "" && !(fires[r.Alert] && rests[r.Alert]) {
			t.Errorf("%s has a case in which it fires: %t; and one in which it does not: %t", r.Alert, fires[r.Alert], rests[r.Alert])
		}
	}
}

const page = "../../docs/monitoring.md"

// TestRunbooks: each alert has a severity, texts, and a section in docs/monitoring.md
// that says what it means and what to do; each section has its alert.
func TestRunbooks(t *testing.T) {
	body, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string) // text by alert
	for _, section := range strings.Split(string(body), "\n### ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections[title] = text
	}
	alerts := make(map[string]bool)
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", r.Alert)
		}
		if got, want := r.Annotations["runbook_url"], "docs/monitoring.md#"+strings.ToLower(r.Alert); got != want {
			t.Errorf("the runbook_url of %s is %q, want %q", r.Alert, got, want)
		}
		text := sections[r.Alert]
		if !strings.Contains(text, "**Means:**") || !strings.Contains(text, "**First:**") {
			t.Errorf("%s has no section about %s with what it **Means:** and what to do **First:**", page, r.Alert)
		}
		if (r.Labels["severity"] == "critical") != strings.Contains(text, "(critical)") {
			t.Errorf("the section about %s in %s has another severity", r.Alert, page)
		}
	}
	for title := range sections {
		if strings.HasPrefix(title, "Shorepass") && !alerts[title] {
			t.Errorf("%s has a section about %s, which is no alert", page, title)
		}
	}
}

// TestDashboard: the dashboard can be imported, and is whole: every panel has an id, a
// unit and the variable data source, none lies on another, and every variable is used.
func TestDashboard(t *testing.T) {
	d, text := readDashboard(t)
	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("the panel %q has the id %d, which is missing or another's", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("the panel %q lies on %q, or beyond the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" || p.Title == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("the panel %q has no unit, title, target or variable data source", p.Title)
		}
		refs := make(map[string]bool)
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || refs[target.RefID] {
				t.Errorf("a target of the panel %q has no data source or the name of another", p.Title)
			}
			refs[target.RefID] = true
		}
	}
	defined := map[string]bool{"__rate_interval": true, "__all": true}
	for _, v := range d.Templating.List {
		defined[v.Name] = true
		if n := strings.Count(text, "$"+v.Name) + strings.Count(text, "${"+v.Name+"}"); n < 2 {
			t.Errorf("the variable %s is not used", v.Name)
		}
		// With ".*" for all jobs, up and process_… would be those of everything that
		// Prometheus scrapes. Without it Grafana lists the jobs of the query.
		if v.Name == "job" && v.AllValue != "" {
			t.Errorf("all jobs are %q, which are not only those of shorepass", v.AllValue)
		}
	}
	for _, used := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(text, -1) {
		if !defined[used[1]] {
			t.Errorf("the variable %s is not defined", used[1])
		}
	}
}

// replaceVariables puts values in the place of Grafana's variables.
var replaceVariables = strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "1m")

// TestExpressions: Prometheus parses every expression of the dashboard, and each metric
// of ours in it and in the rules is in the table of docs/monitoring.md with all the
// labels that are used. The dashboard shows every metric of ours.
func TestExpressions(t *testing.T) {
	d, _ := readDashboard(t)
	expressions := make(map[string]string)
	var parsed strings.Builder
	parsed.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for name, expr := range d.expressions() {
		expressions["dashboard: "+name] = expr
		fmt.Fprintf(&parsed, "  - {record: \"a:b\", labels: {panel: %q}, expr: %q}\n", name, replaceVariables.Replace(expr))
	}
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, []byte(parsed.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "rules", file); err != nil {
		t.Errorf("promtool check rules, of the dashboard: %v\n%s", err, out)
	}

	labels, recorded := readTable(t), make(map[string]bool)
	for _, r := range readRules(t) {
		expressions["rule: "+r.Alert+r.Record] = r.Expr
		recorded[r.Record] = true
	}
	shown := make(map[string]bool)
	for where, expr := range expressions {
		for _, s := range selectors(expr) {
			if strings.HasPrefix(where, "dashboard") {
				shown[s.metric] = true
			}
			known, ok := labels[s.metric]
			if !ok && !recorded[s.metric] {
				t.Errorf("%s uses %s, which %s does not have", where, s.metric, page)
			}
			for _, label := range s.labels {
				if !recorded[s.metric] && !slices.Contains(known, label) {
					t.Errorf("%s uses the label %s of %s, which has only %v", where, label, s.metric, known)
				}
			}
		}
	}
	for name := range labels {
		if !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	if len(labels) < 40 {
		t.Errorf("%s has %v only", page, slices.Sorted(maps.Keys(labels)))
	}
}

// selector is a metric of ours in an expression, with the labels of its matchers.
type selector struct {
	metric string
	labels []string
}

var (
	selectorPattern = regexp.MustCompile(`\b(shorepass[:_][\w:]+)(?:\{([^}]*)\})?`)
	matcherPattern  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	targetLabels    = []string{"job", "instance", "namespace"} // of Prometheus, not ours
)

func selectors(expr string) (all []selector) {
	for _, m := range selectorPattern.FindAllStringSubmatch(expr, -1) {
		s := selector{metric: m[1]}
		for _, part := range []string{"_bucket", "_count", "_sum"} { // of a histogram
			s.metric = strings.TrimSuffix(s.metric, part)
		}
		for _, l := range matcherPattern.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(targetLabels, l[1]) && l[1] != "le" {
				s.labels = append(s.labels, l[1])
			}
		}
		all = append(all, s)
	}
	return all
}

// readTable returns the labels of each metric in the table of docs/monitoring.md, which
// a test of cmd/shorepass holds against the code.
func readTable(t *testing.T) map[string][]string {
	t.Helper()
	body, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(shorepass_\\w+)` \\| \\w+ \\| ([^|]*) \\|").FindAllStringSubmatch(string(body), -1) {
		all[row[1]] = nil
		for label := range strings.SplitSeq(row[2], ",") {
			if label = strings.TrimSpace(label); label != "" {
				all[row[1]] = append(all[row[1]], label)
			}
		}
	}
	return all
}

// TestScrapeConfig: Prometheus takes the configuration in docs/monitoring.md.
func TestScrapeConfig(t *testing.T) {
	body, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(body), "```yaml\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatalf("%s has no configuration of Prometheus", page)
	}
	dir := t.TempDir()
	for _, name := range []string{"corp-ca.pem", "rules.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	block = strings.NewReplacer("/etc/prometheus/shorepass/", dir+"/", "/etc/prometheus/", dir+"/").Replace(block)
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "config", file); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
}
