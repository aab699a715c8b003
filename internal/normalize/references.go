package normalize

import (
	"cmp"
	"encoding/json"
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
	r := reader{object: body, warnings: new(notes)}
	var refs events.References
	if form, _ := r.object.get("object").text(); form == "v2.core.event" {
		refs = relatedReferences(r.child("related_object"))
	} else {
		refs = objectReferences(r.child("data").child("object"), r.text("type"))
	}
	refs.RequestID, refs.IdempotencyKey = request(r)
	return refs
}

func relatedReferences(related reader) events.References {
	refs := events.References{ObjectID: related.text("id")}
	switch related.text("type") {
	case "subscription":
		refs.SubscriptionID = refs.ObjectID
	case "customer":
		refs.CustomerID = refs.ObjectID
	}
	return refs
}

func objectReferences(obj reader, eventType string) events.References {
	refs := events.References{
		ObjectID:       obj.text("id"),
		SubscriptionID: subscriptionOf(obj),
		CustomerID:     obj.reference("customer"),
	}
	kind := obj.text("object")
	switch {
	case kind == "subscription", kind == "" && strings.HasPrefix(eventType, "customer.subscription."):
		refs.SubscriptionID = refs.ObjectID
	case kind == "customer":
		refs.CustomerID = refs.ObjectID
	}
	return refs
}

// subscriptionOf returns the subscription that an object belongs to. Since 2025,
// invoices have it in parent.
func subscriptionOf(obj reader) string {
	inParent := obj.child("parent").child("subscription_details")
	details := obj.child("subscription_details")
	id := cmp.Or(obj.reference("subscription"), inParent.reference("subscription"), details.reference("subscription"))
	if id == "" {
		return subscriptionOfLines(obj)
	}
	return id
}

// subscriptionOfLines returns the only subscription that an invoice's lines
// name. An invoice for several subscriptions belongs to none of them.
func subscriptionOfLines(obj reader) string {
	page := obj.child("lines")
	found := ""
	for i, v := range page.array("data").elements() {
		id := subscriptionOfLine(page.element("data", i, v))
		if found != "" && id != "" && id != found {
			return ""
		}
		found = cmp.Or(found, id)
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
