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

// Search implements [store.Search].
func (db database) Search(ctx context.Context, q store.Query) ([]store.Audited, error) {
	filter, err := db.filter(ctx, q)
	if err != nil {
		return nil, err
	}
	newestFirst := bson.D{{Key: "created", Value: -1}}
	opts := options.Find().SetProjection(bson.D{{Key: "payload", Value: 0}}).SetSort(newestFirst).SetLimit(int64(q.Limit))
	var found []store.Audited
	for audited, err := range db.audited(ctx, filter, opts) {
		if err != nil {
			return nil, err
		}
		found = append(found, audited)
	}
	slices.SortStableFunc(found, func(a, b store.Audited) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.StreamSequence, b.StreamSequence))
	})
	return found, nil
}

func (db database) filter(ctx context.Context, q store.Query) (bson.D, error) {
	filter := ofSubscription(q.Subscription)
	if q.Customer != "" {
		filter = append(filter, equal("customer_id", q.Customer))
	}
	if q.Type != "" {
		filter = append(filter, equal("type", q.Type))
	}
	if q.Ignored {
		filter = append(filter, isSet("ignored"))
	}
	if q.User != "" {
		condition, err := db.ofUser(ctx, q.User)
		if err != nil {
			return nil, err
		}
		filter = append(filter, condition)
	}
	if q.Event != "" {
		condition, err := db.ofEvent(ctx, q.Event)
		if err != nil {
			return nil, err
		}
		filter = append(filter, condition)
	}
	return append(filter, between(q.Since, q.Until)...), nil
}

func between(since, until time.Time) bson.D {
	var limits bson.D
	if !since.IsZero() {
		limits = append(limits, equal("$gte", since))
	}
	if !until.IsZero() {
		limits = append(limits, equal("$lte", until))
	}
	if limits == nil {
		return nil
	}
	return bson.D{equal("created", limits)}
}

// ofSubscription accepts an id, or the key of a record.
func ofSubscription(id string) bson.D {
	mode, rest, _ := strings.Cut(id, ":")
	account, plain, isKey := strings.Cut(rest, ":")
	switch {
	case id == "":
		return bson.D{}
	case !isKey:
		return bson.D{equal("subscription_id", id)}
	}
	var accountID any // nil: the platform's documents have no account
	if account != events.Platform {
		accountID = account
	}
	return bson.D{equal("subscription_id", plain), equal("livemode", mode == events.Mode(true)), equal("account_id", accountID)}
}

// ofEvent accepts an id or a key. It finds an event of the platform by its key, and
// searches only for one of a connected account, which an id does not name.
func (db database) ofEvent(ctx context.Context, id string) (bson.E, error) {
	byKey := anyOf("_id", []string{id, events.Key(true, "", id), events.Key(false, "", id)})
	n, err := db.events.CountDocuments(ctx, bson.D{byKey})
	if err != nil {
		return byKey, explain("searching the audit trail", err)
	}
	if n == 0 {
		return equal("event_id", id), nil
	}
	return byKey, nil
}

// ofUser selects the events of the subscriptions and customers in the user's records.
func (db database) ofUser(ctx context.Context, user string) (bson.E, error) {
	type record struct {
		SubscriptionID string `bson:"subscription_id"`
		CustomerID     string `bson:"customer_id"`
	}
	var subscriptions, customers []string
	opts := options.Find().SetProjection(fields("subscription_id", "customer_id"))
	for r, err := range each[record](ctx, query{db.subscriptions, bson.D{equal("user_id", user)}, opts, "searching for a user"}) {
		if err != nil {
			return bson.E{}, err
		}
		subscriptions = append(subscriptions, r.SubscriptionID)
		if r.CustomerID != "" {
			customers = append(customers, r.CustomerID)
		}
	}
	return equal("$or", bson.A{bson.D{anyOf("subscription_id", subscriptions)}, bson.D{anyOf("customer_id", customers)}}), nil
}

// Payload implements [store.Search].
func (db database) Payload(ctx context.Context, event string) (payload string, found bool, err error) {
	condition, err := db.ofEvent(ctx, event)
	if err != nil {
		return "", false, err
	}
	opts := options.Find().SetLimit(1)
	for doc, err := range each[auditDocument](ctx, query{db.events, bson.D{condition}, opts, "reading a payload"}) {
		return doc.Payload, err == nil, err
	}
	return "", false, nil
}
