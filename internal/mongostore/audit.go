package mongostore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// audit is the collection of audit documents.
type audit struct {
	events *mongo.Collection
}

// Insert inserts the audit documents of a batch in one command.
func (a audit) Insert(ctx context.Context, entries []store.Entry) []error {
	failures := make([]error, len(entries))
	var docs []any
	var index []int // docs[k] belongs to entries[index[k]]
	for i, e := range entries {
		raw, err := encodeAudit(e)
		if err != nil {
			failures[i] = err
			continue
		}
		docs, index = append(docs, raw), append(index, i)
	}
	if len(docs) == 0 {
		return failures
	}
	for _, part := range bySize(docs, maxCommand) {
		_, err := a.events.InsertMany(ctx, docs[part.from:part.to], options.InsertMany().SetOrdered(false))
		for k, failure := range perDocument(err, part.to-part.from) {
			failures[index[part.from+k]] = written("inserting audit document", failure)
		}
	}
	return failures
}

// maxCommand keeps an insert from being split by the driver, which would forget
// the write concern error of every part but the last that failed.
const maxCommand = 16 << 20

type part struct{ from, to int }

// bySize parts documents so that no part of several is larger than a limit.
func bySize(docs []any, limit int) []part {
	var parts []part
	size := 0
	for i, doc := range docs {
		n := len(doc.(bson.Raw))
		if i == 0 || size+n > limit {
			parts, size = append(parts, part{from: i}), 0
		}
		size += n
		parts[len(parts)-1].to = i + 1
	}
	return parts
}

// Find reads the message that was audited under a key.
func (a audit) Find(ctx context.Context, key string) (events.Message, error) {
	var doc auditDocument
	err := a.events.FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&doc)
	if err != nil {
		return events.Message{}, explain("reading audit document", err)
	}
	return doc.toMessage()
}

