package contract_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/billbus/billbus/events"
)

// page returns docs/events.md by its headings.
func page(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for part := range strings.SplitSeq("\n"+string(raw), "\n#") {
		heading, body, _ := strings.Cut(part, "\n")
		sections[strings.Trim(heading, "# ")] = body
	}
	return sections
}

// places are the sections that describe the fields of a group. A group without a section
// is described with the group that contains it.
var places = map[string][]string{
	"message":           {"The envelope"},
	"data":              {"`data`"},
	"subscription":      {"`data.subscription`"},
	"item":              {"`items`"},
	"discount":          {"`discounts`"},
	"identity":          {"`data.identity`"},
	"invoice":           {"`data.invoice`"},
	"checkout_session":  {"`data.checkout_session`"},
	"customer":          {"`data.customer`"},
	"customer_discount": {"`data.discount`"},
	"product":           {"`data.product`"},
	"price":             {"`data.price`", "`items`"},
	"entitlements":      {"`data.entitlements`"},
	"access_document":   {"`data.access`"},
}

func TestThePageHasEveryField(t *testing.T) {
	t.Parallel()
	checkFields(t, page(t), readModel(t), nil, map[string]bool{})
}

func checkFields(t *testing.T, page map[string]string, g *group, within []string, seen map[string]bool) {
	t.Helper()
	own, ok := places[g.name]
	if !ok {
		own = within
	} else if seen[g.name] {
		return
	}
	seen[g.name] = true
	var text strings.Builder
	for _, heading := range own {
		if page[heading] == "" {
			t.Errorf("%s: the page has no section %q", g.name, heading)
		}
		text.WriteString(page[heading])
	}
	for _, f := range g.fields {
		if !strings.Contains(text.String(), "`"+f.name+"`") {
			t.Errorf("%s.%s is not in %q", g.name, f.name, own)
		}
		if inner := inside(f.value); inner != nil {
			checkFields(t, page, inner, own, seen)
		}
	}
}

func inside(v value) *group {
	if v.elements != nil {
		return v.elements.group
	}
	return v.group
}

func TestThePageHasEveryWord(t *testing.T) {
	t.Parallel()
	sections, source := page(t), readSource(t)
	for heading, words := range map[string][]string{
		"`data.changes`":      source.words("Change"),
		"`data.subscription`": slices.Concat(source.words("Status"), source.words("Access")),
		"`data.identity`":     source.words("IdentitySource"),
		"`data`":              slices.Concat(source.words("Origin"), source.words("Ignored"), source.words("Omitted")),
		"Snapshots":           source.words("Reason"),
		"What a message is":   events.StreamSubjects(),
	} {
		if len(words) == 0 {
			t.Errorf("%s: no words", heading)
		}
		for _, word := range words {
			if !strings.Contains(sections[heading], "`"+word+"`") {
				t.Errorf("%s does not mention %s", heading, word)
			}
		}
	}
}

// A word is either in the table or in the list of words without a type.
func TestThePageAgreesWithItself(t *testing.T) {
	t.Parallel()
	table, rest, ok := strings.Cut(page(t)["Stripe's thin events"], "Words of Billbus for which")
	alone, _, end := strings.Cut(rest, "\n")
	if !ok || !end {
		t.Fatal("the page has no list of words without a type")
	}
	for _, word := range readSource(t).words("Change") {
		mapped, listed := strings.Contains(table, "`"+word+"`"), strings.Contains(alone, "`"+word+"`")
		if mapped && listed || !mapped && !listed && word != string(events.ChangeCanceled) {
			t.Errorf("%s: in the table %v, in the list of those without a type %v", word, mapped, listed)
		}
	}
}
