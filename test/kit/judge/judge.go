// Package judge compares the documents in the database with what the simulator knows. It
// is apart from package kit, because it names the database's driver. Only tests import it.
package judge

import (
	"encoding/json"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
)

// Difference returns how a record differs from a subscription, or "".
func Difference(record bson.M, want events.Subscription) (string, error) {
	got, err := Subscription(record)
	return cmp.Diff(want, got, cmpopts.EquateEmpty()), err
}

// Subscription reads a subscription from its record.
func Subscription(record bson.M) (events.Subscription, error) {
	var r events.Record
	err := Decode(record, &r)
	return r.Subscription, err
}

// Decode reads a document of the database, as docs/contract.md describes it, into the type
// that has the same fields in JSON.
func Decode(document bson.M, into any) error {
	raw, err := json.Marshal(plain(document))
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// plain turns a value of the database into one that JSON can encode: dates into times,
// and lists of pairs, which are metadata, into objects.
func plain(v any) any {
	switch v := v.(type) {
	case bson.DateTime:
		return v.Time().UTC().Format(time.RFC3339Nano)
	case bson.D:
		object := map[string]any{}
		for _, e := range v {
			object[e.Key] = plain(e.Value)
		}
		return object
	case bson.M:
		object := map[string]any{}
		for key, value := range v {
			object[key] = plain(value)
		}
		return object
	case bson.A:
		list, metadata := make([]any, len(v)), map[string]any{}
		for i, value := range v {
			list[i] = plain(value)
			if pair, ok := list[i].(map[string]any); ok && len(pair) == 2 && pair["k"] != nil {
				metadata[pair["k"].(string)] = pair["v"]
			}
		}
		if len(v) > 0 && len(metadata) == len(v) {
			return metadata
		}
		return list
	}
	return v
}
