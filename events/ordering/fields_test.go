package ordering_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/billbus/billbus/events/ordering"
)

// TestFieldsAreRendered compares the fields that are compared between versions with what
// each rendering lacks, by the table that the tests of the normalizer hold.
func TestFieldsAreRendered(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/api-versions.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(\\d{4}-\\d\\d-\\d\\d(?:\\.[a-z]+)?)[a-z-]*` \\| ([^|]*) \\|").FindAllStringSubmatch(string(doc), -1)
	compared := 0
	for _, row := range rows {
		version := row[1]
		for _, lacking := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			since, ok := ordering.Since[fieldOf(lacking[1])]
			if !ok {
				continue
			}
			compared++
			if since <= version {
				t.Errorf("%s: the rendering of %s lacks it, but it is compared since %q", lacking[1], version, since)
			}
		}
	}
	if len(rows) < 7 || compared < 10 {
		t.Errorf("got %d renderings and %d fields", len(rows), compared)
	}
}

// fieldOf names the part of a state to which a field belongs. The details of discounts do
// not count, and of items only price and quantity do in every version.
func fieldOf(name string) string {
	list, member, isList := strings.Cut(name, "[].")
	switch {
	case !isList:
		return name
	case list == "items" && member != "price_id" && member != "quantity":
		return "item details"
	case list == "items", list == "discounts" && member == "id":
		return list
	}
	return ""
}
