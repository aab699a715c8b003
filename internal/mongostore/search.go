package mongostore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
)

// Search returns events of the audit trail, the oldest first.
func (s *Store) Search(ctx context.Context, q store.Query) ([]store.Found, error) {
	filter, err := s.filter(ctx, q)
	if err != nil {
		return nil, err
	}
	opts := options.Find().SetProjection(bson.D{{Key: "payload", Value: 0}}).SetBatchSize(trailBatch).
		SetSort(bson.D{{Key: "created", Value: -1}}).SetLimit(int64(q.Limit))
	var found []store.Found
	for doc, err := range each[auditDocument](ctx, s.db.events, "searching the audit trail", filter, opts) {
		if err != nil {
			return nil, err
		}
		found = append(found, doc.found())
	}
	slices.SortStableFunc(found, func(a, b store.Found) int {
		return cmp.Or(a.Message.Time.Compare(b.Message.Time), cmp.Compare(a.StreamSequence, b.StreamSequence))
	})
	return found, nil
}

func (d auditDocument) found() store.Found {
	m, err := d.toMessage()
	if err != nil {
		m = events.Message{ID: d.EventID, StripeType: d.Type, Time: d.Created.UTC(), Livemode: d.Livemode, StripeAccount: d.AccountID}
	}
	return store.Found{
		Subscription: d.SubscriptionKey, Message: m,
		References: events.References{
			ObjectID: d.ObjectID, SubscriptionID: d.SubscriptionID, CustomerID: d.CustomerID,
			RequestID: d.RequestID, IdempotencyKey: d.IdempotencyKey,
		},
		StreamSequence: d.StreamSequence, StoredAt: d.StoredAt.UTC(), Unreadable: err != nil,
	}
}

func (s *Store) filter(ctx context.Context, q store.Query) (bson.D, error) {
	filter := bson.D{}
	equal := func(field, value string) {
		if value != "" {
			filter = append(filter, bson.E{Key: field, Value: value})
		}
	}
	filter = append(filter, ofSubscription(q.Subscription)...)
	equal("customer_id", q.Customer)
	equal("type", q.Type)
	if q.User != "" {
		belongs, err := s.ofUser(ctx, q.User)
		if err != nil {
			return nil, err
		}
		filter = append(filter, belongs)
	}
	if q.Event != "" {
		which, err := s.ofEvent(ctx, q.Event)
		if err != nil {
			return nil, err
		}
		filter = append(filter, which)
	}
	return append(filter, within(q.Since, q.Until)...), nil
}

func within(since, until time.Time) bson.D {
	var span bson.D
	if !since.IsZero() {
		span = append(span, bson.E{Key: "$gte", Value: since})
	}
	if !until.IsZero() {
		span = append(span, bson.E{Key: "$lte", Value: until})
	}
	if span == nil {
		return nil
	}
	return bson.D{{Key: "created", Value: span}}
}

// ofSubscription takes an id, or a key as it stands in a record.
func ofSubscription(id string) bson.D {
	mode, rest, ok := strings.Cut(id, ":")
	account, plain, whole := strings.Cut(rest, ":")
	switch {
	case id == "":
		return nil
	case !ok || !whole:
		return bson.D{{Key: "subscription_id", Value: id}}
	}
	var of any // the platform's documents have no account
	if account != events.Platform {
		of = account
	}
	return bson.D{
		{Key: "subscription_id", Value: plain},
		{Key: "livemode", Value: mode == events.Mode(true)},
		{Key: "account_id", Value: of},
	}
}

// ofEvent finds an event by its key without a search, and only those of connected
// accounts, whose account an id does not name, with one.
func (s *Store) ofEvent(ctx context.Context, id string) (bson.E, error) {
	keys := bson.A{id, events.Key(true, "", id), events.Key(false, "", id)}
	byKey := bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}
	n, err := s.db.events.CountDocuments(ctx, bson.D{byKey})
	if err != nil {
		return byKey, explain("searching the audit trail", err)
	}
	if n == 0 {
		return bson.E{Key: "event_id", Value: id}, nil
	}
	return byKey, nil
}

// ofUser takes what belongs to the user's records.
func (s *Store) ofUser(ctx context.Context, user string) (bson.E, error) {
	subscriptions, customers := bson.A{}, bson.A{}
	type record struct {
		SubscriptionID string `bson:"subscription_id"`
		CustomerID     string `bson:"customer_id"`
	}
	opts := options.Find().SetProjection(bson.D{{Key: "subscription_id", Value: 1}, {Key: "customer_id", Value: 1}})
	for r, err := range each[record](ctx, s.db.subscriptions, "looking up a user", bson.D{{Key: "user_id", Value: user}}, opts) {
		if err != nil {
			return bson.E{}, err
		}
		subscriptions = append(subscriptions, r.SubscriptionID)
		if r.CustomerID != "" {
			customers = append(customers, r.CustomerID)
		}
	}
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: "subscription_id", Value: bson.D{{Key: "$in", Value: subscriptions}}}},
		bson.D{{Key: "customer_id", Value: bson.D{{Key: "$in", Value: customers}}}},
	}}, nil
}

// Payload is what came from Stripe with an event; "" if it was omitted for size.
// found is false if there is no such event.
func (s *Store) Payload(ctx context.Context, id string) (payload string, found bool, err error) {
	which, err := s.ofEvent(ctx, id)
	if err != nil {
		return "", false, err
	}
	for doc, err := range each[auditDocument](ctx, s.db.events, "reading a payload", bson.D{which}, options.Find().SetLimit(1)) {
		return doc.Payload, err == nil, err
	}
	return "", false, nil
}
