package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	row  = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]* \\| ([^|]*) \\|$")
	code = regexp.MustCompile("`([^`]+)`")
	host = regexp.MustCompile(`^(github\.com/[^/]+|[^/]*\.[^/]*)/`)
)

// TestPageHasTheTable compares the table in docs/architecture.md with the one here.
func TestPageHasTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		if rows[m[1]] != "" {
			t.Errorf("docs/architecture.md has two rows for %s", m[1])
		}
		rows[m[1]] = m[2]
	}
	for path, allowed := range table {
		if got, want := cell(rows[path]), imports(allowed); got != want {
			t.Errorf("docs/architecture.md: row of %s: imports are %s, want %s", path, got, want)
		}
		delete(rows, path)
	}
	for path := range rows {
		t.Errorf("docs/architecture.md has a row for %s, which is not in the table here", path)
	}
}

// cell returns the imports in a row, sorted.
func cell(text string) string {
	var names []string
	for _, m := range code.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	if names == nil {
		return text
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// imports returns what the row of a package should say: other modules without host
// and owner.
func imports(allowed []string) string {
	switch {
	case len(allowed) == 0:
		return "nothing"
	case slices.Contains(allowed, anything):
		return "anything"
	}
	var names []string
	for _, path := range allowed {
		names = append(names, host.ReplaceAllString(path, ""))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