// History reads all messages of a subscription.
func (a audit) History(ctx context.Context, subscription string) iter.Seq2[events.Message, error] {
	return func(yield func(events.Message, error) bool) {
		cursor, err := a.events.Find(ctx, bson.D{{Key: "subscription_key", Value: subscription}})
		if err != nil {
			yield(events.Message{}, explain("reading audit trail", err))
			return
		}
		defer func() { _ = cursor.Close(ctx) }()
		for cursor.Next(ctx) {
			if !yield(decodeAudit(cursor)) {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield(events.Message{}, explain("reading audit trail", err))
		}
	}
}

func decodeAudit(cursor *mongo.Cursor) (events.Message, error) {
	var doc auditDocument
	if err := cursor.Decode(&doc); err != nil {
		return events.Message{}, explain("reading audit trail", err)
	}
	return doc.toMessage()
}

// maxDocument is the server's limit of 16 MB, minus what the command needs.
const maxDocument = 16<<20 - 16<<10

// auditDocument is one document of webhook_events: one event that was stored in
// the stream. Payload and message are strings, because field names with dots
// and dollars are trouble, and because a string comes back as it went in.
type auditDocument struct {
	Key             string    `bson:"_id"`
	EventID         string    `bson:"event_id"`
	Type            string    `bson:"type"`
	Created         time.Time `bson:"created"`
	APIVersion      string    `bson:"api_version,omitempty"`
	Livemode        bool      `bson:"livemode"`
	AccountID       string    `bson:"account_id,omitempty"`
	Endpoint        string    `bson:"endpoint,omitempty"`
	ObjectID        string    `bson:"object_id,omitempty"`
	SubscriptionID  string    `bson:"subscription_id,omitempty"`
	CustomerID      string    `bson:"customer_id,omitempty"`
	RequestID       string    `bson:"request_id,omitempty"`
	IdempotencyKey  string    `bson:"idempotency_key,omitempty"`
	ReceivedAt      time.Time `bson:"received_at"`
	StoredAt        time.Time `bson:"stored_at"`
	StreamSequence  int64     `bson:"stream_sequence"`
	Payload         string    `bson:"payload,omitempty"`
	Message         string    `bson:"message"`
	EventSHA256     string    `bson:"event_sha256,omitempty"`
	Redactions      []string  `bson:"redactions,omitempty"`
	Origin          string    `bson:"origin"`
	SubscriptionKey string    `bson:"subscription_key,omitempty"`
	Terminal        bool      `bson:"terminal"`
}

// encodeAudit renders an entry's audit document. It fails only for an entry
// that can never be stored.
func encodeAudit(e store.Entry) (bson.Raw, error) {
	message, err := encodeData(e.Data)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	fact, counts := ordering.FactOf(e.Message)
	doc := auditDocument{
		Key: e.Key(), EventID: e.ID, Type: typeOf(e.Message), Created: e.Time,
		APIVersion: e.StripeAPIVersion, Livemode: e.Livemode, AccountID: e.StripeAccount, Endpoint: e.StripeEndpoint,
		ObjectID: e.ObjectID, SubscriptionID: e.SubscriptionID, CustomerID: e.CustomerID,
		RequestID: e.RequestID, IdempotencyKey: e.IdempotencyKey,
		ReceivedAt: e.Data.ReceivedAt, StoredAt: e.StoredAt, StreamSequence: int64(e.StreamSequence),
		Payload: payload(e.Data), Message: message,
		EventSHA256: e.Data.EventSHA256, Redactions: e.Data.Redactions, Origin: string(e.Data.Origin),
		Terminal: fact.Terminal,
	}
	if counts {
		doc.SubscriptionKey = e.SubscriptionKey()
	}
	return marshal(doc)
}

// typeOf is Stripe's event type. A snapshot is no event of Stripe's, and goes by
// its subject.
func typeOf(m events.Message) string { return cmp.Or(m.StripeType, m.Type) }

// payload is what came from Stripe: an event, or the object of a snapshot.
func payload(d events.Data) string {
	if d.Event != nil {
		return string(d.Event)
	}
	return string(d.Object)
}

// marshal encodes a document and refuses one that the server would refuse, so
// that it does not fail the command that carries the others.
func marshal(doc any) (bson.Raw, error) {
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.CannotBeEncoded, fmt.Errorf("encoding document: %w", err))
	}
	if len(raw) > maxDocument {
		return nil, fault.New(fault.Permanent, fault.TooLarge, errors.New("document is larger than MongoDB's limit of 16 MB"))
	}
	return raw, nil
}

// encodeData renders a message's data without what stands in payload.
func encodeData(d events.Data) (string, error) {
	d.Event, d.Object = nil, nil
	var buf strings.Builder
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // as in the stream: escaping makes up to six times as much
	if err := enc.Encode(d); err != nil {
		return "", errors.New("message holds a time outside of the years 0 to 9999")
	}
	return strings.TrimSuffix(buf.String(), "\n"), nil
}

// toMessage restores the message that was recorded.
func (d auditDocument) toMessage() (events.Message, error) {
	m := events.Message{
		SpecVersion: events.SpecVersion, ID: d.EventID, Source: events.Source(d.Livemode, d.AccountID),
		Time: d.Created.UTC(), DataContentType: events.DataContentType,
		StripeType: d.Type, StripeAPIVersion: d.APIVersion, StripeAccount: d.AccountID, StripeEndpoint: d.Endpoint,
		Livemode: d.Livemode,
	}
	if d.Type == events.SubjectSnapshot {
		m.Type, m.StripeType = d.Type, ""
	}
	if err := json.Unmarshal([]byte(d.Message), &m.Data); err != nil {
		return events.Message{}, fault.New(fault.Permanent, fault.AuditUnreadable,
			fmt.Errorf("audit document of %s does not hold a message", events.SafeID(d.EventID)))
	}
	if m.Data.ReadAt.IsZero() && d.Payload != "" {
		m.Data.Event = json.RawMessage(d.Payload)
	} else if d.Payload != "" {
		m.Data.Object = json.RawMessage(d.Payload)
	}
	return m, nil
}
