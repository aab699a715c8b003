package mongostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Insert implements [store.AuditTrail] by one command.
func (db database) Insert(ctx context.Context, entries []store.Entry) []error {
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
	for k, failure := range insert(ctx, db.events, docs) {
		failures[index[k]] = written("inserting audit document", failure)
	}
	return failures
}

func insert(ctx context.Context, into *mongo.Collection, docs []any) []error {
	var failures []error
	for _, part := range bySize(docs, maxCommand) {
		_, err := into.InsertMany(ctx, docs[part.from:part.to], options.InsertMany().SetOrdered(false))
		failures = append(failures, perDocument(err, part.to-part.from)...)
	}
	return failures
}

// maxCommand keeps the driver from splitting an insert: it would then report only the
// last write concern error of several.
const maxCommand = 16 << 20

type part struct{ from, to int }

// bySize splits documents into parts. A part with more than one document is not
// larger than the limit.
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

// maxPrefer bounds how often a document is compared again because it has changed.
// Each time, another writer has stored a reading that is preferred to the one before.
const maxPrefer = 20

// Prefer implements [store.AuditTrail]. The message is part of the filter, so the
// document is replaced only if it is still the one that was compared. On FerretDB, the
// embedded database, that holds for one process, which commits one batch at a time.
func (db database) Prefer(ctx context.Context, e store.Entry) (events.Message, bool, error) {
	for range maxPrefer {
		doc, err := db.find(ctx, e.Key())
		if err != nil {
			return events.Message{}, false, err
		}
		stored, err := doc.message()
		if err != nil || !store.Preferred(e.Message, stored) {
			return stored, false, err
		}
		e := store.Replacement(e, stored)
		replacement, err := encodeAudit(e)
		if err != nil {
			return events.Message{}, false, err
		}
		same := bson.D{equal("_id", doc.Key), equal("message", doc.Message)}
		res, err := db.events.ReplaceOne(ctx, same, replacement)
		if err != nil || res.MatchedCount == 1 {
			return e.Message, err == nil, explain("replacing audit document", single(err))
		}
	}
	return events.Message{}, false, fault.New(fault.Transient, fault.DatabaseContention, errors.New("the audit document keeps changing"))
}

// Find implements [store.AuditTrail].
func (db database) Find(ctx context.Context, key string) (events.Message, error) {
	doc, err := db.find(ctx, key)
	if err != nil {
		return events.Message{}, err
	}
	return doc.message()
}

func (db database) find(ctx context.Context, key string) (auditDocument, error) {
	var doc auditDocument
	err := db.events.FindOne(ctx, bson.D{equal("_id", key)}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return doc, fault.New(fault.Transient, fault.AuditMissing, errors.New("there is no such audit document"))
	}
	return doc, explain("reading audit document", err)
}

// Messages implements [store.AuditTrail] by one query. For that, the embedded database
// would read the whole collection, but it finds a single key at once.
func (db database) Messages(ctx context.Context, keys []string) (map[string]store.Audited, error) {
	if len(keys) == 1 || !db.server.isMongoDB(ctx) {
		return db.oneByOne(ctx, keys)
	}
	found := make(map[string]store.Audited, len(keys))
	q := query{db.events, bson.D{anyOf("_id", keys)}, options.Find().SetBatchSize(largeBatch), "reading audit documents"}
	for doc, err := range each[auditDocument](ctx, q) {
		if err != nil {
			return found, err
		}
		found[doc.Key] = doc.audited()
	}
	return found, nil
}

func (db database) oneByOne(ctx context.Context, keys []string) (map[string]store.Audited, error) {
	docs := make([]auditDocument, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxCommands)
	for i, key := range keys {
		group.Go(func() (err error) {
			if docs[i], err = db.find(ctx, key); fault.ReasonOf(err) == fault.AuditMissing {
				err = nil
			}
			return err
		})
	}
	err := group.Wait()
	found := make(map[string]store.Audited, len(keys))
	for _, doc := range docs {
		if doc.Key != "" {
			found[doc.Key] = doc.audited()
		}
	}
	return found, err
}

