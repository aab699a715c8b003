package normalize

import (
	"maps"
	"slices"
	"strings"
)

// objectBefore returns a subscription object as it was before an event, by merging
// the previous attributes into it. Some versions have the plan and the quantity
// of the only item at the top too, and list previous values only there.
func objectBefore(object, previous value) value {
	if !previous.isObject() || previous.isEmpty() {
		return object
	}
	merged := merge(object, previous, false)
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
// else is replaced; null means that a member was not set. Arrays are merged
// element by element if sparse, or if previous has parts of their elements.
func merge(v, previous value, sparse bool) value {
	var out builder
	out.grow(v, previous)
	m := merger{&out, sparse}
	m.merge("", v, previous)
	return out.value()
}

type merger struct {
	out    *builder
	sparse bool
}

// merge adds a value of this quoted name, or of none.
func (m *merger) merge(name string, v, previous value) {
	switch {
	case v.isObject() && previous.isObject():
		m.out.open(name, '{')
		m.object(v, previous)
		m.out.close('}')
	case v.isArray() && previous.isArray() && (m.sparse || hasParts(v, previous)):
		m.out.open(name, '[')
		m.array(v, previous)
		m.out.close(']')
	default:
		m.out.add(name, previous)
	}
}

// hasParts reports whether previous has only parts of elements. Until 2017-05-25
// it lists of each element what was different, and null if nothing was.
// See https://docs.stripe.com/upgrades#2017-05-25
func hasParts(now, previous value) bool {
	before := slices.Collect(previous.inside())
	for i, v := range now.elements() {
		if i < len(before) && isPart(v, before[i]) {
			return true
		}
	}
	return false
}

// isPart goes by the type of an object, which never changes: a whole element has it.
func isPart(now, before value) bool {
	return now.isObject() && (before.isNull() ||
		before.isObject() && !before.get("object").exists() && now.get("object").exists())
}

// object adds the members of now in their order, and then those that only previous
// has.
func (m *merger) object(now, previous value) {
	inPrevious := lookup(previous)
	for name, v := range now.members() {
		if before := inPrevious(name); before.exists() {
			m.merge(v.quotedName(), v, before)
		} else {
			m.out.add(v.quotedName(), v)
		}
	}
	inNow := lookup(now)
	for name, before := range previous.members() {
		if !inNow(name).exists() {
			m.out.add(before.quotedName(), before)
		}
	}
}

// array adds the elements of now, and then those that only previous has.
func (m *merger) array(now, previous value) {
	before := slices.Collect(previous.inside())
	for i, v := range now.elements() {
		switch {
		case i >= len(before) || before[i].isNull():
			m.out.add("", v)
		case m.sparse || isPart(v, before[i]):
			m.merge("", v, before[i])
		default:
			m.out.add("", before[i])
		}
	}
	for _, v := range before[min(count(now), len(before)):] {
		m.out.add("", v)
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
