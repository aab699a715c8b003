package mongostore

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
)

// subscriptionFields encodes a subscription under the field names of its JSON. There
// are three differences: id becomes subscription_id, times become dates, and metadata
// become pairs of k and v, because their keys may contain anything. It walks the type,
// so a field that the contract gains is stored, too.
func subscriptionFields(sub events.Subscription) bson.D {
	doc := document(reflect.ValueOf(sub))
	for i := range doc {
		if doc[i].Key == "id" {
			doc[i].Key = "subscription_id"
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

// absent reports whether JSON leaves a value out. It does so with empty maps and
// lists, too: otherwise a record would depend on whether its event came from the
// stream or from the audit trail.
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

// pair is one entry of metadata.
type pair struct {
	K string `bson:"k"`
	V string `bson:"v"`
}

func pairs(m map[string]string) []pair {
	list := make([]pair, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, pair{key, m[key]})
	}
	return list
}

// withPairs returns a registry that decodes pairs into maps.
func withPairs() *bson.Registry {
	registry := bson.NewRegistry()
	registry.RegisterTypeDecoder(reflect.TypeFor[map[string]string](), bson.ValueDecoderFunc(decodePairs))
	return registry
}

func decodePairs(ctx bson.DecodeContext, r bson.ValueReader, into reflect.Value) error {
	var list []pair
	decoder, err := ctx.LookupDecoder(reflect.TypeFor[[]pair]())
	if err != nil {
		return err
	}
	if err := decoder.DecodeValue(ctx, r, reflect.ValueOf(&list).Elem()); err != nil {
		return err
	}
	m := make(map[string]string, len(list))
	for _, p := range list {
		m[p.K] = p.V
	}
	into.Set(reflect.ValueOf(m))
	return nil
}
