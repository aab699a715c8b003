package mongotest

import (
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// createIndexes creates indexes that are not there yet, without options.
func (d *data) createIndexes(ns namespace, c command) (bson.D, error) {
	specs, err := c.list("indexes")
	if err != nil {
		return nil, err
	}
	into := d.change(ns)
	before := len(into.indexes)
	for _, spec := range specs {
		if err := into.createIndex(spec); err != nil {
			return nil, err
		}
	}
	return bson.D{{Key: "numIndexesBefore", Value: before}, {Key: "numIndexesAfter", Value: len(into.indexes)}}, nil
}

func (c *collection) createIndex(spec bson.Raw) error {
	if err := onlyFields("option of an index", spec, "key", "name", "v"); err != nil {
		return err
	}
	name, _ := spec.Lookup("name").StringValueOK()
	keys, _ := spec.Lookup("key").DocumentOK()
	fields := elements(keys)
	if len(fields) == 0 || name == "" {
		return badValue("an index needs a name and keys")
	}
	for _, e := range fields {
		_, err := pathOf(e.Key())
		if n, ok := e.Value().AsInt64OK(); err != nil || !ok || n != 1 && n != -1 {
			return badValue("an index of %s is not supported", e)
		}
	}
	for _, x := range c.indexes {
		switch sameName, sameKeys := x.name == name, x.keys.String() == keys.String(); {
		case sameName && sameKeys:
			return nil
		case sameName:
			return failed(86, "IndexKeySpecsConflict", "An existing index has the same name as the requested index: %s", name)
		case sameKeys:
			return failed(85, "IndexOptionsConflict", "Index already exists with a different name: %s", x.name)
		}
	}
	c.addIndex(name, slices.Clone(keys))
	return nil
}

func (d *data) listIndexes(ns namespace, c command) (bson.D, error) {
	of, ok := d.collections[ns]
	if !ok {
		return nil, failed(26, "NamespaceNotFound", "ns does not exist: %s", ns)
	}
	var docs []bson.D
	for _, x := range of.indexes {
		docs = append(docs, bson.D{{Key: "v", Value: 2}, {Key: "key", Value: x.keys}, {Key: "name", Value: x.name}})
	}
	return d.list(ns, c, docs)
}

// listCollections lists those of a database, by name.
func (d *data) listCollections(ns namespace, c command) (bson.D, error) {
	if filter, err := document(c.body, "filter"); err != nil || len(filter) > 5 {
		return nil, badValue("listing collections by a filter is not supported")
	}
	var docs []bson.D
	for _, of := range slices.SortedFunc(maps.Keys(d.collections), func(a, b namespace) int { return strings.Compare(a.name, b.name) }) {
		if of.database == ns.database {
			docs = append(docs, bson.D{{Key: "name", Value: of.name}, {Key: "type", Value: "collection"}})
		}
	}
	return d.list(namespace{ns.database, "$cmd.listCollections"}, c, docs)
}

func (d *data) drop(ns namespace, _ command) (bson.D, error) {
	c, ok := d.collections[ns]
	if !ok {
		return bson.D{}, nil
	}
	delete(d.collections, ns)
	return bson.D{{Key: "nIndexesWas", Value: len(c.indexes)}, {Key: "ns", Value: ns.String()}}, nil
}

func (d *data) dropDatabase(ns namespace, _ command) (bson.D, error) {
	maps.DeleteFunc(d.collections, func(of namespace, _ *collection) bool { return of.database == ns.database })
	return bson.D{{Key: "dropped", Value: ns.database}}, nil
}
