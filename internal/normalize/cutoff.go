package normalize

import "strconv"

// warnCutOff names the lists in an object that Stripe cut off after the first
// elements. The items of a subscription are not named: items_truncated says the same.
func warnCutOff(object, items value, warnings *notes) {
	if !object.exists() {
		return
	}
	for i := object.index; i < object.node().next; i++ {
		list := value{object.doc, i}
		if list == items || list.get("has_more").raw() != "true" || !isList(list) {
			continue
		}
		path := "" // beyond the maximum, notes are only counted
		if warnings.count < maxNotes {
			path = pathOf(object.doc.steps(i))
		}
		warnings.add(path + ": cut off after " + strconv.Itoa(count(list.get("data"))) + " elements (has_more)")
	}
}

func isList(v value) bool {
	kind, _ := v.get("object").text()
	return kind == "list"
}
