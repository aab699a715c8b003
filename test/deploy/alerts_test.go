package deploy_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// names returns the names of all alerts.
func names(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, path := range loadPrometheus(t).RuleFiles {
		for _, group := range loadRules(t, path).Groups {
			for _, rule := range group.Rules {
				all = append(all, rule.Alert)
			}
		}
	}
	return all
}

func TestEachAlertLeadsToItsParagraph(t *testing.T) {
	t.Parallel()
	page := read(t, filepath.Join(root, "docs/operating.md"))
	for _, path := range loadPrometheus(t).RuleFiles {
		for _, group := range loadRules(t, path).Groups {
			for _, rule := range group.Rules {
				want := "https://github.com/billbus/billbus/blob/main/docs/operating.md#" + strings.ToLower(rule.Alert)
				if got := rule.Annotations["runbook_url"]; got != want {
					t.Errorf("%s: got runbook_url %q, want %s", rule.Alert, got, want)
				}
			}
		}
	}
	documented := submatches(`(?m)^#### (Billbus\w+)$`, page)
	slices.Sort(documented)
	if want := slices.Sorted(slices.Values(names(t))); !slices.Equal(documented, want) {
		t.Errorf("docs/operating.md has paragraphs of\n%q, want\n%q", documented, want)
	}
}

// ruleTests is a file of tests for promtool.
type ruleTests struct {
	Tests []struct {
		Name     string
		Promtool []struct {
			Expr    string
			Samples []struct{ Labels string } `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
}

// promtool runs these tests, see `make alerts`. That each rule has some of both kinds is checked here.
func TestEachAlertIsTestedForFiringAndForSilence(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "deploy/prometheus/*_test.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no tests of the rules: %v", err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	subject := regexp.MustCompile(`alertname="(\w+)", alertstate="firing"`)
	for _, file := range files {
		var tests ruleTests
		decodeYAML(t, file, &tests)
		for _, test := range tests.Tests {
			for _, check := range test.Promtool {
				about := subject.FindStringSubmatch(check.Expr)
				if about == nil {
					continue // it is about all alerts
				}
				if len(check.Samples) == 0 {
					silent[about[1]] = true
				} else {
					fires[about[1]] = true
				}
			}
		}
	}
	for _, alert := range names(t) {
		if !fires[alert] || !silent[alert] {
			t.Errorf("%s: tested for firing: %t, for silence: %t", alert, fires[alert], silent[alert])
		}
	}
}
