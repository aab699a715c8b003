package release_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct {
			Uses string
			Run  string
			With map[string]any
		}
	}
}

var commit = regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`)

// A tag of an action can be moved to other code; the hash of a commit cannot.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	count := 0
	for name, w := range workflows(t) {
		for job, j := range w.Jobs {
			for _, step := range j.Steps {
				if step.Uses == "" {
					continue
				}
				count++
				if !commit.MatchString(step.Uses) {
					t.Errorf("%s: %s uses %s, want the hash of a commit", name, job, step.Uses)
				}
			}
		}
	}
	if count < 8 {
		t.Errorf("found %d actions only", count)
	}
}

// What a job may do is what it says, and what runs code of other modules may only read.
func TestJobsHaveFewPermissions(t *testing.T) {
	t.Parallel()
	for name, w := range workflows(t) {
		if w.Permissions == nil || len(w.Permissions) > 0 {
			t.Errorf("%s: got permissions %v for all jobs, want {}", name, w.Permissions)
		}
		for job, j := range w.Jobs {
			if len(j.Permissions) == 0 {
				t.Errorf("%s: %s does not say what it may do", name, job)
			}
			for _, step := range j.Steps {
				goRuns := strings.Contains(step.Run, "make ") || strings.Contains(step.Run, ".ci/run")
				if goRuns && (len(j.Permissions) != 1 || j.Permissions["contents"] != "read") {
					t.Errorf("%s: %s runs %q with %v", name, job, step.Run, j.Permissions)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: %s leaves its credentials in the checkout", name, job)
				}
			}
		}
	}
}

func TestVulnerabilitiesAreLookedForInCI(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ci.yml", "release.yml"} {
		found := false
		for _, j := range workflows(t)[name].Jobs {
			for _, step := range j.Steps {
				found = found || strings.HasPrefix(step.Run, "make ") && strings.Contains(step.Run, "vulncheck")
			}
		}
		if !found {
			t.Errorf("%s does not run make vulncheck", name)
		}
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]workflow{}
	for _, path := range paths {
		var w workflow
		if err := yaml.Unmarshal([]byte(read(t, path)), &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		found[filepath.Base(path)] = w
	}
	if len(found) < 2 {
		t.Fatalf("found %d workflows only", len(found))
	}
	return found
}
