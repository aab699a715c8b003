package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/stripesim"
)

const (
	secret = "whsec_bench_0123456789abcdef0123456789"
	// eventSize is about the size of real events of subscriptions.
	eventSize = 5000
	// noteSize is less than the 500 characters that Stripe allows for a value of metadata.
	noteSize = 400
)

// workload returns n events of so many subscriptions, of about 5 kB each. Where the
// simulated histories are too short, the subscriptions that have not ended are updated
// again and again.
func workload(seed uint64, n, subscriptions int) ([][]byte, error) {
	history := stripesim.Generate(stripesim.Config{Seed: seed, Subscriptions: subscriptions, UserIDs: true})
	var bodies [][]byte
	w := writer{notes: map[string]map[string]any{}, last: map[string]event{}}
	for _, d := range history.Deliveries[:min(n, len(history.Deliveries))] {
		body, err := w.render(d)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	for round := 1; len(bodies) < n; round++ {
		more, err := w.update(round, n-len(bodies))
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, more...)
	}
	return bodies, nil
}

type event map[string]any

func (e event) object() map[string]any {
	data, _ := e["data"].(map[string]any)
	object, _ := data["object"].(map[string]any)
	return object
}

// writer renders the events of subscriptions.
type writer struct {
	notes map[string]map[string]any // of each object: metadata that fill its events
	order []string
	last  map[string]event // of each subscription that has not ended
}

func (w *writer) render(d stripesim.Delivery) ([]byte, error) {
	var e event
	decoder := json.NewDecoder(strings.NewReader(string(d.Body)))
	decoder.UseNumber()
	if err := decoder.Decode(&e); err != nil {
		return nil, err
	}
	w.fill(e, len(d.Body))
	switch {
	case d.Type == "customer.subscription.deleted":
		delete(w.last, d.SubscriptionID)
	case strings.HasPrefix(d.Type, "customer.subscription."):
		if w.last[d.SubscriptionID] == nil {
			w.order = append(w.order, d.SubscriptionID)
		}
		w.last[d.SubscriptionID] = e
	}
	return e.encode()
}

// fill adds metadata to the object. It is the same in all events of an object, because
// otherwise they would be changes.
func (w *writer) fill(e event, size int) {
	object := e.object()
	id := fmt.Sprint(object["id"])
	notes, ok := w.notes[id]
	if !ok {
		notes = map[string]any{}
		for missing := eventSize - size; missing > 0; missing -= noteSize {
			notes[fmt.Sprintf("note_%d", len(notes)+1)] = strings.Repeat("x", min(missing, noteSize))
		}
		w.notes[id] = notes
	}
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		object["metadata"] = metadata
	}
	maps.Copy(metadata, notes)
}

// update returns one more update of each subscription that has not ended, at most n.
func (w *writer) update(round, n int) ([][]byte, error) {
	var bodies [][]byte
	for i, id := range w.order {
		e := w.last[id]
		if e == nil || len(bodies) == n {
			continue
		}
		created, err := e["created"].(json.Number).Int64()
		if err != nil {
			return nil, err
		}
		e["created"] = json.Number(fmt.Sprint(created + int64(time.Hour/time.Second)))
		e["id"] = fmt.Sprintf("evt_bench_%d_%d", round, i)
		e["type"] = "customer.subscription.updated"
		metadata, _ := e.object()["metadata"].(map[string]any)
		data, _ := e["data"].(map[string]any)
		data["previous_attributes"] = map[string]any{"metadata": map[string]any{"round": metadata["round"]}}
		metadata["round"] = fmt.Sprint(round)
		body, err := e.encode()
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

func (e event) encode() ([]byte, error) { return json.MarshalIndent(e, "", "  ") }
