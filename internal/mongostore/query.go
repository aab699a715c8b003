package mongostore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// Record is what the state document of a subscription says, as far as a table
// shows it.
type Record struct {
	Key         string             `bson:"_id"`
	UserID      string             `bson:"user_id"`
	CustomerID  string             `bson:"customer_id"`
	Status      string             `bson:"status"`
	Access      string             `bson:"access"`
	Items       []RecordItem       `bson:"items"`
	PeriodEnd   bson.DateTime      `bson:"current_period_end"`
	EndsAt      bson.DateTime      `bson:"ends_at"`
	Ordering    ordering.Certainty `bson:"ordering"`
	Explanation string             `bson:"explanation"`
}

// RecordItem is one item of a [Record].
type RecordItem struct {
	PriceID  string `bson:"price_id"`
	Quantity *int64 `bson:"quantity"`
}

// Compare reads the record of a subscription and names the fields in which it
// differs from what it should say. Fields that the store adds are not compared.
// ErrNoRecord is returned where there is none.
func (s *Store) Compare(ctx context.Context, key string, want events.Subscription) (Record, []string, error) {
	raw, err := s.db.subscriptions.FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Record{}, nil, ErrNoRecord
	}
	if err != nil {
		return Record{}, nil, explain("reading record", err)
	}
	var record Record
	if err := bson.Unmarshal(raw, &record); err != nil {
		return Record{}, nil, fmt.Errorf("reading record: %w", err)
	}
	expected, err := bson.Marshal(subscriptionFields(want))
	if err != nil {
		return Record{}, nil, fmt.Errorf("encoding expected record: %w", err)
	}
	return record, differences(raw, expected), nil
}

// ErrNoRecord says that there is no record of a subscription.
var ErrNoRecord = errors.New("no record of this subscription")

// differences names the fields of the contract in which two documents differ,
// in the order of the contract.
func differences(have, want bson.Raw) []string {
	var differing []string
	for _, name := range fieldNames() {
		a, b := have.Lookup(name), want.Lookup(name)
		if a.Type != b.Type || !bytes.Equal(a.Value, b.Value) {
			differing = append(differing, name)
		}
	}
	return differing
}

// fieldNames are all fields that a record can take from a subscription.
func fieldNames() []string {
	var names []string
	subscription := reflect.TypeFor[events.Subscription]()
	for field := range subscription.Fields() {
		name, _ := jsonName(field)
		if name == "id" {
			name = subscriptionID
		}
		names = append(names, name)
	}
	return names
}

// EventCounts says how often each event is in the audit trail, which should be
// once.
func (s *Store) EventCounts(ctx context.Context) (map[string]int, error) {
	cursor, err := s.db.events.Find(ctx, bson.D{}, options.Find().SetProjection(bson.D{{Key: "event_id", Value: 1}}))
	if err != nil {
		return nil, explain("reading audit trail", err)
	}
	defer func() { _ = cursor.Close(ctx) }()
	counts := map[string]int{}
	for cursor.Next(ctx) {
		var doc struct {
			EventID string `bson:"event_id"`
		}
		if err := cursor.Decode(&doc); err != nil {
			return nil, fmt.Errorf("reading audit trail: %w", err)
		}
		counts[doc.EventID]++
	}
	return counts, explain("reading audit trail", cursor.Err())
}
