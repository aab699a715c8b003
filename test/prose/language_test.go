package prose_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule finds a phrase that a reader has to read twice.
type rule struct {
	phrase *regexp.Regexp
	except *regexp.Regexp // matches of phrase that are plain English
	better string
}

// rules are the phrases that do not belong into comments, pages and messages.
// Each rule must find nothing in good English: a rule that needs many exceptions
// is not worth having.
var rules = []rule{
	{
		phrase: words(`stand|stands|standing|stood|stand-ins?`),
		better: `say "is", "is in" or "is documented in"; of a test double: "fake"`,
	},
	{
		phrase: words(`told`),
		better: `say "reported", "described" or "called with"; for "told apart": "distinguished"`,
	},
	{phrase: words(`tells? of`), better: `say "is about", "reports" or "describes"`},
	{phrase: words(`whoever|whomever`), better: `say "anyone who", or name them`},
	{
		phrase: words(`(there )?(is|are|was|were) none`),
		except: words(`there (is|are|was|were) none`),
		better: `say "is not one", or name what there is not`,
	},
	{
		phrase: words(`(it|this|that|which) is no`),
		except: words(`is no (longer|more|less|other|better)`),
		better: `say "is not a"`,
	},
	{phrase: words(`besides?`), better: `say "in addition to", "as well as", "next to" or "apart from"`},
	{phrase: words(`of (which|whom)`), better: `start a new sentence`},
	{
		phrase: words(`so that\b[^.;:!?]*\b(not|never|no|nothing|nobody|cannot)`),
		better: `say "to avoid …" or "so … does not"`,
	},
	{phrase: words(`(is|are|was|were|be) had`), better: `say "comes from" or "is available"`},
	{phrase: words(`truly`), better: `say "correct", or leave it out`},
	{phrase: words(`allows? of`), better: `say "allows" or "permits"`},
	{phrase: words(`(is|was) left to say`), better: `say what it is`},
	{phrase: words(`(come|comes|came) to the same`), better: `say "is equivalent" or "has the same result"`},
	{phrase: words(`somebody else|someone else`), better: `say "another process", "another writer" or who it is`},
	{phrase: words(`(say|says|said) of`), better: `say "says about"`},
	{phrase: words(`(is|are|was|were|being) away`), better: `say "is down", "is unavailable" or "is unreachable"`},
	{phrase: words(`knows of`), better: `say "knows", "has" or "imports"`},
	{phrase: words(`in the place of`), better: `say "instead of" or "replaces"`},
	{phrase: words(`anew`), better: `say "again"`},
}

// names are words of identifiers that do not say what they name.
var names = rule{
	phrase: words(`wonder|strays|knot|entangle|casting|forgetful|sink`),
	better: `a name should explain itself`,
}

