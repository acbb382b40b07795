package dockerauth

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/config"
	"shorepass/policy"
)

// recording is a file of recorded answers; testdata/recorded/README.md describes it.
type recording struct {
	Config    string         `json:"config"`
	Expect    string         `json:"expect"`
	Report    []recordedLine `json:"report"`
	Refusals  []recordedLine `json:"refusals"`
	Questions []question     `json:"questions"`
}

type recordedLine struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Why  string `json:"why"`
}

type question struct {
	Account     string              `json:"account"`
	Labels      map[string][]string `json:"labels"`
	Address     string              `json:"address"`
	Service     string              `json:"service"`
	Scopes      []string            `json:"scopes"`
	Differs     string              `json:"differs"`
	Instead     *[]string           `json:"instead"`
	InvalidName bool                `json:"invalid_name"`
	Answer      struct {
		Status int    `json:"status"`
		Sub    string `json:"sub"`
		Access []struct {
			Actions []string `json:"actions"`
		} `json:"access"`
	} `json:"answer"`
}

func readRecordings(t *testing.T) []recording {
	t.Helper()
	files, _ := filepath.Glob("testdata/recorded/*.json")
	if len(files) != 19 {
		t.Fatalf("%d recordings, want 19", len(files))
	}
	var all []recording
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, r)
	}
	return all
}

// Each configuration is imported, and each question decided as "explain --cases" does.
// Every answer is docker_auth's own, or differs for a reason that is marked in the
// recording or named here.
func TestRecordedAnswers(t *testing.T) {
	reasons := map[string]int{}
	for _, r := range readRecordings(t) {
		data, err := os.ReadFile("testdata/recorded/" + r.Config)
		if err != nil {
			t.Fatal(err)
		}
		text, findings, err := Import(Input{Source: Source{r.Config, data}, Services: []string{"registry.example", "east.example", "west.example"}}, testKinds)
		if err != nil {
			t.Fatalf("%s: %v", r.Config, err)
		}
		checkFindings(t, r, findings)
		if r.Expect == "refuse" {
			if text != "" {
				t.Errorf("%s is translated, and must be refused", r.Config)
			}
			reasons[refusedFile] += len(r.Questions)
			continue
		}
		c, err := config.Parse("shorepass.toml", []byte(text), testKinds, config.OnlySecrets())
		if err != nil {
			t.Errorf("%s: %v", r.Config, err)
			continue
		}
		p := policy.Compile(c.Rules, func(key, problem string) { t.Errorf("%s: %s: %s", r.Config, key, problem) })
		for i, q := range r.Questions {
			if q.Answer.Status != 200 || len(q.Scopes) == 0 {
				reasons[noACL]++
				continue
			}
			got, want := decideCase(t, p, q, r.Config == "17-ldap.yml"), q.wanted()
			reason := q.reason(got, want, findings)
			if reasons[reason]++; reason == "" {
				t.Errorf("%s, question %d: %q, labels %v, service %q, address %s asks %v: got %q, docker_auth answers %q",
					r.Config, i, q.Account, q.Labels, q.Service, q.Address, q.Scopes, got, want)
			}
		}
	}
	if diff := cmp.Diff(wantReasons, reasons); diff != "" {
		t.Errorf("the questions by reason (-want +got):\n%s", diff)
	}
}

// wantReasons counts the questions by what is to be said of ours and of docker_auth's
// answer.
var wantReasons = map[string]int{
	same:          692,
	noACL:         52,
	refusedFile:   43,
	noName:        23,
	markedInstead: 20,
	asteriskOf:    12,
	catalogOnly:   12,
	oneAccount:    4,
	marked:        3,
}

const (
	same          = "the same"
	noACL         = "no question about the ACL: a wrong password, or no scope"
	refusedFile   = "the file is refused"
	noName        = "no registry has a repository of such a name"
	markedInstead = "the answer that is marked as ours"
	marked        = "marked as different"
	asteriskOf    = "* of a repository is written out as the actions that rules grant"
	catalogOnly   = "the catalog needs *, and no other action matters there"
	oneAccount    = "two accounts that differ only in case are one here, which is disabled"
)

// checkFindings checks that the lines that a recording names are found.
func checkFindings(t *testing.T, r recording, findings []Finding) {
	t.Helper()
	for _, want := range r.Report {
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Line == want.Line || strings.Contains(f.Text, want.Text) }) {
			t.Errorf("%s: nothing is said of line %d (%s): %s", r.Config, want.Line, want.Text, want.Why)
		}
	}
	for _, want := range r.Refusals {
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Line == want.Line && f.Severity == Refused }) {
			t.Errorf("%s: line %d (%s) is not refused: %s", r.Config, want.Line, want.Text, want.Why)
		}
	}
}

