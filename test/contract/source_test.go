package contract_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is what reflection does not know of package events.
type source struct {
	// comments are the comments of types and, under "Type.Field", of fields.
	comments  map[string]string
	fields    map[string][]string // names of the fields of each struct
	constants []constant
}

type constant struct{ name, goType, value string }

func readSource(t *testing.T) *source {
	t.Helper()
	paths, err := filepath.Glob("../../events/*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("found no source: %v", err)
	}
	s := &source{comments: map[string]string{}, fields: map[string][]string{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, s.visit)
	}
	return s
}

func (s *source) visit(n ast.Node) bool {
	decl, ok := n.(*ast.GenDecl)
	if !ok {
		return true
	}
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.comments[spec.Name.Name] = decl.Doc.Text()
			if group, ok := spec.Type.(*ast.StructType); ok {
				s.readFields(spec.Name.Name, group.Fields.List)
			}
		case *ast.ValueSpec:
			s.readConstant(spec)
		}
	}
	return false
}

func (s *source) readConstant(spec *ast.ValueSpec) {
	if len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		return
	}
	c := constant{name: spec.Names[0].Name, value: literal.Value}
	if text, err := strconv.Unquote(c.value); err == nil {
		c.value = text
	}
	if name, ok := spec.Type.(*ast.Ident); ok {
		c.goType = name.Name
	}
	s.constants = append(s.constants, c)
}

// readFields gives a comment on several fields ("A and B are …") to each of them.
func (s *source) readFields(group string, list []*ast.Field) {
	for _, field := range list {
		for _, name := range field.Names {
			s.fields[group] = append(s.fields[group], name.Name)
			s.comments[group+"."+name.Name] = field.Doc.Text()
		}
	}
	for _, name := range s.fields[group] {
		for _, also := range subjects.FindAllString(head(s.comments[group+"."+name]), -1) {
			if slices.Contains(s.fields[group], also) && s.comments[group+"."+also] == "" {
				s.comments[group+"."+also] = s.comments[group+"."+name]
			}
		}
	}
}

var (
	subjects = regexp.MustCompile(`\b[A-Z]\w*`)
	several  = regexp.MustCompile(`^[A-Z]\w*(, [A-Z]\w*)* and [A-Z]\w* `)
)

// head returns the start of a comment on several fields.
func head(comment string) string { return several.FindString(comment) }

// words returns the constants of a type, or those whose names begin with prefix.
func (s *source) words(prefix string) []string {
	var words []string
	for _, c := range s.constants {
		rest, ok := strings.CutPrefix(c.name, prefix)
		if c.goType == prefix || c.goType == "" && ok && rest != "" {
			words = append(words, c.value)
		}
	}
	return words
}

var (
	seeSymbol = regexp.MustCompile(`[.;] [Ss]ee \[\w+\]\.`)
	symbol    = regexp.MustCompile(`\[(\w+)\]`)
	word      = regexp.MustCompile(`\w+`)
)

// meaning rewrites a comment for JSON: with JSON names of fields, with values of
// constants, and without links to Go symbols.
func (s *source) meaning(comment string, names map[string]string) string {
	text := strings.Join(strings.Fields(comment), " ")
	text = seeSymbol.ReplaceAllString(text, ".")
	text = symbol.ReplaceAllStringFunc(text, func(link string) string {
		name := strings.Trim(link, "[]")
		i := slices.IndexFunc(s.constants, func(c constant) bool { return c.name == name })
		if i < 0 {
			return name
		}
		return s.constants[i].value
	})
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if name, ok := names[w]; ok {
			return name
		}
		return w
	})
}
