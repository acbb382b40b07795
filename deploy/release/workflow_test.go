package release

import (
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

// workflow is the part of a workflow of GitHub that the tests read.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct{ Uses, Run string }
	}
}

func readWorkflow(t *testing.T, name string) (workflow, string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../.github/workflows", name))
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return w, string(text)
}

// workflows are the files in .github/workflows.
var workflows = []string{"ci.yml", "release.yml"}

// TestActionsArePinned: each action is named by its commit, which a tag that is moved
// does not change, with its version in a comment.
func TestActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n`)
	for _, name := range workflows {
		w, text := readWorkflow(t, name)
		uses := 0
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if step.Uses != "" {
					uses++
				}
			}
		}
		if got := len(pinned.FindAllString(text, -1)); got != uses || uses == 0 {
			t.Errorf("%s: %d of %d actions are pinned to a commit with its version in a comment", name, got, uses)
		}
	}
}

// TestCommandsExist: bash parses each script of the workflows, and each target of make in
// it is one of the Makefile, in which make finds nothing to warn of: a second recipe for a
// target overrides the first.
func TestCommandsExist(t *testing.T) {
	target := regexp.MustCompile(`\bmake ([\w-]+)`)
	checked := 0
	for _, name := range workflows {
		w, _ := readWorkflow(t, name)
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				parse := exec.Command("bash", "-n")
				parse.Stdin = strings.NewReader(step.Run)
				if out, err := parse.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s in\n%s", name, err, out, step.Run)
				}
				for _, m := range target.FindAllStringSubmatch(step.Run, -1) {
					checked++
					check := exec.Command("make", "-C", "../..", "-n", m[1])
					check.Env = append(os.Environ(), "MAKEFLAGS=") // not those of a make that runs this test
					out, err := check.CombinedOutput()
					if err != nil || strings.Contains(string(out), "warning: ") {
						t.Errorf("%s: make %s: %v\n%s", name, m[1], err, out)
					}
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no workflow runs make")
	}
}

// TestWritersRunNoCodeOfOurs: in the release workflow, a job that may write or sign
// neither checks out the source nor compiles. Everything else may only read.
func TestWritersRunNoCodeOfOurs(t *testing.T) {
	w, _ := readWorkflow(t, "release.yml")
	if w.Permissions == nil || len(w.Permissions) != 0 {
		t.Errorf("the workflow has the permissions %v, want {}: each job names its own", w.Permissions)
	}
	writers := 0
	for name, job := range w.Jobs {
		if !slices.Contains(slices.Collect(maps.Values(job.Permissions)), "write") {
			continue
		}
		writers++
		for _, step := range job.Steps {
			if strings.HasPrefix(step.Uses, "actions/checkout@") || regexp.MustCompile(`\b(make|go|\.ci/run) `).MatchString(step.Run) {
				t.Errorf("the job %s may write and runs %s%s", name, step.Uses, step.Run)
			}
		}
	}
	if writers != 1 {
		t.Errorf("%d jobs may write, want one", writers)
	}
}
