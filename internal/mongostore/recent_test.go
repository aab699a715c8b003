package mongostore

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// writtenRecord is the document of a record that knows a number of events.
func writtenRecord(t *testing.T, key string, revision int64, facts int) bson.Raw {
	t.Helper()
	known := make([]knownFact, facts)
	for i := range known {
		known[i].EventID = fmt.Sprintf("evt_%d", i)
	}
	raw, err := bson.Marshal(headDocument{Key: key, Version: version{N: revision, Known: known}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRecentHeads(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	r := newRecentHeads(func() time.Time { return clock })
	expect := func(when string, want map[string]int64) {
		t.Helper()
		for _, key := range []string{"a", "b"} {
			if got := r.get([]string{key})[key].Revision; got != want[key] {
				t.Errorf("%s: %s: got revision %d, want %d", when, key, got, want[key])
			}
		}
	}
	put := func(key string, revision int64, facts int) { r.put(writtenRecord(t, key, revision, facts)) }

	expect("at first", nil)
	put("a", 5, 1)
	put("b", 7, 1)
	put("a", 6, 2)
	expect("after writes", map[string]int64{"a": 6, "b": 7})
	put("a", 5, 1)
	expect("after an earlier write that was slower", map[string]int64{"a": 6, "b": 7})
	r.forget("b")
	expect("before a write", map[string]int64{"a": 6})
	put("b", 1, 1)
	expect("after a record was made again", map[string]int64{"a": 6, "b": 1})
	clock = clock.Add(directoryIdle / 2)
	expect("soon", map[string]int64{"a": 6, "b": 1})
	clock = clock.Add(directoryIdle / 2)
	expect("in use for a second", map[string]int64{"a": 6, "b": 1})
	clock = clock.Add(directoryIdle)
	expect("after a second without use", nil)
	put("a", 8, maxRecentFacts-1)
	put("b", 2, 1)
	expect("with room for both", map[string]int64{"a": 8, "b": 2})
	put("b", 3, 2)
	expect("with room for one", map[string]int64{"b": 3})
	if r.facts != 2 {
		t.Errorf("got %d facts, want 2", r.facts)
	}
	head := r.get([]string{"b"})["b"]
	if len(head.Known) != 2 || head.Known[1].EventID != "evt_1" {
		t.Errorf("got %v", head.Known)
	}
}