// Histories implements [store.AuditTrail].
func (db database) Histories(ctx context.Context, subscriptions []string) iter.Seq2[store.Audited, error] {
	opts := options.Find()
	if db.server.isMongoDB(ctx) {
		opts.SetBatchSize(largeBatch)
	}
	return db.audited(ctx, bson.D{anyOf("subscription_key", subscriptions)}, opts)
}

// Trail implements [store.Search].
func (db database) Trail(ctx context.Context, subscription string) iter.Seq2[store.Audited, error] {
	return db.audited(ctx, bson.D{equal("subscription_key", subscription)}, options.Find())
}

// Ignored implements [store.Admission].
func (db database) Ignored(ctx context.Context) iter.Seq2[store.Audited, error] {
	return db.audited(ctx, bson.D{isSet("ignored")}, options.Find())
}

// AuditSize implements [store.Verification].
func (db database) AuditSize(ctx context.Context) (int64, error) {
	n, err := db.scanned.events.CountDocuments(ctx, showsState)
	return n, explain("counting the audit trail", err)
}

// showsState finds the events that show the state of a subscription.
var showsState = bson.D{isSet("subscription_key")}

func (db database) audited(ctx context.Context, filter bson.D, opts *options.FindOptionsBuilder) iter.Seq2[store.Audited, error] {
	return converted(ctx, query{db.events, filter, opts, "reading the audit trail"}, auditDocument.audited)
}

// maxDocument is the server's limit of 16 MB, minus what the command needs.
const maxDocument = 16<<20 - 16<<10

// auditDocument is one document of webhook_events: one event that was stored in the
// stream. Payload and message are strings: MongoDB does not return every field name
// with dots and dollars as it was written, but it does so with every string.
type auditDocument struct {
	Key               string    `bson:"_id"`
	EventID           string    `bson:"event_id"`
	Type              string    `bson:"type"`
	Created           time.Time `bson:"created"`
	APIVersion        string    `bson:"api_version,omitempty"`
	Livemode          bool      `bson:"livemode"`
	AccountID         string    `bson:"account_id,omitempty"`
	Endpoint          string    `bson:"endpoint,omitempty"`
	ObjectID          string    `bson:"object_id,omitempty"`
	SubscriptionID    string    `bson:"subscription_id,omitempty"`
	CustomerID        string    `bson:"customer_id,omitempty"`
	CustomerAccountID string    `bson:"customer_account_id,omitempty"`
	NamedIDs          []string  `bson:"named_ids,omitempty"`
	RelatedIDs        []string  `bson:"related_ids,omitempty"`
	RequestID         string    `bson:"request_id,omitempty"`
	IdempotencyKey    string    `bson:"idempotency_key,omitempty"`
	ReceivedAt        time.Time `bson:"received_at"`
	StoredAt          time.Time `bson:"stored_at"`
	StreamSequence    int64     `bson:"stream_sequence"`
	Payload           string    `bson:"payload,omitempty"`
	Message           string    `bson:"message"`
	EventSHA256       string    `bson:"event_sha256,omitempty"`
	Redactions        []string  `bson:"redactions,omitempty"`
	Origin            string    `bson:"origin"`
	Ignored           string    `bson:"ignored,omitempty"`
	Normalizer        int       `bson:"normalizer,omitempty"`
	SubscriptionKey   string    `bson:"subscription_key,omitempty"`
	Terminal          bool      `bson:"terminal"`
	ItemsTruncated    bool      `bson:"items_truncated,omitempty"`
}