// words matches any of some phrases as whole words, also across lines.
func words(phrases string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(` + strings.ReplaceAll(phrases, " ", `\s+`) + `)\b`)
}

// find returns the position and the text of each match.
func (r rule) find(text string) []match {
	var found []match
	for _, at := range r.phrase.FindAllStringIndex(text, -1) {
		if r.except == nil || !startsWith(r.except, text[at[0]:], text[at[0]:at[1]]) {
			found = append(found, match{at[0], strings.Join(strings.Fields(text[at[0]:at[1]]), " ")})
		}
	}
	return found
}

// startsWith reports whether an exception begins within the match.
func startsWith(except *regexp.Regexp, rest, matched string) bool {
	at := except.FindStringIndex(rest)
	return at != nil && at[0] < len(matched)
}

type match struct {
	at     int
	phrase string
}

// finding is a phrase in a file.
type finding struct {
	file   string
	line   int
	phrase string
	better string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %q: %s", f.file, f.line, f.phrase, f.better)
}

// check looks for all phrases in a paragraph. A phrase may continue on the next
// line; it is reported where it begins.
func check(file string, p paragraph) []finding {
	var found []finding
	text := p.text()
	for _, r := range p.rules() {
		for _, m := range r.find(text) {
			found = append(found, finding{file, p.lineAt(m.at), m.phrase, r.better})
		}
	}
	return found
}

func TestPlainEnglish(t *testing.T) {
	t.Parallel()
	var found []finding
	count := 0
	for _, file := range readTree(t) {
		for _, p := range file.paragraphs(t) {
			count++
			found = append(found, check(file.path, p)...)
		}
	}
	if count < 1000 {
		t.Fatalf("found %d paragraphs only", count)
	}
	slices.SortFunc(found, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	for _, f := range found {
		t.Error(f)
	}
}

func TestPhrasesAreFound(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{
		"What a setting means stands in the table.":                    {"stands"},
		"A fake stands in for Stripe.":                                 {"stands"},
		"The sink is told which records differ.":                       {"told"},
		"The event tells of a subscription.":                           {"tells of"},
		"Whoever reads this may act.":                                  {"Whoever"},
		"What is before the first event is none.":                      {"is none"},
		"A request that is no event is refused.":                       {"that is no"},
		"It works beside the ingress. Besides, it is fast.":            {"beside", "Besides"},
		"Three events, two of which are late.":                         {"of which"},
		"It waits, so that the next attempt does not fail.":            {"so that the next attempt does not"},
		"The schema is had from the code.":                             {"is had"},
		"Every record as it truly is.":                                 {"truly"},
		"Their events allow of two ends.":                              {"allow of"},
		"What is left to say follows.":                                 {"is left to say"},
		"Where that comes\nto the same, nothing differs.":              {"comes to the same"},
		"Somebody else was first.":                                     {"Somebody else"},
		"What it says of each event while the database is away.":       {"says of", "is away"},
		"The store knows of no database.":                              {"knows of"},
		"An editor puts a new file in the place of the old one.":       {"in the place of"},
		"The record is decided anew.":                                  {"anew"},
		"Told twice, whoever asks: it is no difference, so it stands.": {"stands", "Told", "whoever", "it is no"},
	}
	for text, want := range cases {
		if got := phrases(prose(text)); !slices.Equal(got, want) {
			t.Errorf("in %q: got %q, want %q", text, got, want)
		}
	}
}

func TestPlainEnglishPasses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"Run standalone to understand the outstanding events; the standard library is enough.",
		"It tells the server that it is alive. Retell the untold story.",
		"There is none. None of them is left.",
		"It is no longer there, and this is no more than a hint.",
		"The port is in use, so the program does not start. There is no server.",
		"It retries so that the message arrives. It does not wait.",
		"The message had an id. Each server has one.",
		"Everything a decision needs to know of an event.",
		"Replace the file in place.",
	} {
		if got := phrases(prose(text)); len(got) != 0 {
			t.Errorf("in %q: got %q, want nothing", text, got)
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	t.Parallel()
	source := "package a\n\nfunc TestWhoeverIsTold() {\n\tvar (\n\t\tpadding int\n\t\tmySink  int\n\t)\n}\n"
	file := textFile{path: "a.go", text: source}
	var got []string
	for _, p := range file.paragraphs(t) {
		for _, f := range check(file.path, p) {
			got = append(got, fmt.Sprintf("%d %s", f.line, f.phrase))
		}
	}
	slices.Sort(got)
	if want := []string{"3 Told", "3 Whoever", "6 Sink"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLines checks that a finding names the line where its phrase begins, in each
// kind of file.
func TestLines(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		path, text string
		want       []int
	}{
		"comment":             {"a.go", "// Package a is.\n//\n// It is there so that\n// nothing fails.\npackage a\n", []int{3}},
		"string":              {"a.go", "package a\n\nimport \"besides\"\n\nvar text = `one\ntold`\n", []int{6}},
		"string of a test":    {"a_test.go", "package a\n\nvar text = \"told\"\n", nil},
		"code":                {"a.go", "package a\n\nvar besides = 1 // fine\n", []int{3}},
		"page":                {"a.md", "# Told\n\nIt is so that\nnothing fails.\n\n| a | told |\n|---|---|\n| `told` | b |\n", []int{1, 3, 6}},
		"code block":          {"a.md", "```sh\nrun # told\n```\n\nfine\n", []int{2}},
		"sentences":           {"a.md", "- so that it works\n- this is not it\n", nil},
		"shell":               {"a.sh", "# so that\n# nothing fails\necho told\n", []int{1, 3}},
		"patch":               {"a.patch", "Guard: told\n--- a\n+++ b\n told\n", []int{1}},
		"Makefile":            {"Makefile", "# fine\nall:\n\techo besides\n", []int{3}},
		"no text":             {"a.png", "told", nil},
		"recorded":            {"events/testdata/a.md", "told", nil},
		"identifier, in code": {"a.go", "package a\n\nfunc told() {}\n\nvar _ = told\n", []int{3}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := textFile{path: tt.path, text: tt.text}
			var got []int
			for _, p := range file.paragraphs(t) {
				for _, f := range check(file.path, p) {
					got = append(got, f.line)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got lines %d, want %d", got, tt.want)
			}
		})
	}
}

func prose(text string) paragraph {
	return paragraph{lines: []line{{1, text}}}
}

func phrases(p paragraph) []string {
	var found []string
	for _, f := range check("", p) {
		found = append(found, f.phrase)
	}
	return found
}