// wanted returns the actions that docker_auth granted.
func (q *question) wanted() []string {
	var all []string
	for _, a := range q.Answer.Access {
		all = append(all, a.Actions...)
	}
	return all
}

// decideCase returns the actions that ours grants, by a case as in a file of cases.
func decideCase(t *testing.T, p *policy.Policy, q question, groups bool) []string {
	t.Helper()
	c := policy.Case{User: q.Account, Service: q.Service, Address: q.Address, Scope: strings.Join(q.Scopes, " ")}
	for label, values := range q.Labels {
		if groups && label == "groups" {
			c.Groups = values
		} else if q.Account != "" {
			if c.Claims == nil {
				c.Claims = map[string]any{}
			}
			var list []any
			for _, v := range values {
				list = append(list, v)
			}
			c.Claims[label] = list
		}
	}
	req, err := c.Request(func(string) bool { return true })
	if err != nil {
		return nil // a scope or a name that ours refuses
	}
	var all []string
	for _, a := range p.Decide(req).Access {
		all = append(all, a.Actions...)
	}
	return all
}

// reason says why an answer of ours is right, and is empty if it is not.
func (q *question) reason(got, want []string, findings []Finding) string {
	asterisk := slices.ContainsFunc(q.Scopes, func(s string) bool { return strings.HasSuffix(s, ":*") || strings.HasSuffix(s, ":*,pull") })
	catalog := asterisk && strings.HasPrefix(q.Scopes[0], "registry:")
	switch {
	case sameActions(got, want):
		return same
	case q.Instead != nil && sameActions(got, *q.Instead):
		return markedInstead
	case q.InvalidName && got == nil:
		return noName
	case q.Differs != "" && q.Instead == nil:
		return marked
	case catalog && slices.Contains(got, "*") == slices.Contains(want, "*"):
		return catalogOnly
	case asterisk && !catalog:
		return asteriskOf
	case q.isOneOfTwo(findings):
		return oneAccount
	}
	return ""
}

// isOneOfTwo reports whether the account is said to be one of two that differ in case.
func (q *question) isOneOfTwo(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool {
		return strings.Contains(f.Text, "are two accounts in docker_auth and one here") && strings.Contains(f.Text, strconv.Quote(q.Account))
	})
}

func sameActions(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}

// The model of docker_auth that the property test uses answers as the real program does.
func TestModelAnswersAsRecorded(t *testing.T) {
	asked := 0
	for _, r := range readRecordings(t) {
		data, err := os.ReadFile("testdata/recorded/" + r.Config)
		if err != nil {
			t.Fatal(err)
		}
		entries, anonymousLabels := recordedEntries(t, data)
		for i, q := range r.Questions {
			if q.Answer.Status != 200 || len(q.Scopes) != 1 || len(q.Answer.Access) != 1 || q.Answer.Sub != q.Account {
				continue
			}
			first, last := strings.IndexByte(q.Scopes[0], ':'), strings.LastIndexByte(q.Scopes[0], ':')
			if strings.ContainsAny(q.Scopes[0][:first], "(X") {
				continue // a type that docker_auth reads in its own way
			}
			in := modelRequest{
				account: q.Account, kind: q.Scopes[0][:first], name: q.Scopes[0][first+1 : last], service: q.Service,
				labels: q.Labels, actions: strings.Split(q.Scopes[0][last+1:], ","),
			}
			if q.Account == "" {
				in.labels = anonymousLabels
			}
			if in.address, err = netip.ParseAddr(q.Address); err != nil {
				t.Fatal(err)
			}
			asked++
			if got, by := (model{entries: entries}).decide(in); !sameActions(got, q.wanted()) {
				t.Errorf("%s, question %d: the model answers %q by entry %d to %+v, docker_auth %q", r.Config, i, got, by, in, q.wanted())
			}
		}
	}
	t.Logf("%d answers", asked)
}

// recordedEntries returns the acl of a configuration, and the labels of "".
func recordedEntries(t *testing.T, data []byte) ([]entry, map[string][]string) {
	t.Helper()
	r := &reader{}
	root, err := r.parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var file *authConfig
	if r.isChart(root) {
		file = r.readChart(root)
	} else {
		file = r.readFile(root)
	}
	var labels map[string][]string
	for _, u := range file.users {
		if u.Name == "" {
			labels = u.Labels
		}
	}
	return file.entries, labels
}
