package mongostore

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
)

// subscriptionID is the name of a subscription's id in its record.
const subscriptionID = "subscription_id"

// subscriptionFields renders a subscription field by field under the names of
// the contract, which are those of its JSON: id becomes subscription_id, times
// become dates, metadata become pairs of k and v, since their keys may hold
// anything. Walking the type keeps the document from missing a field that the
// contract gains.
func subscriptionFields(sub events.Subscription) bson.D {
	doc := document(reflect.ValueOf(sub))
	for i := range doc {
		if doc[i].Key == "id" {
			doc[i].Key = subscriptionID
		}
	}
	return doc
}

func document(v reflect.Value) bson.D {
	doc := bson.D{}
	for i := range v.NumField() {
		name, options := jsonName(v.Type().Field(i))
		if options != "" && absent(v.Field(i)) {
			continue
		}
		doc = append(doc, bson.E{Key: name, Value: value(v.Field(i))})
	}
	return doc
}

func jsonName(field reflect.StructField) (name, options string) {
	name, options, _ = strings.Cut(field.Tag.Get("json"), ",")
	return name, options
}

// absent is what JSON leaves out: a map or list without anything in it, too, or
// a state would depend on whether its event came from the stream or from the
// audit.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}

func value(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Time:
		return x
	case map[string]string:
		return pairs(x)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return value(v.Elem())
	case reflect.Struct:
		return document(v)
	case reflect.Slice:
		list := make(bson.A, v.Len())
		for i := range v.Len() {
			list[i] = value(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

func pairs(m map[string]string) bson.A {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	list := make(bson.A, len(keys))
	for i, key := range keys {
		list[i] = bson.D{{Key: "k", Value: key}, {Key: "v", Value: m[key]}}
	}
	return list
}
