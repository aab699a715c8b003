package normalize

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
)

// References returns the ids in a stored, redacted event by which the audit
// trail is searched. It returns none if event is not a Stripe event.
func References(event json.RawMessage) events.References {
	body, err := parse(event)
	if err != nil {
		return events.References{}
	}
	defer body.doc.release()
	r := reader{object: body, warnings: new(notes)}
	var refs events.References
	if form, _ := r.object.get("object").text(); form == "v2.core.event" {
		refs = thinReferences(r.child("related_object"))
	} else {
		refs = objectReferences(r.child("data"), r.text("type"))
	}
	refs.RequestID, refs.IdempotencyKey = request(r)
	return refs
}

func thinReferences(related reader) events.References {
	refs := events.References{ObjectID: related.text("id")}
	switch kind := related.text("type"); {
	case kind == "subscription":
		refs.SubscriptionID = refs.ObjectID
	case kind == "customer":
		refs.CustomerID = refs.ObjectID
	case kind == "v2.core.account":
		refs.CustomerAccountID = refs.ObjectID
	case connects(kind):
		refs.RelatedIDs = ids{}.add(refs.ObjectID)
	}
	return refs
}

// objectReferences reads the object, and what it was before the event: a payment
// method that was detached names its customer there only.
func objectReferences(data reader, eventType string) events.References {
	obj, previous := data.child("object"), data.child("previous_attributes")
	refs := events.References{ObjectID: obj.text("id")}
	switch kind := obj.text("object"); {
	case kind == "subscription", strings.HasPrefix(eventType, "customer.subscription.") && isSubscription(obj.object):
		refs.SubscriptionID = refs.ObjectID
	case kind == "customer":
		refs.CustomerID = refs.ObjectID
	}
	var named, related ids
	for _, o := range []reader{obj, previous} {
		subscription := cmp.Or(subscriptionOf(o), o.reference("released_subscription"))
		customer, account := o.reference("customer"), o.reference("customer_account")
		refs.SubscriptionID = cmp.Or(refs.SubscriptionID, subscription)
		refs.CustomerID = cmp.Or(refs.CustomerID, customer)
		refs.CustomerAccountID = cmp.Or(refs.CustomerAccountID, account)
		named = named.add(subscription, customer, account).add(subscriptionsOfLines(o)...)
		related = related.add(relatedIDs(o)...)
	}
	if connects(obj.text("object")) {
		related = related.add(refs.ObjectID)
	}
	refs.NamedIDs, refs.RelatedIDs = named.without(refs.SubscriptionID, refs.CustomerID, refs.CustomerAccountID), related
	return refs
}

// connects reports whether other objects name one of this type instead of the
// subscription or the customer: a dispute names its charge.
func connects(kind string) bool {
	switch kind {
	case "invoice", "payment_intent", "charge", "subscription_schedule":
		return true
	}
	return false
}

// relatedIDs returns the ids of such objects that an object names. Since 2025, the
// payment of an invoice is an object of its own.
func relatedIDs(obj reader) []string {
	var found ids
	for _, name := range []string{"invoice", "latest_invoice", "payment_intent", "charge", "latest_charge", "schedule", "subscription_schedule"} {
		found = found.add(obj.reference(name))
	}
	found = found.add(paymentIDs(obj)...)
	page := obj.child("payments")
	for i, v := range page.array("data").elements() {
		found = found.add(paymentIDs(page.element("data", i, v))...)
	}
	return found
}

func paymentIDs(obj reader) []string {
	payment := obj.child("payment")
	return []string{payment.reference("payment_intent"), payment.reference("charge")}
}

// maxIDs bounds what a hostile event can add to the indexes of the audit trail.
const maxIDs = 100

// ids are different ids, in the order in which they were found.
type ids []string

func (list ids) add(more ...string) ids {
	for _, id := range more {
		if id != "" && len(list) < maxIDs && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

func (list ids) without(known ...string) ids {
	var rest ids
	for _, id := range list {
		if !slices.Contains(known, id) {
			rest = append(rest, id)
		}
	}
	return rest
}

// subscriptionOf returns the subscription that an object belongs to. Since 2025,
// invoices have it in parent. An invoice whose lines name several subscriptions
// belongs to none of them.
func subscriptionOf(obj reader) string {
	inParent := obj.child("parent").child("subscription_details")
	details := obj.child("subscription_details")
	id := cmp.Or(obj.reference("subscription"), inParent.reference("subscription"), details.reference("subscription"))
	if id != "" {
		return id
	}
	if all := subscriptionsOfLines(obj); len(all) == 1 {
		return all[0]
	}
	return ""
}

// subscriptionsOfLines returns the subscriptions that an invoice's lines name.
func subscriptionsOfLines(obj reader) ids {
	page := obj.child("lines")
	var found ids
	for i, v := range page.array("data").elements() {
		found = found.add(subscriptionOfLine(page.element("data", i, v)))
	}
	return found
}

// subscriptionOfLine reads the line itself, or its parent since 2025. In early
// versions, the line of a subscription has the subscription's id.
func subscriptionOfLine(line reader) string {
	parent := line.child("parent")
	item, added := parent.child("subscription_item_details"), parent.child("invoice_item_details")
	id := cmp.Or(line.reference("subscription"), item.reference("subscription"), added.reference("subscription"))
	if own := line.text("id"); id == "" && line.text("type") == "subscription" && strings.HasPrefix(own, "sub_") {
		return own
	}
	return id
}

// request is an id in versions before 2017-05-25, an object since then, and a
// part of the reason in thin events.
func request(r reader) (id, key string) {
	if id, ok := r.get("request").text(); ok {
		return id, ""
	}
	req := r.child("request")
	if !req.exists() {
		req = r.child("reason").child("request")
	}
	return req.text("id"), req.text("idempotency_key")
}
