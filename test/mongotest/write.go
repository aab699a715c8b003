package mongotest

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// change returns the collection that a command writes to; it exists after that.
func (d *data) change(ns namespace) *collection {
	c := d.collections[ns]
	if c == nil {
		c = newCollection(ns)
		d.collections[ns] = c
	}
	return c
}

// each runs the writes of a command, and returns the errors of those that failed. After
// a failure, it goes on only if their order does not matter.
func each(c command, list string, write func(i int, op bson.Raw) error) (bson.D, error) {
	ops, err := c.list(list)
	if err != nil {
		return nil, err
	}
	ordered := c.body.Lookup("ordered")
	var failures bson.A
	for i, op := range ops {
		err := write(i, op)
		if err == nil {
			continue
		}
		failures = append(failures, append(bson.D{{Key: "index", Value: i}}, fieldsOf(err)...))
		if ordered.Type == 0 || isTrue(ordered) {
			break
		}
	}
	if failures == nil {
		return nil, nil
	}
	return bson.D{{Key: "writeErrors", Value: failures}}, nil
}

func (d *data) insert(ns namespace, c command) (bson.D, error) {
	into, n := d.change(ns), 0
	failures, err := each(c, "documents", func(_ int, doc bson.Raw) error {
		doc, err := beginWithID(doc, bson.RawValue{})
		if err == nil {
			err = into.insert(doc)
		}
		if err == nil {
			n++
		}
		return err
	})
	return append(bson.D{{Key: "n", Value: n}}, failures...), err
}

func (d *data) delete(ns namespace, c command) (bson.D, error) {
	n := 0
	failures, err := each(c, "deletes", func(_ int, op bson.Raw) error {
		if err := onlyFields("option of a delete", op, "q", "limit"); err != nil {
			return err
		}
		query, err := document(op, "q")
		if err != nil {
			return err
		}
		most, ok := op.Lookup("limit").AsInt64OK()
		if !ok || most != 0 && most != 1 {
			return failed(9, "FailedToParse", "The limit field in delete objects must be 0 or 1")
		}
		from := d.collections[ns]
		found, err := from.find(query, int(most))
		for _, r := range found {
			from.remove(r)
		}
		n += len(found)
		return err
	})
	return append(bson.D{{Key: "n", Value: n}}, failures...), err
}

func (d *data) update(ns namespace, c command) (bson.D, error) {
	var matched, modified int
	var upserted bson.A
	failures, err := each(c, "updates", func(i int, op bson.Raw) error {
		u, err := updateOf(op)
		if err != nil {
			return err
		}
		n, changed, id, err := d.apply(ns, u)
		matched, modified = matched+n, modified+changed
		if id.Type != 0 {
			upserted = append(upserted, bson.D{{Key: "index", Value: i}, {Key: "_id", Value: id}})
		}
		return err
	})
	answer := bson.D{{Key: "n", Value: matched + len(upserted)}, {Key: "nModified", Value: modified}}
	if upserted != nil {
		answer = append(answer, bson.E{Key: "upserted", Value: upserted})
	}
	return append(answer, failures...), err
}

// update is one write of an update.
type update struct {
	query         bson.Raw
	with          bson.Raw
	replaces      bool // instead of changing fields
	multi, upsert bool
}

func updateOf(op bson.Raw) (u update, err error) {
	if err := onlyFields("option of an update", op, "q", "u", "multi", "upsert"); err != nil {
		return u, err
	}
	u.multi, u.upsert = isTrue(op.Lookup("multi")), isTrue(op.Lookup("upsert"))
	if u.query, err = document(op, "q"); err != nil {
		return u, err
	}
	if u.with, err = document(op, "u"); err != nil {
		return u, err
	}
	first, err := u.with.IndexErr(0)
	u.replaces = err != nil || !strings.HasPrefix(first.Key(), "$")
	if u.replaces && u.multi {
		return u, failed(9, "FailedToParse", "multi update is not supported for replacement-style update")
	}
	return u, nil
}

func (d *data) apply(ns namespace, u update) (matched, modified int, upserted bson.RawValue, err error) {
	most := 1
	if u.multi {
		most = 0
	}
	c := d.collections[ns]
	found, err := c.find(u.query, most)
	if err != nil {
		return 0, 0, upserted, err
	}
	if len(found) == 0 && u.upsert {
		upserted, err = u.insert(d.change(ns))
		return 0, 0, upserted, err
	}
	for _, r := range found {
		before := r.doc
		doc, err := u.apply(before)
		if err == nil {
			err = c.replace(r, doc)
		}
		if err != nil {
			return matched, modified, upserted, err
		}
		matched++
		if !bytes.Equal(before, r.doc) {
			modified++
		}
	}
	return matched, modified, upserted, nil
}

