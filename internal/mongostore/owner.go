package mongostore

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
)

// owner selects the events that belong to a subscription, a customer or a user.
type owner struct {
	// scope limits the search to a mode and an account.
	scope bson.D
	// names are the conditions on an event that names the owner. One is enough.
	names bson.A
	// unnamed are the fields that an event lacks if it names no owner of this kind.
	unnamed []string
}

// owners returns those that a query asks for. An event must belong to all of them.
func (db database) owners(ctx context.Context, q store.Query) ([]owner, error) {
	var list []owner
	if q.Subscription != "" {
		list = append(list, subscriptionOwner(q.Subscription))
	}
	if q.Customer != "" {
		list = append(list, customerOwner(nil, []string{q.Customer}))
	}
	if q.User != "" {
		user, err := db.userOwner(ctx, q.User)
		if err != nil {
			return nil, err
		}
		list = append(list, user)
	}
	return list, nil
}

// subscriptionOwner accepts an id, or the key of a record.
func subscriptionOwner(id string) owner {
	mode, rest, _ := strings.Cut(id, ":")
	account, plain, isKey := strings.Cut(rest, ":")
	scope := bson.D{}
	if isKey {
		id = plain
		scope = bson.D{equal("livemode", mode == events.Mode(true)), equal("account_id", nil)} // of the platform
		if account != events.Platform {
			scope[1].Value = account
		}
	}
	return owner{
		scope:   scope,
		names:   bson.A{bson.D{equal("subscription_id", id)}, bson.D{equal("named_ids", id)}},
		unnamed: []string{"subscription_id"},
	}
}

// customerOwner accepts ids of customers and of the accounts that represent them. It
// includes the events of subscriptions.
func customerOwner(subscriptions, customers []string) owner {
	o := owner{scope: bson.D{}, unnamed: []string{"customer_id", "customer_account_id"}}
	for _, field := range o.unnamed {
		o.names = append(o.names, bson.D{anyOf(field, customers)})
	}
	if subscriptions != nil {
		o.unnamed = append(o.unnamed, "subscription_id")
		o.names = append(o.names, bson.D{anyOf("subscription_id", subscriptions)})
	}
	o.names = append(o.names, bson.D{anyOf("named_ids", slices.Concat(subscriptions, customers))})
	return o
}

// userOwner owns what names the user in records and identities: subscriptions, customers
// and their accounts.
func (db database) userOwner(ctx context.Context, user string) (owner, error) {
	subscriptions, customers := []string{}, []string{}
	for _, from := range []*mongo.Collection{db.subscriptions, db.identities} {
		opts := options.Find().SetProjection(fields("subscription_id", "customer_id", "customer_account_id"))
		for doc, err := range each[ownerDocument](ctx, query{from, bson.D{equal("user_id", user)}, opts, "searching for a user"}) {
			if err != nil {
				return owner{}, err
			}
			subscriptions = append(subscriptions, doc.SubscriptionID)
			customers = append(customers, doc.CustomerID, doc.CustomerAccountID)
		}
	}
	return customerOwner(distinct(subscriptions), distinct(customers)), nil
}

// distinct returns the ids that are there, each once.
func distinct(ids []string) []string {
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
}

// ofOwner selects the events that name an owner, and those that name no owner but a
// payment or a schedule of one, such as a dispute.
func (db database) ofOwner(ctx context.Context, o owner) (bson.D, error) {
	related, err := db.related(ctx, o)
	if err != nil {
		return nil, err
	}
	names := append(slices.Clone(o.names), o.through(related))
	return append(slices.Clone(o.scope), equal("$or", names)), nil
}

// through selects the events that name no owner but one of the ids.
func (o owner) through(related []string) bson.D {
	condition := bson.D{anyOf("related_ids", related)}
	for _, field := range o.unnamed {
		condition = append(condition, equal(field, nil))
	}
	return condition
}

// related returns the payments and schedules of an owner. It starts with the events
// that name the owner, and follows the ids that it finds from the invoice to its
// payment, and from there to the charge. It does not follow subscriptions and customers,
// so it stays with this owner.
func (db database) related(ctx context.Context, o owner) ([]string, error) {
	type document struct {
		RelatedIDs []string `bson:"related_ids"`
	}
	var all []string
	known := map[string]bool{}
	filter := append(slices.Clone(o.scope), equal("$or", o.names))
	for {
		before := len(all)
		opts := options.Find().SetProjection(fields("related_ids"))
		for doc, err := range each[document](ctx, query{db.events, filter, opts, "searching the audit trail"}) {
			if err != nil {
				return nil, err
			}
			for _, id := range doc.RelatedIDs {
				if !known[id] {
					known[id], all = true, append(all, id)
				}
			}
		}
		if len(all) == before {
			return all, nil
		}
		filter = append(slices.Clone(o.scope), o.through(all[before:])...)
	}
}
