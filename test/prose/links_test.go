package prose_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// TestLinksLead follows the links of all pages to files and headings.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	count := 0
	for _, page := range pages(t) {
		for _, p := range page.paragraphs(t) {
			for _, at := range link.FindAllStringSubmatchIndex(p.text(), -1) {
				target := p.text()[at[2]:at[3]]
				if strings.Contains(target, "://") {
					continue
				}
				count++
				if problem := follow(t, page, target); problem != "" {
					t.Errorf("%s:%d: %s: %s", page.path, p.lineAt(at[0]), target, problem)
				}
			}
		}
	}
	if count < 20 {
		t.Errorf("found %d links only", count)
	}
}

var link = regexp.MustCompile(`\]\(<?([^()\s>]+)>?\)`)

// follow returns what is wrong with a link of a page.
func follow(t *testing.T, page textFile, target string) string {
	t.Helper()
	path, anchor, _ := strings.Cut(target, "#")
	file := filepath.Join(root, filepath.Dir(page.path), path)
	if path == "" {
		file = filepath.Join(root, page.path)
	}
	if _, err := os.Stat(file); err != nil {
		return "there is no such file"
	}
	if anchor == "" {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !anchors(string(text))[anchor] {
		return "there is no such heading"
	}
	return ""
}

// anchors returns the anchors that GitHub gives to the headings of a page.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for text := range strings.Lines(fences.ReplaceAllString(page, "")) {
		if heading := strings.TrimLeft(text, "#"); heading != text && strings.HasPrefix(heading, " ") {
			found[anchor(heading)] = true
		}
	}
	return found
}

var fences = regexp.MustCompile("(?ms)^ *```.*?^ *```")

func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

func TestAnchors(t *testing.T) {
	t.Parallel()
	got := anchors("# What's in `data.event`?\n\n```sh\n# none\n```\n\n## On-call: 3 steps\n\n#no heading\n")
	for _, want := range []string{"whats-in-dataevent", "on-call-3-steps"} {
		if !got[want] {
			t.Errorf("got %v, want %q in it", got, want)
		}
	}
	if len(got) != 2 {
		t.Errorf("got %v, want two headings", got)
	}
}

// TestNamesExist looks for the files and the declarations that pages name between
// backticks, such as `internal/store` and `ordering.Fold`.
func TestNamesExist(t *testing.T) {
	t.Parallel()
	declared := declarations(t)
	count := 0
	for _, page := range pages(t) {
		for i, text := range strings.Split(page.text, "\n") {
			for _, code := range inline.FindAllString(text, -1) {
				name := strings.Trim(code, "`")
				switch {
				case ourPath.MatchString(name):
					count++
					if found, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(found) == 0 {
						t.Errorf("%s:%d: there is no %s", page.path, i+1, name)
					}
				case goName.MatchString(name):
					of, _, _ := strings.Cut(name, ".")
					if known := declared[of]; known != nil {
						count++
						if !known[name] {
							t.Errorf("%s:%d: there is no %s", page.path, i+1, name)
						}
					}
				}
			}
		}
	}
	if count < 20 {
		t.Errorf("found %d names only", count)
	}
}

var (
	ourPath = regexp.MustCompile(`^(\.ci|cmd|config|deploy|docs|events|examples|handlers|internal|test|tools)/[\w./*-]*$`)
	goName  = regexp.MustCompile(`^[a-z]+\.[A-Z]\w*$`)
)

// declarations returns the exported names of every package of this module, by the
// package's name.
func declarations(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	for _, file := range readTree(t) {
		if kindOf(file.path) != "go" || strings.HasSuffix(file.path, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.path, file.text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		of := parsed.Name.Name
		if found[of] == nil {
			found[of] = map[string]bool{}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			for _, name := range declared(n) {
				found[of][of+"."+name.Name] = true
			}
			return true
		})
	}
	return found
}

func pages(t *testing.T) []textFile {
	t.Helper()
	var found []textFile
	for _, file := range readTree(t) {
		if kindOf(file.path) == "page" {
			found = append(found, file)
		}
	}
	if len(found) < 10 {
		t.Fatalf("found %d pages only", len(found))
	}
	return found
}
