package mongostore

import (
	"context"
	"iter"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// identityDocument is one document of identities: what one event says about a user.
type identityDocument struct {
	Key               string    `bson:"_id"`
	EventID           string    `bson:"event_id"`
	Created           time.Time `bson:"created"`
	Source            string    `bson:"source,omitempty"`
	UserID            string    `bson:"user_id,omitempty"`
	CustomerID        string    `bson:"customer_id,omitempty"`
	CustomerAccountID string    `bson:"customer_account_id,omitempty"`
	SubscriptionID    string    `bson:"subscription_id,omitempty"`
	APIVersion        string    `bson:"api_version,omitempty"`
	Normalizer        int       `bson:"normalizer,omitempty"`
	// RereadAt is a text, because a date has no nanoseconds.
	RereadAt string `bson:"reread_at,omitempty"`
}

func identityOf(i store.Identity) identityDocument {
	doc := identityDocument{
		Key: i.Key, EventID: i.EventID, Created: i.Created, Source: string(i.Source), UserID: i.UserID,
		CustomerID: i.CustomerID, CustomerAccountID: i.CustomerAccountID, SubscriptionID: i.SubscriptionID,
		APIVersion: i.APIVersion, Normalizer: i.Normalizer,
	}
	if !i.RereadAt.IsZero() {
		doc.RereadAt = i.RereadAt.UTC().Format(time.RFC3339Nano)
	}
	return doc
}

func (d identityDocument) identity() store.Identity {
	i := store.Identity{
		Key: d.Key, APIVersion: d.APIVersion, Normalizer: d.Normalizer,
		UserFact: ordering.UserFact{
			EventID: d.EventID, Created: d.Created.UTC(),
			Identity: events.Identity{
				Source: events.IdentitySource(d.Source), UserID: d.UserID,
				CustomerID: d.CustomerID, CustomerAccountID: d.CustomerAccountID, SubscriptionID: d.SubscriptionID,
			},
		},
	}
	if at, err := time.Parse(time.RFC3339Nano, d.RereadAt); err == nil {
		i.RereadAt = at
	}
	return i
}

// Identify implements [store.IdentityTrail] by one command.
func (db database) Identify(ctx context.Context, identities []store.Identity) []error {
	failures, docs := make([]error, len(identities)), make([]any, len(identities))
	for i, identity := range identities {
		raw, err := marshal(identityOf(identity))
		db.noteIdentity(identity)
		if err != nil { // no identity is as large as its event
			failures[i] = err
		}
		docs[i] = raw
	}
	for i, failure := range insert(ctx, db.identities, docs) {
		if failures[i] == nil {
			failures[i] = written("inserting identity", failure)
		}
	}
	return failures
}

// Identities implements [store.IdentityTrail].
func (db database) Identities(ctx context.Context, owners store.Owners) ([]store.Identity, error) {
	filters, err := db.withNames(ctx, db.names.identities, db.identities, ofOwners(owners), namesOf(owners))
	if err != nil {
		return nil, err
	}
	return db.identified(ctx, filters)
}

func namesOf(o store.Owners) []string {
	return slices.Concat(o.Subscriptions, o.Customers, o.CustomerAccounts)
}

// ofOwners finds what names one of the owners.
func ofOwners(o store.Owners) bson.D {
	var conditions bson.A
	for _, named := range []struct {
		field string
		ids   []string
	}{{"subscription_id", o.Subscriptions}, {"customer_id", o.Customers}, {"customer_account_id", o.CustomerAccounts}} {
		if len(named.ids) > 0 {
			conditions = append(conditions, bson.D{anyOf(named.field, named.ids)})
		}
	}
	switch len(conditions) {
	case 0:
		return bson.D{anyOf("_id", []string{})}
	case 1:
		return conditions[0].(bson.D)
	}
	return bson.D{equal("$or", conditions)}
}

// Identified implements [store.IdentityTrail].
func (db database) Identified(ctx context.Context, keys []string) (map[string]store.Identity, error) {
	found := make(map[string]store.Identity, len(keys))
	list, err := db.identified(ctx, db.withKeys(ctx, keys))
	for _, identity := range list {
		found[identity.Key] = identity
	}
	return found, err
}

func (db database) identified(ctx context.Context, filters []bson.D) (list []store.Identity, err error) {
	opts := options.Find()
	if db.server.isMongoDB(ctx) {
		opts.SetBatchSize(largeBatch)
	}
	for doc, err := range eachOf[identityDocument](ctx, filters, query{from: db.identities, opts: opts, doing: "reading identities"}) {
		if err != nil {
			return nil, err
		}
		list = append(list, doc.identity())
	}
	return list, nil
}

// ReplaceIdentity implements [store.IdentityTrail]. The whole identity is part of the
// filter, so it is replaced only if it is still the one that was read.
func (db database) ReplaceIdentity(ctx context.Context, have, want store.Identity) (bool, error) {
	raw, err := marshal(identityOf(have))
	if err != nil {
		return false, err
	}
	var same bson.D
	if err := bson.Unmarshal(raw, &same); err != nil {
		return false, err
	}
	for _, field := range []string{"source", "user_id", "customer_id", "customer_account_id", "subscription_id", "api_version", "normalizer", "reread_at"} {
		if _, err := raw.LookupErr(field); err != nil {
			same = append(same, equal(field, nil))
		}
	}
	db.noteIdentity(want)
	res, err := db.identities.ReplaceOne(ctx, same, identityOf(want))
	return err == nil && res.MatchedCount == 1, explain("replacing identity", single(err))
}

// Owned implements [store.Identities].
func (db database) Owned(ctx context.Context, owners store.Owners) iter.Seq2[store.Owned, error] {
	owners.Subscriptions = nil
	return func(yield func(store.Owned, error) bool) {
		filters, err := db.withNames(ctx, db.names.records, db.subscriptions, ofOwners(owners), namesOf(owners))
		if err != nil {
			yield(store.Owned{}, err)
			return
		}
		q := query{from: db.subscriptions, opts: options.Find().SetProjection(headFields), doing: "reading the records of customers"}
		for doc, err := range eachOf[headDocument](ctx, filters, q) {
			if !yield(store.Owned{Key: doc.Key, Owner: doc.head().Owner}, err) {
				return
			}
		}
	}
}

// claims finds the events that can say something about users, by their types.
var claims = bson.D{equal("$or", bson.A{
	bson.D{equal("type", bson.D{equal("$gte", "checkout.session."), equal("$lt", "checkout.session/")})},
	bson.D{anyOf("type", []string{"customer.created", "customer.updated", "customer.deleted", events.SubjectUserLinked})},
})}

// Claims implements [store.Verification].
func (db database) Claims(ctx context.Context) iter.Seq2[store.Audited, error] {
	return db.audited(ctx, claims, options.Find())
}

// ClaimsOf implements [store.Anonymity].
func (db database) ClaimsOf(ctx context.Context, owners store.Owners) iter.Seq2[store.Audited, error] {
	filter := bson.D{equal("$and", bson.A{ofOwners(owners), claims})}
	return db.audited(ctx, filter, options.Find().SetProjection(bson.D{{Key: "payload", Value: 0}}))
}

// Anonymous implements [store.Anonymity].
func (db database) Anonymous(ctx context.Context) iter.Seq2[store.Anonymous, error] {
	type document struct {
		Head     headDocument `bson:",inline"`
		Metadata []pair       `bson:"metadata"`
	}
	opts := options.Find().SetProjection(append(fields("metadata"), headFields...))
	return converted(ctx, query{db.subscriptions, bson.D{equal("user_id", nil)}, opts, "reading records without a user"}, func(doc document) store.Anonymous {
		found := store.Anonymous{Owned: store.Owned{Key: doc.Head.Key, Owner: doc.Head.head().Owner}}
		for _, p := range doc.Metadata {
			found.Metadata = append(found.Metadata, p.K)
		}
		return found
	})
}
