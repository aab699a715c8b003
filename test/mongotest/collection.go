package mongotest

import (
	"bytes"
	"cmp"
	"container/list"
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// collection is documents in the order in which they were inserted, and indexes of the first
// fields of keys. The first index is that of _id.
type collection struct {
	name      namespace
	documents *list.List
	indexes   []*index
	inserted  int64
}

// record is one document. A change does not move it.
type record struct {
	doc   bson.Raw
	n     int64
	place *list.Element
}

// index finds records by the values of a field.
type index struct {
	name    string
	keys    bson.Raw
	field   string
	at      path
	records map[string][]*record
}

func newCollection(name namespace) *collection {
	keys, _ := bson.Marshal(bson.D{{Key: "_id", Value: 1}})
	c := &collection{name: name, documents: list.New()}
	c.addIndex("_id_", keys)
	return c
}

func (c *collection) addIndex(name string, keys bson.Raw) {
	field := keys.Index(0).Key()
	x := &index{name, keys, field, strings.Split(field, "."), map[string][]*record{}}
	c.indexes = append(c.indexes, x)
	for r := range c.all() {
		x.add(r, x.keysOf(r.doc))
	}
}

// all yields all records, in order. Those that it yields may be removed.
func (c *collection) all() iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for place := c.documents.Front(); place != nil; {
			next := place.Next()
			if !yield(place.Value.(*record)) {
				return
			}
			place = next
		}
	}
}

// keysOf returns the keys under which a document is in the index.
func (x *index) keysOf(doc bson.Raw) []string {
	values := x.at.values(doc)
	keys := make([]string, 0, len(values))
	for _, value := range values {
		if isSimple(value.Type) {
			keys = append(keys, keyOf(value))
		}
	}
	return keys
}

func (x *index) add(r *record, keys []string) {
	for _, key := range keys {
		x.records[key] = append(x.records[key], r)
	}
}

func (x *index) remove(r *record, keys []string) {
	for _, key := range keys {
		left := x.records[key]
		i, last := slices.Index(left, r), len(left)-1
		left[i], left[last] = left[last], nil
		if x.records[key] = left[:last]; last == 0 {
			delete(x.records, key)
		}
	}
}

// insert inserts a document, which begins with its _id.
func (c *collection) insert(doc bson.Raw) error {
	id := doc.Lookup("_id")
	switch {
	case !isSimple(id.Type):
		return badValue("an _id of type %s is not supported", id.Type)
	case len(doc) > maxDocument:
		return badValue("object to insert too large. size in bytes: %d, max size: %d", len(doc), maxDocument)
	case len(c.indexes[0].records[keyOf(id)]) > 0:
		return c.duplicate(id)
	}
	c.inserted++
	r := &record{doc: bytes.Clone(doc), n: c.inserted} // without the message that it came in
	r.place = c.documents.PushBack(r)
	for _, x := range c.indexes {
		x.add(r, x.keysOf(r.doc))
	}
	return nil
}

func (c *collection) duplicate(id bson.RawValue) error {
	return &failure{
		11000, "DuplicateKey", fmt.Sprintf("E11000 duplicate key error collection: %s index: _id_ dup key: { _id: %s }", c.name, id),
		bson.D{{Key: "keyPattern", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "keyValue", Value: bson.D{{Key: "_id", Value: id}}}},
	}
}

// replace replaces the document of a record.
func (c *collection) replace(r *record, doc bson.Raw) error {
	if len(doc) > maxDocument {
		return failed(17419, "Location17419", "Resulting document after update is larger than %d", maxDocument)
	}
	doc = bytes.Clone(doc)
	for _, x := range c.indexes {
		before, after := x.keysOf(r.doc), x.keysOf(doc)
		if !slices.Equal(before, after) {
			x.remove(r, before)
			x.add(r, after)
		}
	}
	r.doc = doc
	return nil
}

func (c *collection) remove(r *record) {
	for _, x := range c.indexes {
		x.remove(r, x.keysOf(r.doc))
	}
	c.documents.Remove(r.place)
}

// find returns up to a number of records that a query finds, in order; all for 0.
func (c *collection) find(query bson.Raw, most int) ([]*record, error) {
	matches, err := filterOf(query)
	if err != nil || c == nil {
		return nil, err
	}
	from := c.all()
	if few, ok := c.narrow(query); ok {
		slices.SortFunc(few, func(a, b *record) int { return cmp.Compare(a.n, b.n) })
		from = slices.Values(slices.Compact(few))
	}
	var found []*record
	for r := range from {
		if matches(r.doc) {
			found = append(found, r)
		}
		if most > 0 && len(found) == most {
			break
		}
	}
	return found, nil
}

// narrow returns records among which are all that a query finds, if an index has them.
func (c *collection) narrow(query bson.Raw) (few []*record, ok bool) {
	for _, e := range elements(query) {
		if e.Key() == "$or" {
			few, ok = c.narrowAny(e.Value())
		} else {
			few, ok = c.lookup(e.Key(), e.Value())
		}
		if ok {
			return few, true
		}
	}
	return nil, false
}

func (c *collection) narrowAny(queries bson.RawValue) (few []*record, ok bool) {
	list, _ := documents("$or", queries)
	for _, query := range list {
		more, ok := c.narrow(query)
		if !ok {
			return nil, false
		}
		few = append(few, more...)
	}
	return few, true
}

// lookup returns the records that have one of the values in a field that is indexed.
func (c *collection) lookup(field string, condition bson.RawValue) (few []*record, ok bool) {
	i := slices.IndexFunc(c.indexes, func(x *index) bool { return x.field == field })
	operators, err := operatorsOf(condition)
	if i < 0 || err != nil {
		return nil, false
	}
	for _, op := range operators {
		var values []bson.RawValue
		switch op.name {
		case "$eq":
			values = []bson.RawValue{op.operand}
		case "$in":
			values, _ = operandsOf(op.operand)
		default:
			continue
		}
		for _, value := range values {
			few = append(few, c.indexes[i].records[keyOf(value)]...)
		}
		return few, true
	}
	return nil, false
}
