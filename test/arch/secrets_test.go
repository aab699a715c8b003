package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsAreNotComparedByOperators checks that no == compares a secret: how long that takes
// says how much of a guess is right. secret.Text has Equal, and stripe-go compares signatures.
func TestSecretsAreNotComparedByOperators(t *testing.T) {
	t.Parallel()
	for _, path := range sources(t) {
		for _, at := range comparisons(t, path, nil) {
			t.Errorf("%s compares a secret: use Equal", at)
		}
	}
	source := "package p\n\nvar (\n\ta = x.Reveal() == y\n\tb = y != k.Secret\n\tc = x.Reveal() == \"\"\n)\n"
	if got := comparisons(t, "p.go", source); len(got) != 2 {
		t.Errorf("got comparisons at %v, want two", got)
	}
}

// TestNoCommandWritesCSV checks it, because a spreadsheet would run what customers write into
// their events as formulas.
func TestNoCommandWritesCSV(t *testing.T) {
	t.Parallel()
	for _, path := range sources(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("csv.NewWriter")) {
			t.Errorf("%s writes CSV", path)
		}
	}
}

// sources returns the files of the programs, without tests.
func sources(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, dir := range []string{"cmd", "config", "handlers", "internal"} {
		err := filepath.WalkDir(filepath.Join(root(t), dir), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(paths) < 50 {
		t.Fatalf("found %d files only", len(paths))
	}
	return paths
}

// comparisons returns where == or != compares a secret with something that is not a literal.
func comparisons(t *testing.T, path string, source any) []token.Position {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []token.Position
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.BinaryExpr)
		if ok && (c.Op == token.EQL || c.Op == token.NEQ) && (isSecret(c.X) && !isLiteral(c.Y) || isSecret(c.Y) && !isLiteral(c.X)) {
			found = append(found, set.Position(c.Pos()))
		}
		return true
	})
	return found
}

func isSecret(e ast.Expr) bool {
	if call, ok := e.(*ast.CallExpr); ok {
		e = call.Fun
	}
	s, ok := e.(*ast.SelectorExpr)
	return ok && (s.Sel.Name == "Reveal" || s.Sel.Name == "Secret")
}

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok
}
