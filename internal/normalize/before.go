package normalize

import (
	"maps"
	"slices"
	"strings"
)

// sparseBefore is the first API version whose previous_attributes contain whole
// arrays. Older versions list only what changed in an array's elements. An event
// without a version is older than versions in events.
// See https://docs.stripe.com/upgrades#2017-05-25
const sparseBefore = "2017-05-25"

// objectBefore returns a subscription object as it was before an event, by merging
// the previous attributes into it. Some versions have the plan and the quantity
// of the only item at the top too, and list previous values only there.
func objectBefore(object, previous value, version string) value {
	if !previous.isObject() || previous.isEmpty() {
		return object
	}
	merged := merge(object, previous, version < sparseBefore)
	items, plan, quantity := object.get("items"), set(previous.get("plan")), set(previous.get("quantity"))
	if !items.exists() || previous.get("items").exists() || !plan.exists() && !quantity.exists() {
		return merged
	}
	return merge(merged, onlyItemBefore(items, plan, quantity), true)
}

// onlyItemBefore writes the previous plan and quantity as previous attributes of
// the only item. If there are several items now, the plan was that of one item,
// about which nothing else is known.
func onlyItemBefore(items, plan, quantity value) value {
	var members []string
	if plan.exists() {
		members = append(members, `"plan":`+plan.raw()+`,"price":null`)
	}
	if quantity.exists() {
		members = append(members, `"quantity":`+quantity.raw())
	}
	array := items
	if items.isObject() {
		array = items.get("data")
	}
	single := array.isArray() && count(array) == 1
	item := "{" + strings.Join(members, ",") + "}"
	switch {
	case single && items.isObject():
		return mustParse(`{"items":{"data":[` + item + `]}}`)
	case single:
		return mustParse(`{"items":[` + item + `]}`)
	case plan.exists():
		return mustParse(`{"items":null}`)
	}
	return mustParse(`{}`)
}

// merge returns v with previous merged into it. Objects are merged; everything
// else is replaced; null means that a member was not set. If sparse, arrays are
// merged element by element.
func merge(v, previous value, sparse bool) value {
	m := merger{sparse: sparse}
	m.out.Grow(len(v.raw()) + len(previous.raw()))
	m.merge(v, previous)
	return mustParse(m.out.String())
}

type merger struct {
	out    strings.Builder
	sparse bool
}

func (m *merger) merge(v, previous value) {
	switch {
	case v.isObject() && previous.isObject():
		m.object(v, previous)
	case m.sparse && v.isArray() && previous.isArray():
		m.array(v, previous)
	default:
		m.out.WriteString(previous.raw())
	}
}

// object writes the members of now in their order, and then those that only
// previous has.
func (m *merger) object(now, previous value) {
	m.out.WriteByte('{')
	next := m.separator()
	inPrevious := lookup(previous)
	for name, v := range now.members() {
		next(v)
		if before := inPrevious(name); before.exists() {
			m.merge(v, before)
		} else {
			m.out.WriteString(v.raw())
		}
	}
	inNow := lookup(now)
	for name, before := range previous.members() {
		if !inNow(name).exists() {
			next(before)
			m.out.WriteString(before.raw())
		}
	}
	m.out.WriteByte('}')
}

// array writes the elements of now, and then those that only previous has.
func (m *merger) array(now, previous value) {
	m.out.WriteByte('[')
	next := m.separator()
	before := slices.Collect(previous.inside())
	for i, v := range now.elements() {
		next(v)
		if i < len(before) && !before[i].isNull() {
			m.merge(v, before[i])
		} else {
			m.out.WriteString(v.raw())
		}
	}
	for _, v := range before[min(count(now), len(before)):] {
		next(v)
		m.out.WriteString(v.raw())
	}
	m.out.WriteByte(']')
}

// separator returns a function that writes what precedes a value: a comma, except
// before the first, and the name of a member.
func (m *merger) separator() func(value) {
	first := true
	return func(v value) {
		if !first {
			m.out.WriteByte(',')
		}
		first = false
		if name := v.quotedName(); name != "" {
			m.out.WriteString(name)
			m.out.WriteByte(':')
		}
	}
}

// manyMembers is the size at which a map becomes faster than a linear search.
const manyMembers = 128

// lookup returns a function that finds members of v, which may be a large object.
func lookup(v value) func(name string) value {
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
