package prose_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// textFile is a file of the repository.
type textFile struct {
	path string // relative to the root, with slashes
	text string
}

// paragraph is text in which a sentence may go on from line to line.
type paragraph struct {
	lines      []line
	identifier bool
}

type line struct {
	number int
	text   string
}

func (p paragraph) text() string {
	texts := make([]string, len(p.lines))
	for i, l := range p.lines {
		texts[i] = l.text
	}
	return strings.Join(texts, "\n")
}

// lineAt returns the number of the line that has a position of text.
func (p paragraph) lineAt(at int) int {
	for _, l := range p.lines {
		if at <= len(l.text) {
			return l.number + strings.Count(l.text[:at], "\n")
		}
		at -= len(l.text) + 1
	}
	return 0
}

func (p paragraph) rules() []rule {
	if p.identifier {
		return append(slices.Clone(rules), names)
	}
	return rules
}

// readTree reads every text file of the repository, except generated and recorded
// ones.
func readTree(t *testing.T) []textFile {
	t.Helper()
	var files []textFile
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		relative, _ := filepath.Rel(root, path)
		relative = filepath.ToSlash(relative)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && isSkipped(relative):
			return fs.SkipDir
		case entry.IsDir() || kindOf(relative) == "":
			return nil
		}
		text, err := os.ReadFile(path)
		files = append(files, textFile{relative, string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// isSkipped reports whether a folder holds what nobody here has written.
func isSkipped(dir string) bool {
	name := filepath.Base(dir)
	hidden := strings.HasPrefix(name, ".") && !slices.Contains([]string{".", "..", ".ci"}, name)
	return hidden || slices.Contains([]string{"testdata", "node_modules"}, name) || slices.Contains([]string{"bin", "data", "secrets"}, dir)
}

// kindOf returns how a file is to be read, or nothing if it holds no text.
func kindOf(path string) string {
	name := filepath.Base(path)
	switch {
	case strings.Contains("/"+path, "/testdata/"), name == "package.json", name == "package-lock.json":
		return ""
	case slices.Contains([]string{"Makefile", "Dockerfile", ".gitignore", ".dockerignore"}, name), strings.HasPrefix(path, ".ci/"):
		return "script"
	case strings.HasPrefix(path, "deploy/") && filepath.Ext(path) == ".json":
		return "script"
	}
	return map[string]string{
		".go": "go", ".md": "page", ".patch": "patch",
		".sh": "script", ".jq": "script", ".js": "script", ".mjs": "script", ".yml": "script", ".yaml": "script", ".conf": "script",
	}[filepath.Ext(path)]
}

func (f textFile) paragraphs(t *testing.T) []paragraph {
	t.Helper()
	switch kindOf(f.path) {
	case "go":
		return f.goParagraphs(t)
	case "page":
		return f.pageParagraphs()
	case "patch":
		header, _, _ := strings.Cut(f.text, "\n--- ")
		return textFile{"Makefile", header}.scriptParagraphs()
	case "script":
		return f.scriptParagraphs()
	}
	return nil
}

// goParagraphs returns comments, declared names, and the strings of code that is
// not a test.
func (f textFile) goParagraphs(t *testing.T) []paragraph {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, f.path, f.text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []paragraph
	add := func(n ast.Node, text string, identifier bool) {
		found = append(found, paragraph{[]line{{files.Position(n.Pos()).Line, text}}, identifier})
	}
	for _, group := range parsed.Comments {
		found = append(found, commentParagraphs(files, group)...)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		for _, name := range declared(n) {
			add(name, spaced(name.Name), true)
		}
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && !strings.HasSuffix(f.path, "_test.go") {
				add(n, text, false)
			}
		}
		return true
	})
	return found
}

func commentParagraphs(files *token.FileSet, group *ast.CommentGroup) []paragraph {
	var lines []line
	for _, c := range group.List {
		for i, text := range strings.Split(c.Text, "\n") {
			lines = append(lines, line{files.Position(c.Pos()).Line + i, strings.Trim(text, "/* \t")})
		}
	}
	return split(lines)
}

// declared returns the names that a node declares.
func declared(n ast.Node) []*ast.Ident {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return []*ast.Ident{n.Name}
	case *ast.TypeSpec:
		return []*ast.Ident{n.Name}
	case *ast.ValueSpec:
		return n.Names
	case *ast.Field:
		return n.Names
	case *ast.AssignStmt:
		return assigned(n)
	}
	return nil
}

// assigned returns the names that := declares, and those that it assigns again.
func assigned(n *ast.AssignStmt) []*ast.Ident {
	var found []*ast.Ident
	for _, target := range n.Lhs {
		if name, ok := target.(*ast.Ident); ok && n.Tok == token.DEFINE {
			found = append(found, name)
		}
	}
	return found
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// spaced makes words of a name.
func spaced(name string) string {
	return camel.ReplaceAllString(strings.ReplaceAll(name, "_", " "), "$1 $2")
}

var (
	pageBlock = regexp.MustCompile("^\\s*(#|\\||[-*] |[0-9]+\\. |```|$)")
	inline    = regexp.MustCompile("`[^`]*`")
)

// pageParagraphs returns the text of a page in Markdown without code in the lines.
// In blocks of code every line is a paragraph.
func (f textFile) pageParagraphs() []paragraph {
	var lines []line
	inCode := false
	for i, text := range strings.Split(f.text, "\n") {
		fence := strings.HasPrefix(strings.TrimSpace(text), "```")
		if fence {
			inCode = !inCode
		}
		if inCode || fence {
			lines = append(lines, line{}, line{i + 1, text}, line{})
			continue
		}
		if pageBlock.MatchString(text) {
			lines = append(lines, line{})
		}
		lines = append(lines, line{i + 1, inline.ReplaceAllStringFunc(text, func(code string) string { return strings.Repeat("`", len(code)) })})
	}
	return split(lines)
}

var comment = regexp.MustCompile(`^\s*(#|//)\s*(.*)$`)

// scriptParagraphs returns the comments of a file, and each of its other lines.
func (f textFile) scriptParagraphs() []paragraph {
	var lines []line
	for i, text := range strings.Split(f.text, "\n") {
		if m := comment.FindStringSubmatch(text); m != nil {
			lines = append(lines, line{i + 1, m[2]})
		} else {
			lines = append(lines, line{}, line{i + 1, text}, line{})
		}
	}
	return split(lines)
}

// split makes paragraphs of the lines between blank ones.
func split(lines []line) []paragraph {
	var found []paragraph
	var current []line
	for _, l := range append(lines, line{}) {
		if strings.TrimSpace(l.text) != "" {
			current = append(current, l)
			continue
		}
		if len(current) > 0 {
			found = append(found, paragraph{lines: current})
		}
		current = nil
	}
	return found
}
