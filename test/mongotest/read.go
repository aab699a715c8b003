package mongotest

import (
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// firstBatch is how many documents a first batch has if the client does not say.
const firstBatch = 101

// cursor is the documents that a client has not fetched yet.
type cursor struct {
	of   string
	left []bson.Raw
}

// openCursor returns the first batch of documents, and keeps the others.
func (d *data) openCursor(of string, docs []bson.Raw, size bson.RawValue, single bool) (bson.D, error) {
	n, ok := size.AsInt64OK()
	if !ok {
		n = firstBatch
	}
	c := &cursor{of, docs}
	batch, id := c.next(int(n)), int64(0)
	if len(c.left) > 0 && !single {
		d.lastCursor++
		id = d.lastCursor
		d.cursors[id] = c
	}
	return cursorAnswer(id, of, "firstBatch", batch), nil
}

func cursorAnswer(id int64, of, name string, batch bson.RawValue) bson.D {
	return bson.D{{Key: "cursor", Value: bson.D{{Key: name, Value: batch}, {Key: "id", Value: id}, {Key: "ns", Value: of}}}}
}

// next returns up to n documents as an array, but not more than fit into a reply.
func (c *cursor) next(n int) bson.RawValue {
	start, out := bsoncore.AppendArrayStart(nil)
	i := 0
	for ; i < min(n, len(c.left)) && (i == 0 || len(out)+len(c.left[i]) <= maxDocument); i++ {
		out = bsoncore.AppendDocumentElement(out, strconv.Itoa(i), bsoncore.Document(c.left[i]))
	}
	c.left = c.left[i:]
	out, _ = bsoncore.AppendArrayEnd(out, start)
	return bson.RawValue{Type: bson.TypeArray, Value: out}
}

func (d *data) getMore(_ namespace, c command) (bson.D, error) {
	id, _ := c.body.Lookup("getMore").AsInt64OK()
	cur, ok := d.cursors[id]
	if !ok {
		return nil, failed(43, "CursorNotFound", "cursor id %d not found", id)
	}
	n, ok := c.body.Lookup("batchSize").AsInt64OK()
	if !ok || n == 0 {
		n = int64(len(cur.left))
	}
	batch := cur.next(int(n))
	if len(cur.left) == 0 {
		delete(d.cursors, id)
		id = 0
	}
	return cursorAnswer(id, cur.of, "nextBatch", batch), nil
}

func (d *data) killCursors(_ namespace, c command) (bson.D, error) {
	ids, _ := valuesOf(c.body.Lookup("cursors"))
	killed, unknown := bson.A{}, bson.A{}
	for _, id := range ids {
		n, _ := id.AsInt64OK()
		if d.cursors[n] == nil {
			unknown = append(unknown, id)
			continue
		}
		delete(d.cursors, n)
		killed = append(killed, id)
	}
	return bson.D{{Key: "cursorsKilled", Value: killed}, {Key: "cursorsNotFound", Value: unknown}}, nil
}

func (d *data) find(ns namespace, c command) (bson.D, error) {
	query, err := document(c.body, "filter")
	if err != nil {
		return nil, err
	}
	from := d.collections[ns]
	if err := from.checkHint(c.body.Lookup("hint")); err != nil {
		return nil, err
	}
	found, err := from.find(query, 0)
	if err != nil {
		return nil, err
	}
	docs := make([]bson.Raw, len(found))
	for i, r := range found {
		docs[i] = r.doc
	}
	if docs, err = arranged(docs, c.body); err != nil {
		return nil, err
	}
	return d.openCursor(ns.String(), docs, c.body.Lookup("batchSize"), isTrue(c.body.Lookup("singleBatch")))
}

// checkHint refuses the name of an index that does not exist. A hint changes nothing else.
func (c *collection) checkHint(hint bson.RawValue) error {
	if c == nil || hint.Type == 0 {
		return nil
	}
	name, _ := hint.StringValueOK()
	if !slices.ContainsFunc(c.indexes, func(x *index) bool { return x.name == name }) {
		return badValue("error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index")
	}
	return nil
}

// arranged sorts, cuts and projects documents.
func arranged(docs []bson.Raw, options bson.Raw) ([]bson.Raw, error) {
	by, err := document(options, "sort")
	if err == nil {
		err = sort(docs, by)
	}
	if err != nil {
		return nil, err
	}
	docs = cut(docs, options.Lookup("skip"), options.Lookup("limit"))
	fields, err := document(options, "projection")
	if err != nil || len(fields) == 0 {
		return docs, err
	}
	show, err := projectionOf(fields)
	if err != nil {
		return nil, err
	}
	for i, doc := range docs {
		docs[i] = show.of(doc)
	}
	return docs, nil
}

// cut returns up to a number of documents behind others; all for 0.
func cut[T any](docs []T, skip, limit bson.RawValue) []T {
	behind, _ := skip.AsInt64OK()
	docs = docs[min(int(behind), len(docs)):] // a driver sends no negative numbers
	if most, _ := limit.AsInt64OK(); most != 0 {
		docs = docs[:min(int(most), len(docs))]
	}
	return docs
}

// sort sorts documents by fields: 1 is ascending, -1 descending.
func sort(docs []bson.Raw, by bson.Raw) error {
	for _, field := range slices.Backward(elements(by)) { // the first one last, because that counts most
		at, err := pathOf(field.Key())
		order, ok := field.Value().AsInt64OK()
		if err != nil || !ok || order != 1 && order != -1 {
			return badValue("sorting by %s is not supported", field)
		}
		keys := make(map[*byte]bson.RawValue, len(docs))
		for _, doc := range docs {
			values := at.values(doc)
			if len(values) != 1 || !isSimple(values[0].Type) {
				return badValue("sorting by lists and documents in %s is not supported", field.Key())
			}
			keys[&doc[0]] = values[0]
		}
		slices.SortStableFunc(docs, func(a, b bson.Raw) int { return compare(keys[&a[0]], keys[&b[0]]) * int(order) })
	}
	return nil
}

// projection is the fields that are shown, or hidden.
type projection struct {
	shows bool
	names []string
}

func projectionOf(fields bson.Raw) (*projection, error) {
	p, modes, id := &projection{}, map[bool]bool{}, true
	for _, e := range elements(fields) {
		shows, ok := e.Value().BooleanOK()
		if n, isNumber := e.Value().AsInt64OK(); isNumber {
			shows, ok = n != 0, true
		}
		if !ok || strings.ContainsAny(e.Key(), ".$") {
			return nil, badValue("the projection of %s is not supported", e)
		}
		if e.Key() == "_id" {
			id = shows
			continue
		}
		modes[shows], p.names = true, append(p.names, e.Key())
	}
	if len(modes) == 2 {
		return nil, badValue("a projection cannot both show and hide fields")
	}
	p.shows = modes[true] || len(modes) == 0 && id
	if id == p.shows {
		p.names = append(p.names, "_id")
	}
	return p, nil
}

func (p *projection) of(doc bson.Raw) bson.Raw {
	start, out := bsoncore.AppendDocumentStart(make([]byte, 0, 512))
	for _, e := range elements(doc) {
		if slices.Contains(p.names, e.Key()) == p.shows {
			out = append(out, e...)
		}
	}
	out, _ = bsoncore.AppendDocumentEnd(out, start)
	return out
}

// counting is the only group of an aggregation that is supported: it counts.
const counting = `{"_id": {"$numberInt":"1"},"n": {"$sum": {"$numberInt":"1"}}}`

// aggregate supports what a driver makes of CountDocuments.
func (d *data) aggregate(ns namespace, c command) (bson.D, error) {
	pipeline, err := documents("pipeline", c.body.Lookup("pipeline"))
	if err != nil {
		return nil, err
	}
	stages, order := map[string]bson.RawValue{}, ""
	for _, stage := range pipeline {
		e := stage.Index(0)
		stages[e.Key()], order = e.Value(), order+e.Key()
	}
	if !slices.Contains([]string{"$match$group", "$match$skip$group", "$match$limit$group", "$match$skip$limit$group"}, order) ||
		stages["$group"].String() != counting {
		return nil, badValue("only counting documents is supported: $match, $skip, $limit, and $group by 1 with n: {$sum: 1}")
	}
	query, _ := stages["$match"].DocumentOK()
	found, err := d.collections[ns].find(query, 0)
	if err != nil {
		return nil, err
	}
	var counts []bson.D
	if n := len(cut(found, stages["$skip"], stages["$limit"])); n > 0 {
		counts = append(counts, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: n}})
	}
	return d.list(ns, c, counts)
}

// list returns documents that this server makes.
func (d *data) list(of namespace, c command, docs []bson.D) (bson.D, error) {
	list := make([]bson.Raw, len(docs))
	for i, doc := range docs {
		raw, err := bson.Marshal(doc)
		if err != nil {
			return nil, err
		}
		list[i] = raw
	}
	return d.openCursor(of.String(), list, c.body.Lookup("cursor", "batchSize"), false)
}
