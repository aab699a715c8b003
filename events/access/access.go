// Package access says what a customer or a user may use, from the records of their
// subscriptions.
package access

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
)

// Record is what the record of a subscription says.
type Record struct {
	events.Subscription
	// Alternatives are what the subscription gives in other states that may be its last
	// one.
	Alternatives []Alternative
}

// Alternative is what a subscription may give instead.
type Alternative struct {
	Access string
	// SameItems is true if its items are those of the record, in the same quantities.
	SameItems bool
}

// Of returns the access that the records of one customer, or of one user, give
// together, without its revision. Its result depends on the set of records only, not on
// their sequence. features are the lookup keys of their entitlements. An access that this
// release does not know counts as none.
func Of(records []Record, features []string) events.AccessDocument {
	records = slices.Clone(records)
	slices.SortFunc(records, prefer)
	doc := events.AccessDocument{
		Access: events.AccessNone, Explanation: explain(records), Ambiguous: ambiguous(records),
		Products: products(records), Features: sorted(features),
	}
	var users, customers, subscriptions []string
	for _, r := range records {
		subscriptions, customers, users = append(subscriptions, r.ID), append(customers, r.CustomerID), append(users, r.UserID)
	}
	doc.Subscriptions, doc.CustomerIDs = sorted(subscriptions), sorted(customers)
	if slices.IndexFunc(users, func(u string) bool { return u != users[0] }) < 0 && len(users) > 0 {
		doc.UserID = users[0]
	}
	if len(records) > 0 && gives(records[0]) {
		best := records[0]
		doc.Access, doc.SubscriptionID = best.Access, best.ID
		doc.Since, doc.Until = best.StartDate, best.EndsAt
		if doc.Since.IsZero() {
			doc.Since = best.Created
		}
	}
	return doc
}

// TakesAway reports whether a document gives less than the one before: a lower access, or not
// all of the products.
func TakesAway(before, after events.AccessDocument) bool {
	gone := func(p events.AccessProduct) bool {
		return !slices.ContainsFunc(after.Products, func(has events.AccessProduct) bool { return has.ProductID == p.ProductID })
	}
	return rank(after.Access) < rank(before.Access) || slices.ContainsFunc(before.Products, gone)
}

// prefer sorts the subscription that gives the best access first, and of those that
// give the same the one that lasts longest.
func prefer(a, b Record) int {
	return cmp.Or(
		-cmp.Compare(rank(a.Access), rank(b.Access)),
		compareEnds(a, b),
		a.StartDate.Compare(b.StartDate),
		strings.Compare(a.ID, b.ID),
	)
}

// compareEnds sorts those without an end first, and then those that end last.
func compareEnds(a, b Record) int {
	switch {
	case a.EndsAt.IsZero() == b.EndsAt.IsZero():
		return b.EndsAt.Compare(a.EndsAt)
	case a.EndsAt.IsZero():
		return -1
	}
	return 1
}

func rank(access string) int {
	return slices.Index([]string{events.AccessNone, events.AccessGrace, events.AccessGranted}, access)
}

func gives(r Record) bool { return rank(r.Access) > 0 }

// products lists the items of all subscriptions that give access, by subscription.
func products(records []Record) []events.AccessProduct {
	var list []events.AccessProduct
	for _, r := range records {
		if !gives(r) {
			continue
		}
		for _, item := range r.Items {
			list = append(list, events.AccessProduct{
				ProductID: item.ProductID, PriceID: item.PriceID, Quantity: item.Quantity, SubscriptionID: r.ID, Access: r.Access,
				ProductName: item.ProductName, Nickname: item.Nickname, LookupKey: item.LookupKey,
			})
		}
	}
	slices.SortStableFunc(list, func(a, b events.AccessProduct) int {
		return cmp.Or(strings.Compare(a.SubscriptionID, b.SubscriptionID), strings.Compare(a.ProductID, b.ProductID), strings.Compare(a.PriceID, b.PriceID))
	})
	return list
}

// ambiguous reports whether the alternatives make a difference to what may be used. More
// access of one subscription never makes less of all. So if the least and the most that the
// subscriptions may give are the same, everything in between is.
func ambiguous(records []Record) bool {
	least, most := slices.Clone(records), slices.Clone(records)
	for i, r := range records {
		for _, a := range r.Alternatives {
			switch {
			case rank(a.Access) > 0 && !a.SameItems:
				return true
			case rank(a.Access) < rank(least[i].Access):
				least[i].Access = a.Access
			case rank(a.Access) > rank(most[i].Access):
				most[i].Access = a.Access
			}
		}
	}
	return !maps.Equal(usable(least), usable(most))
}

// use is what several subscriptions may include. The zero use is any subscription.
type use struct {
	product, price string
	quantity       int64
}

// usable returns the best access to everything that the records give.
func usable(records []Record) map[use]int {
	best := map[use]int{}
	for _, r := range records {
		best[use{}] = max(best[use{}], rank(r.Access))
		if !gives(r) {
			continue
		}
		for _, item := range r.Items {
			u := use{item.ProductID, item.PriceID, -1}
			if item.Quantity != nil {
				u.quantity = *item.Quantity
			}
			best[u] = max(best[u], rank(r.Access))
		}
	}
	return best
}

func explain(records []Record) string {
	switch {
	case len(records) == 0:
		return "There is no subscription."
	case !gives(records[0]) && len(records) == 1:
		return fmt.Sprintf("Subscription %s is %s.", records[0].ID, records[0].Status)
	case !gives(records[0]):
		return fmt.Sprintf("None of the %d subscriptions gives access.", len(records))
	}
	text := fmt.Sprintf("Subscription %s is %s", records[0].ID, records[0].Status)
	if len(records) > 1 {
		text += fmt.Sprintf("; subscriptions that give access: %d of %d", count(records), len(records))
	}
	return text + "."
}

func count(records []Record) (n int) {
	for _, r := range records {
		if gives(r) {
			n++
		}
	}
	return n
}

// sorted returns the different values that are not empty.
func sorted(values []string) []string {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	slices.Sort(values)
	return slices.Compact(values)
}
