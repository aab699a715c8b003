package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	docs "github.com/billbus/billbus/test/kit/judge"
)

const deadLetters = "BILLBUS_DLQ"

// evidence is what a run left behind. Keys are those of the database.
type evidence struct {
	audit    []audited
	records  map[string]events.Record
	access   map[string]events.AccessDocument
	states   map[string]events.Record // of the state view
	entries  map[string]accessEntry   // of the state view
	messages []events.Message         // about changes of access, in the order of the stream
	begins   time.Time                // when the first message of the stream was stored, of any kind
	letters  []letter
}

type audited struct {
	EventID string `bson:"event_id"`
	Type    string `bson:"type"`
}

// isSnapshot reports whether it is not an event, but was read from Stripe's API.
func (a audited) isSnapshot() bool { return strings.HasSuffix(a.Type, ".snapshot") }

// accessEntry is an access document with the one before.
type accessEntry struct {
	events.AccessDocument
	Previous events.AccessDocument `json:"previous"`
}

type letter struct {
	subject, reason string
	sequence        uint64
}

func read(ctx context.Context, run Run) (e evidence, err error) {
	opts := options.Find().SetProjection(bson.D{{Key: "event_id", Value: 1}, {Key: "type", Value: 1}})
	cursor, err := run.DB.Collection("webhook_events").Find(ctx, bson.D{}, opts)
	if err == nil {
		err = cursor.All(ctx, &e.audit)
	}
	if err != nil {
		return e, fmt.Errorf("reading the audit trail: %w", err)
	}
	if e.records, err = collection[events.Record](ctx, run, "subscriptions"); err != nil {
		return e, err
	}
	if e.access, err = collection[events.AccessDocument](ctx, run, "access"); err != nil {
		return e, err
	}
	return e, errors.Join(e.readView(ctx, run.JS), e.readMessages(ctx, run), e.readLetters(ctx, run.JS))
}

// collection returns the documents of a collection by their keys.
func collection[T any](ctx context.Context, run Run, name string) (map[string]T, error) {
	cursor, err := run.DB.Collection(name).Find(ctx, bson.D{})
	var found []bson.M
	if err == nil {
		err = cursor.All(ctx, &found)
	}
	all := make(map[string]T, len(found))
	for _, doc := range found {
		var value T
		if decodeErr := docs.Decode(doc, &value); decodeErr != nil {
			err = errors.Join(err, fmt.Errorf("%v: %w", doc["_id"], decodeErr))
		}
		all[fmt.Sprint(doc["_id"])] = value
	}
	if err != nil {
		return nil, fmt.Errorf("reading the collection %s: %w", name, err)
	}
	return all, nil
}

// readView reads the bucket. A value that cannot be read counts as an empty one.
func (e *evidence) readView(ctx context.Context, js jetstream.JetStream) error {
	e.states, e.entries = map[string]events.Record{}, map[string]accessEntry{}
	bucket, err := js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return fmt.Errorf("opening the state view: %w", err)
	}
	watcher, err := bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("reading the state view: %w", err)
	}
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case entry := <-watcher.Updates():
			if entry == nil {
				return nil
			}
			e.addEntry(entry.Key(), entry.Value())
		case <-ctx.Done():
			return fmt.Errorf("reading the state view: %w", ctx.Err())
		}
	}
}

func (e *evidence) addEntry(key string, value []byte) {
	place := strings.ReplaceAll(key, ".", ":")
	switch {
	case strings.HasPrefix(key, "access."):
		var entry accessEntry
		_ = json.Unmarshal(value, &entry)
		e.entries[place] = entry
	case key != "gaps":
		var record events.Record
		_ = json.Unmarshal(value, &record)
		e.states[place] = record
	}
}

func (e *evidence) readMessages(ctx context.Context, run Run) error {
	stream, err := run.JS.Stream(ctx, run.Stream)
	if err != nil {
		return fmt.Errorf("opening the stream %s: %w", run.Stream, err)
	}
	e.begins = stream.CachedInfo().State.FirstTime.UTC()
	return each(ctx, run.JS, run.Stream, events.SubjectAccess, func(raw *jetstream.RawStreamMsg) error {
		m, err := events.Decode(raw.Data)
		e.messages = append(e.messages, m)
		return err
	})
}

func (e *evidence) readLetters(ctx context.Context, js jetstream.JetStream) error {
	return each(ctx, js, deadLetters, ">", func(raw *jetstream.RawStreamMsg) error {
		e.letters = append(e.letters, letter{raw.Subject, raw.Header.Get("Billbus-Dlq-Reason"), raw.Sequence})
		return nil
	})
}

// each calls use with the messages of a stream that have a subject.
func each(ctx context.Context, js jetstream.JetStream, name, subject string, use func(*jetstream.RawStreamMsg) error) error {
	stream, err := js.Stream(ctx, name)
	for sequence := uint64(1); err == nil; {
		var raw *jetstream.RawStreamMsg
		raw, err = stream.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			sequence, err = raw.Sequence+1, use(raw)
		}
	}
	return fmt.Errorf("reading the stream %s: %w", name, err)
}
