package prose_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var testLink = regexp.MustCompile(`\[((?:Test|Fuzz)\w+)\]\(([^)]*)\)`)

// TestEveryThreatNamesItsTest looks for the tests that SECURITY.md names: what no test holds is
// only a claim.
func TestEveryThreatNamesItsTest(t *testing.T) {
	t.Parallel()
	page := pageNamed(t, "SECURITY.md")
	threats := 0
	for i, line := range strings.Split(page.text, "\n") {
		named := testLink.FindAllStringSubmatch(line, -1)
		if isThreat(line) {
			threats++
			if len(named) == 0 {
				t.Errorf("SECURITY.md:%d: no test is named for %s", i+1, line)
			}
		}
		for _, m := range named {
			if !declares(t, m[2], m[1]) {
				t.Errorf("SECURITY.md:%d: there is no %s in %s", i+1, m[1], m[2])
			}
		}
	}
	if threats < 40 {
		t.Errorf("found %d threats only", threats)
	}
}

// isThreat reports whether a line is a row of a table of threats, which have four columns.
func isThreat(line string) bool {
	return strings.Count(line, "|") == 5 && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| threat |")
}

func declares(t *testing.T, file, name string) bool {
	t.Helper()
	if !strings.HasSuffix(file, "_test.go") {
		return false
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return false
	}
	for _, decl := range parsed.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == name {
			return true
		}
	}
	return false
}

func pageNamed(t *testing.T, path string) textFile {
	t.Helper()
	for _, page := range pages(t) {
		if page.path == path {
			return page
		}
	}
	t.Fatalf("there is no %s", path)
	return textFile{}
}
