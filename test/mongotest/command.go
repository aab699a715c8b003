package mongotest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// failure is an error as MongoDB answers it.
type failure struct {
	code    int32
	name    string
	text    string
	details bson.D
}

func (f *failure) Error() string { return f.text }

func failed(code int32, name, format string, args ...any) error {
	return &failure{code: code, name: name, text: fmt.Sprintf(format, args...)}
}

// badValue is also the answer to everything that this server does not know.
func badValue(format string, args ...any) error { return failed(2, "BadValue", format, args...) }

// fieldsOf returns an error as a part of an answer.
func fieldsOf(err error) bson.D {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{code: 1, name: "InternalError", text: err.Error()}
	}
	return append(bson.D{{Key: "code", Value: f.code}, {Key: "codeName", Value: f.name}, {Key: "errmsg", Value: f.text}}, f.details...)
}

// data is what all connections share. A command runs alone.
type data struct {
	mu          sync.Mutex
	collections map[namespace]*collection
	cursors     map[int64]*cursor
	lastCursor  int64
}

// namespace is the full name of a collection.
type namespace struct{ database, name string }

func (ns namespace) String() string { return ns.database + "." + ns.name }

// handler runs a command. It takes options in addition to those that change no result.
type handler struct {
	run     func(*data, namespace, command) (bson.D, error)
	options []string
}

// harmless are options that change no result of a single server.
var harmless = []string{"$db", "lsid", "$readPreference", "readConcern", "writeConcern", "maxTimeMS", "comment"}

var handlers = map[string]handler{
	"hello":           {hello, helloOptions},
	"isMaster":        {hello, helloOptions},
	"ismaster":        {hello, helloOptions},
	"ping":            {nothing, nil},
	"endSessions":     {nothing, nil},
	"buildInfo":       {buildInfo, nil},
	"insert":          {(*data).insert, []string{"documents", "ordered"}},
	"update":          {(*data).update, []string{"updates", "ordered"}},
	"delete":          {(*data).delete, []string{"deletes", "ordered"}},
	"find":            {(*data).find, []string{"filter", "sort", "projection", "skip", "limit", "singleBatch", "batchSize", "hint"}},
	"aggregate":       {(*data).aggregate, []string{"pipeline", "cursor"}},
	"getMore":         {(*data).getMore, []string{"collection", "batchSize"}},
	"killCursors":     {(*data).killCursors, []string{"cursors"}},
	"createIndexes":   {(*data).createIndexes, []string{"indexes"}},
	"listIndexes":     {(*data).listIndexes, []string{"cursor"}},
	"listCollections": {(*data).listCollections, []string{"filter", "nameOnly", "authorizedCollections", "cursor"}},
	"drop":            {(*data).drop, nil},
	"dropDatabase":    {(*data).dropDatabase, nil},
}

// run returns the answer to a command.
func (d *data) run(c command) bson.D {
	answer, err := d.answer(c)
	if err == nil {
		return append(answer, bson.E{Key: "ok", Value: 1.0})
	}
	return append(bson.D{{Key: "ok", Value: 0.0}}, fieldsOf(err)...)
}

func (d *data) answer(c command) (bson.D, error) {
	first, err := c.body.IndexErr(0)
	if err != nil {
		return nil, badValue("there is no command")
	}
	name := first.Key()
	h, ok := handlers[name]
	if !ok {
		return nil, failed(59, "CommandNotFound", "no such command: '%s'", name)
	}
	if err := onlyFields("option of "+name, c.body, slices.Concat([]string{name}, harmless, h.options)...); err != nil {
		return nil, err
	}
	ns := namespace{}
	ns.database, _ = c.body.Lookup("$db").StringValueOK()
	ns.name, _ = first.Value().StringValueOK()
	d.mu.Lock()
	defer d.mu.Unlock()
	return h.run(d, ns, c)
}

// onlyFields refuses a document that has other fields.
func onlyFields(what string, doc bson.Raw, known ...string) error {
	for _, e := range elements(doc) {
		if !slices.Contains(known, e.Key()) {
			return badValue("unknown %s: %s", what, e.Key())
		}
	}
	return nil
}

// list returns the documents of a command that are in or next to it.
func (c command) list(name string) ([]bson.Raw, error) {
	if docs, ok := c.lists[name]; ok {
		list := make([]bson.Raw, len(docs))
		for i, doc := range docs {
			list[i] = bson.Raw(doc)
		}
		return list, nil
	}
	return documents(name, c.body.Lookup(name))
}

func documents(name string, array bson.RawValue) ([]bson.Raw, error) {
	values, ok := valuesOf(array)
	list := make([]bson.Raw, len(values))
	for i := 0; i < len(values) && ok; i++ {
		list[i], ok = values[i].DocumentOK()
	}
	if !ok {
		return nil, badValue("%s must be an array of documents", name)
	}
	return list, nil
}

// elements returns the fields of a document, which is valid, or missing.
func elements(doc bson.Raw) []bson.RawElement {
	list, _ := doc.Elements()
	return list
}

func valuesOf(array bson.RawValue) ([]bson.RawValue, bool) {
	raw, ok := array.ArrayOK()
	if !ok {
		return nil, false
	}
	list, err := raw.Values()
	return list, err == nil
}

// document returns a document that a command has as an option; an empty one by default.
func document(of bson.Raw, name string) (bson.Raw, error) {
	value := of.Lookup(name)
	doc, ok := value.DocumentOK()
	if !ok && value.Type != 0 {
		return nil, badValue("%s must be a document", name)
	}
	return doc, nil
}

func isTrue(value bson.RawValue) bool {
	yes, ok := value.BooleanOK()
	return ok && yes
}

var helloOptions = strings.Fields("client helloOk compression loadBalanced backpressure topologyVersion maxAwaitTimeMS")

func hello(*data, namespace, command) (bson.D, error) {
	return bson.D{
		{Key: "helloOk", Value: true},
		{Key: "isWritablePrimary", Value: true},
		{Key: "ismaster", Value: true},
		{Key: "maxBsonObjectSize", Value: maxDocument},
		{Key: "maxMessageSizeBytes", Value: maxMessage},
		{Key: "maxWriteBatchSize", Value: 100_000},
		{Key: "localTime", Value: time.Now()},
		{Key: "logicalSessionTimeoutMinutes", Value: 30},
		{Key: "minWireVersion", Value: 0},
		{Key: "maxWireVersion", Value: 21},
		{Key: "readOnly", Value: false},
	}, nil
}

func buildInfo(*data, namespace, command) (bson.D, error) {
	return bson.D{
		{Key: "version", Value: "7.0.0"}, // whose semantics these are
		{Key: "versionArray", Value: bson.A{7, 0, 0, 0}},
		{Key: "gitVersion", Value: "not MongoDB, but Billbus' server for tests"},
		{Key: "maxBsonObjectSize", Value: maxDocument},
	}, nil
}

func nothing(*data, namespace, command) (bson.D, error) { return bson.D{}, nil }