// apply returns what becomes of a document.
func (u update) apply(doc bson.Raw) (bson.Raw, error) {
	id := doc.Lookup("_id")
	if u.replaces {
		return beginWithID(u.with, id)
	}
	doc, err := u.setFields(doc)
	if err != nil {
		return nil, err
	}
	return beginWithID(doc, id)
}

// insert inserts what the update makes of the values that the query asks for.
func (u update) insert(c *collection) (id bson.RawValue, err error) {
	doc := bson.D{}
	for _, e := range elements(u.query) {
		at, err := pathOf(e.Key())
		if err != nil { // an operator
			return id, badValue("an upsert with %s is not supported", e.Key())
		}
		operators, _ := operatorsOf(e.Value())
		i := slices.IndexFunc(operators, func(op operator) bool { return op.name == "$eq" })
		if i < 0 || u.replaces && e.Key() != "_id" {
			continue
		}
		if doc, err = set(doc, at, operators[i].operand); err != nil {
			return id, err
		}
	}
	raw, err := bson.Marshal(doc)
	if err == nil {
		raw, err = u.apply(raw)
	}
	if err == nil {
		err = c.insert(raw)
	}
	if err != nil {
		return id, err
	}
	return bson.Raw(raw).Lookup("_id"), nil
}

// setFields applies $set and $unset. Fields that are new are in the order of their names.
func (u update) setFields(raw bson.Raw) (bson.Raw, error) {
	if err := onlyFields("modifier", u.with, "$set", "$unset"); err != nil {
		return nil, err
	}
	var doc bson.D
	var change map[string]map[string]bson.RawValue
	if err := errors.Join(bson.Unmarshal(raw, &doc), bson.Unmarshal(u.with, &change)); err != nil {
		return nil, failed(9, "FailedToParse", "%v", err)
	}
	var changed []string
	for _, operator := range []string{"$set", "$unset"} {
		fields := change[operator]
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			at, err := pathOf(field)
			if err == nil {
				err = conflict(field, changed)
			}
			if err != nil {
				return nil, err
			}
			value := fields[field]
			if operator == "$unset" {
				value = bson.RawValue{}
			}
			if doc, err = set(doc, at, value); err != nil {
				return nil, err
			}
			changed = append(changed, field)
		}
	}
	return bson.Marshal(doc)
}

// conflict refuses a field that is a part of one that is changed, too, or the other way round.
func conflict(field string, changed []string) error {
	for _, other := range changed {
		if strings.HasPrefix(field+".", other+".") || strings.HasPrefix(other+".", field+".") {
			return failed(40, "ConflictingUpdateOperators", "Updating the path '%s' would create a conflict at '%s'", field, other)
		}
	}
	return nil
}

// set returns a document with another value at a path; without it for one without a type.
func set(doc bson.D, at path, value bson.RawValue) (bson.D, error) {
	i := slices.IndexFunc(doc, func(e bson.E) bool { return e.Key == at[0] })
	removes := value.Type == 0
	switch {
	case i < 0 && removes:
		return doc, nil
	case i < 0:
		i, doc = len(doc), append(doc, bson.E{Key: at[0], Value: bson.D{}})
	}
	if len(at) == 1 {
		doc[i].Value = value
		if removes {
			doc = slices.Delete(doc, i, i+1)
		}
		return doc, nil
	}
	inner, ok := doc[i].Value.(bson.D)
	switch {
	case !ok && removes:
		return doc, nil
	case !ok:
		return nil, failed(28, "PathNotViable", "Cannot create field '%s' in element %s", at[1], at[0])
	}
	inner, err := set(inner, at[1:], value)
	doc[i].Value = inner
	return doc, err
}

// beginWithID returns a document with its _id as the first field: the one that it must
// have, or its own, or a new one.
func beginWithID(doc bson.Raw, must bson.RawValue) (bson.Raw, error) {
	id := doc.Lookup("_id")
	if id.Type != 0 && must.Type != 0 && !equal(id, must) {
		return nil, failed(66, "ImmutableField", "After applying the update, the (immutable) field '_id' was found to have been altered to _id: %s", id)
	}
	if first, err := doc.IndexErr(0); err == nil && first.Key() == "_id" {
		return doc, nil
	}
	switch {
	case must.Type != 0:
		id = must
	case id.Type == 0:
		fresh := bson.NewObjectID()
		id = bson.RawValue{Type: bson.TypeObjectID, Value: fresh[:]}
	}
	start, out := bsoncore.AppendDocumentStart(nil)
	out = appendElement(out, "_id", id)
	for _, e := range elements(doc) {
		if e.Key() != "_id" {
			out = append(out, e...)
		}
	}
	return bsoncore.AppendDocumentEnd(out, start)
}

func appendElement(out []byte, field string, value bson.RawValue) []byte {
	return bsoncore.AppendValueElement(out, field, bsoncore.Value{Type: bsoncore.Type(value.Type), Data: value.Value})
}
