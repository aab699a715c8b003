package normalize

// sparseBefore is the first API version whose previous_attributes hold arrays
// whole. Older ones list, in an array, only what changed of its elements. An
// event without a version is from before versions were written into events.
// See https://docs.stripe.com/upgrades#2017-05-25
const sparseBefore = "2017-05-25"

// before is an object as it was before an event: with the previous attributes
// put back. Objects are merged, everything else is replaced; null says that
// something was not there.
func before(object, previous value, version string) value {
	if previous.isNull() || previous.isEmpty() || !previous.isObject() {
		return object
	}
	p := putter{
		sparse: version < sparseBefore,
		out:    make([]byte, 0, len(object)+len(previous)), slab: make([]member, 0, 128),
	}
	p.put(object, previous)
	return value(p.out)
}

// beforeSubscription is before for a subscription. Some renderings put the plan
// and the quantity at the top, for the only item, and say there alone what they
// were.
func beforeSubscription(object, previous value, version string) value {
	whole := before(object, previous, version)
	plan, quantity := set(previous.get("plan")), set(previous.get("quantity"))
	if plan == "" && quantity == "" || previous.get("items") != "" || object.get("items") == "" {
		return whole
	}
	return before(whole, onlyItem(object.get("items"), plan, quantity), "")
}

// list is where the items stand, and how many there are.
func list(items value) (n int, isPage bool) {
	if items.isObject() {
		items, isPage = items.get("data"), true
	}
	for range items.elements() {
		n++
	}
	return n, isPage
}

// onlyItem says as previous attributes what the only item was. Where there are
// several items now, the plan was that of an item of which nothing else is known.
func onlyItem(items, plan, quantity value) value {
	var members value
	if plan != "" {
		members = `"plan":` + plan + `,"price":null`
	}
	if quantity != "" {
		members = join(members, `"quantity":`+quantity)
	}
	n, isPage := list(items)
	switch {
	case n == 1 && isPage:
		return `{"items":{"data":[{` + members + `}]}}`
	case n == 1:
		return `{"items":[{` + members + `}]}`
	case plan != "":
		return `{"items":null}`
	}
	return ""
}

func join(a, b value) value {
	if a == "" {
		return b
	}
	return a + "," + b
}

// putter writes values with others put into them.
type putter struct {
	out    []byte
	slab   []member
	sparse bool
}

func (p *putter) put(v, previous value) {
	switch {
	case v.isObject() && previous.isObject():
		p.object(v.object(&p.slab), previous.object(&p.slab))
	case p.sparse && v.isArray() && previous.isArray():
		p.array(v, previous)
	default:
		p.out = append(p.out, previous...)
	}
}

// object writes the members in the order of now, and then those that only were.
func (p *putter) object(now, previous object) {
	p.out = append(p.out, '{')
	were := previous.index()
	for _, m := range now.members {
		if was := were.get(now.key(m)); was != "" {
			p.name(now.src[m.name:m.colon])
			p.put(now.src[m.colon+1:m.end], was)
			p.out = append(p.out, ',')
			continue
		}
		p.member(now, m)
	}
	are := now.index()
	for _, m := range previous.members {
		if are.get(previous.key(m)) == "" {
			p.member(previous, m)
		}
	}
	p.close('}')
}

// array writes the elements of now, and then those that only were.
func (p *putter) array(now, previous value) {
	p.out = append(p.out, '[')
	were := make([]value, 0, 8)
	for _, was := range previous.elements() {
		were = append(were, was)
	}
	n := 0
	for i, v := range now.elements() {
		if n++; i < len(were) && !were[i].isNull() {
			p.put(v, were[i])
		} else {
			p.out = append(p.out, v...)
		}
		p.out = append(p.out, ',')
	}
	for i := n; i < len(were); i++ {
		p.out = append(append(p.out, were[i]...), ',')
	}
	p.close(']')
}

func (p *putter) name(quoted value) { p.out = append(append(p.out, quoted...), ':') }

// member writes a member as it is, and a comma.
func (p *putter) member(o object, m member) {
	p.out = append(append(p.out, o.src[m.name:m.end]...), ',')
}

// close ends an object or array, whose last comma is one too many.
func (p *putter) close(end byte) {
	if last := len(p.out) - 1; p.out[last] == ',' {
		p.out = p.out[:last]
	}
	p.out = append(p.out, end)
}
