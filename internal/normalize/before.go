package normalize

import (
	"maps"
	"slices"
	"strings"
)

// sparseBefore is the first API version whose previous_attributes hold arrays
// whole. Older ones list, in an array, only what changed of its elements. An
// event without a version is from before versions were written into events.
// See https://docs.stripe.com/upgrades#2017-05-25
const sparseBefore = "2017-05-25"

// beforeSubscription is a subscription as it was before an event: with the
// previous attributes put back. Some renderings put the plan and the quantity at
// the top, for the only item, and say there alone what they were.
func beforeSubscription(object, previous value, version string) value {
	if !previous.isObject() || previous.isEmpty() {
		return object
	}
	whole := putBack(object, previous, version < sparseBefore)
	items, plan, quantity := object.get("items"), set(previous.get("plan")), set(previous.get("quantity"))
	if !items.exists() || previous.get("items").exists() || !plan.exists() && !quantity.exists() {
		return whole
	}
	return putBack(whole, onlyItem(items, plan, quantity), true)
}

// onlyItem says as previous attributes what the only item was. Where there are
// several items now, the plan was that of an item of which nothing else is known.
func onlyItem(items, plan, quantity value) value {
	var member string
	if plan.exists() {
		member = `"plan":` + plan.raw() + `,"price":null`
	}
	if quantity.exists() {
		member = join(member, `"quantity":`+quantity.raw())
	}
	n, isPage := countItems(items)
	switch {
	case n == 1 && isPage:
		return view(`{"items":{"data":[{` + member + `}]}}`)
	case n == 1:
		return view(`{"items":[{` + member + `}]}`)
	case plan.exists():
		return view(`{"items":null}`)
	}
	return view(`{}`)
}

// countItems counts the items in a list object or in a plain array.
func countItems(items value) (n int, isPage bool) {
	if items.isObject() {
		items, isPage = items.get("data"), true
	}
	for range items.elements() {
		n++
	}
	return n, isPage
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}

// putBack returns a value with another put into it: objects are merged,
// everything else is replaced, and null says that something was not there.
// Arrays are merged by position if they are sparse.
func putBack(v, previous value, sparse bool) value {
	p := putter{sparse: sparse}
	p.out.Grow(len(v.raw()) + len(previous.raw()))
	p.put(v, previous)
	return view(p.out.String())
}

type putter struct {
	out    strings.Builder
	sparse bool
}

func (p *putter) put(v, previous value) {
	switch {
	case v.isObject() && previous.isObject():
		p.object(v, previous)
	case p.sparse && v.isArray() && previous.isArray():
		p.array(v, previous)
	default:
		p.out.WriteString(previous.raw())
	}
}

// object writes the members in the order of now, and then those that only were.
func (p *putter) object(now, previous value) {
	p.out.WriteByte('{')
	write := p.separated()
	were := index(previous)
	for name, v := range now.members() {
		write(v)
		if was := were(name); was.exists() {
			p.put(v, was)
		} else {
			p.out.WriteString(v.raw())
		}
	}
	are := index(now)
	for name, was := range previous.members() {
		if !are(name).exists() {
			write(was)
			p.out.WriteString(was.raw())
		}
	}
	p.out.WriteByte('}')
}

// array writes the elements of now, and then those that only were.
func (p *putter) array(now, previous value) {
	p.out.WriteByte('[')
	write := p.separated()
	were := slices.Collect(previous.inside())
	for i, v := range now.elements() {
		write(v)
		if i < len(were) && !were[i].isNull() {
			p.put(v, were[i])
		} else {
			p.out.WriteString(v.raw())
		}
	}
	for _, was := range were[min(count(now), len(were)):] {
		write(was)
		p.out.WriteString(was.raw())
	}
	p.out.WriteByte(']')
}

// separated returns what writes everything that stands before a value: the comma
// after the one before, and the name of a member.
func (p *putter) separated() func(value) {
	first := true
	return func(v value) {
		if !first {
			p.out.WriteByte(',')
		}
		first = false
		if name := v.quotedName(); name != "" {
			p.out.WriteString(name)
			p.out.WriteByte(':')
		}
	}
}

// manyMembers is from where on a map is quicker than looking through.
const manyMembers = 128

// index is for looking up many members of what may be a large object.
func index(v value) func(name string) value {
	if count(v) < manyMembers {
		return v.get
	}
	byName := maps.Collect(v.members())
	return func(name string) value { return byName[name] }
}

func count(v value) int {
	n := 0
	for range v.inside() {
		n++
	}
	return n
}