// encodeAudit encodes the audit document of an entry. It fails only for an entry that
// can never be stored.
func encodeAudit(e store.Entry) (bson.Raw, error) {
	message, err := encodeData(e.Data)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	doc := auditDocument{
		Key: e.Key(), EventID: e.ID, Type: typeOf(e.Message), Created: e.Time,
		APIVersion: e.StripeAPIVersion, Livemode: e.Livemode, AccountID: e.StripeAccount, Endpoint: e.StripeEndpoint,
		ObjectID: e.ObjectID, SubscriptionID: e.SubscriptionID, CustomerID: e.CustomerID, CustomerAccountID: e.CustomerAccountID,
		NamedIDs: e.NamedIDs, RelatedIDs: e.RelatedIDs, RequestID: e.RequestID, IdempotencyKey: e.IdempotencyKey,
		ReceivedAt: e.Data.ReceivedAt, StoredAt: e.StoredAt, StreamSequence: int64(e.StreamSequence),
		Payload: payload(e.Data), Message: message,
		EventSHA256: e.Data.EventSHA256, Redactions: e.Data.Redactions, Origin: string(e.Data.Origin),
		Ignored: e.Data.Ignored, Normalizer: e.Data.Normalizer,
	}
	if ordering.ShowsState(e.Message) {
		doc.SubscriptionKey, doc.Terminal, doc.ItemsTruncated = e.SubscriptionKey(), ordering.Ends(e.Message), e.Data.Subscription.ItemsTruncated
	}
	return marshal(doc)
}

// typeOf returns Stripe's event type. Snapshots and links are not events of Stripe's, so
// their type is their subject.
func typeOf(m events.Message) string { return cmp.Or(m.StripeType, m.Type) }

// payload returns what came from Stripe: an event, or the object of a snapshot.
func payload(d events.Data) string {
	if d.Event != nil {
		return string(d.Event)
	}
	return string(d.Object)
}

// marshal encodes a document. It refuses one that the server would refuse, because
// that would fail the whole command, with all other documents.
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

// encodeData encodes a message's data as JSON, without what is in payload.
func encodeData(d events.Data) (string, error) {
	d.Event, d.Object = nil, nil
	var buf strings.Builder
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // as in the stream: escaping makes up to six times as much
	if err := enc.Encode(&d); err != nil {
		return "", errors.New("message holds a time outside of the years 0 to 9999")
	}
	return strings.TrimSuffix(buf.String(), "\n"), nil
}

// message returns the message that was inserted.
func (d auditDocument) message() (events.Message, error) {
	m := events.Message{
		SpecVersion: events.SpecVersion, ID: d.EventID, Source: events.Source(d.Livemode, d.AccountID),
		Time: d.Created.UTC(), DataContentType: events.DataContentType,
		StripeType: d.Type, StripeAPIVersion: d.APIVersion, StripeAccount: d.AccountID, StripeEndpoint: d.Endpoint,
		Livemode: d.Livemode,
	}
	switch d.Type {
	case events.SubjectSnapshot, events.SubjectEntitlementsSnapshot, events.SubjectUserLinked,
		events.SubjectCustomerSnapshot, events.SubjectProductSnapshot, events.SubjectPriceSnapshot:
		m.Type, m.StripeType = d.Type, ""
	}
	if err := json.Unmarshal([]byte(d.Message), &m.Data); err != nil {
		return events.Message{}, fault.New(fault.Permanent, fault.AuditUnreadable,
			fmt.Errorf("the audit document of %s does not hold a message", events.SafeID(d.EventID)))
	}
	if m.Data.ReadAt.IsZero() && d.Payload != "" {
		m.Data.Event = []byte(d.Payload)
	} else if d.Payload != "" {
		m.Data.Object = []byte(d.Payload)
	}
	return m, nil
}

// audited returns a document in the words of package store. One that is damaged does
// not hide the others.
func (d auditDocument) audited() store.Audited {
	m, err := d.message()
	if err != nil {
		m = events.Message{ID: d.EventID, StripeType: d.Type, Time: d.Created.UTC(), Livemode: d.Livemode, StripeAccount: d.AccountID}
	}
	return store.Audited{
		Subscription: d.SubscriptionKey, Unreadable: err != nil,
		Entry: store.Entry{
			Message: m,
			References: events.References{
				ObjectID: d.ObjectID, SubscriptionID: d.SubscriptionID, CustomerID: d.CustomerID, CustomerAccountID: d.CustomerAccountID,
				NamedIDs: d.NamedIDs, RelatedIDs: d.RelatedIDs, RequestID: d.RequestID, IdempotencyKey: d.IdempotencyKey,
			},
			Position: store.Position{StreamSequence: uint64(d.StreamSequence), StoredAt: d.StoredAt.UTC()},
		},
	}
}
