package fault_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/fault"
)

// declared returns the values of all constants of type Reason, in order.
func declared(t *testing.T) []fault.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []fault.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Reason" || len(spec.Values) != 1 {
			t.Errorf("%s: want one constant of type Reason", spec.Names[0].Name)
			return false
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Error(err)
		}
		values = append(values, fault.Reason(value))
		return false
	})
	return values
}

func TestReasonsAreDifferent(t *testing.T) {
	t.Parallel()
	reasons := declared(t)
	slices.Sort(reasons)
	if unique := len(slices.Compact(slices.Clone(reasons))); unique != len(reasons) || unique == 0 {
		t.Errorf("got %d different values of %d constants", unique, len(reasons))
	}
}

// TestEveryReasonIsDocumented reads the first column of the table of reasons in
// docs/operating.md.
func TestEveryReasonIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### Reasons\n")
	section, _, _ = strings.Cut(section, "\n## ")
	word := regexp.MustCompile("`([a-z_]+)`")
	var documented []fault.Reason
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 2 {
			continue
		}
		for _, match := range word.FindAllStringSubmatch(cells[1], -1) {
			documented = append(documented, fault.Reason(match[1]))
		}
	}
	want := declared(t)
	slices.Sort(want)
	slices.Sort(documented)
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("docs/operating.md (-declared +documented):\n%s", diff)
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	inner := fault.New(fault.Permanent, fault.TooLarge, cause)
	for name, tt := range map[string]struct {
		err    error
		kind   fault.Kind
		reason fault.Reason
	}{
		"no mark":            {cause, fault.Transient, fault.Other},
		"marked":             {inner, fault.Permanent, fault.TooLarge},
		"wrapped":            {fmt.Errorf("storing: %w", inner), fault.Permanent, fault.TooLarge},
		"outermost mark":     {fault.New(fault.Transient, fault.DatabaseBusy, inner), fault.Transient, fault.DatabaseBusy},
		"nil gets no mark":   {fault.New(fault.Permanent, fault.TooLarge, nil), fault.Transient, fault.Other},
		"rejected, for logs": {fault.New(fault.Rejected, fault.Stale, cause), fault.Rejected, fault.Stale},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if kind, reason := fault.KindOf(tt.err), fault.ReasonOf(tt.err); kind != tt.kind || reason != tt.reason {
				t.Errorf("got %s, %s, want %s, %s", kind, reason, tt.kind, tt.reason)
			}
			if tt.err != nil && !errors.Is(tt.err, cause) {
				t.Errorf("%v does not wrap its cause", tt.err)
			}
		})
	}
}
