package normalize

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/billbus/billbus/events"
)

// References reads the ids inside an event as it was stored, that is redacted,
// by which an audit is searched. What is no event has none.
func References(event json.RawMessage) events.References {
	body, err := parse(event)
	if err != nil {
		return events.References{}
	}
	r := new(sink).reader(body, "")
	var refs events.References
	if form, _ := r.object.get("object").text(); form == "v2.core.event" {
		refs = relatedReferences(r)
	} else {
		refs = objectReferences(r)
	}
	refs.RequestID, refs.IdempotencyKey = request(r)
	return refs
}

func relatedReferences(r reader) events.References {
	related, _ := r.child("related_object")
	refs := events.References{ObjectID: related.text("id")}
	switch related.text("type") {
	case "subscription":
		refs.SubscriptionID = refs.ObjectID
	case "customer":
		refs.CustomerID = refs.ObjectID
	}
	return refs
}

func objectReferences(r reader) events.References {
	data, _ := r.child("data")
	obj, _ := data.child("object")
	refs := events.References{
		ObjectID:       obj.text("id"),
		SubscriptionID: subscriptionOf(obj),
		CustomerID:     obj.reference("customer"),
	}
	kind := obj.text("object")
	switch {
	case kind == "subscription", kind == "" && strings.HasPrefix(r.text("type"), "customer.subscription."):
		refs.SubscriptionID = refs.ObjectID
	case kind == "customer":
		refs.CustomerID = refs.ObjectID
	}
	return refs
}

// subscriptionOf finds the subscription that an object belongs to; invoices
// name it in parent since 2025.
func subscriptionOf(obj reader) string {
	parent, _ := obj.child("parent")
	inParent, _ := parent.child("subscription_details")
	beside, _ := obj.child("subscription_details")
	id := cmp.Or(obj.reference("subscription"), inParent.reference("subscription"), beside.reference("subscription"))
	if id == "" {
		return subscriptionOfLines(obj)
	}
	return id
}

// subscriptionOfLines is the one subscription that all lines name which name
// any: an invoice for several belongs to none of them.
func subscriptionOfLines(obj reader) string {
	page, _ := obj.child("lines")
	found := ""
	for i, v := range page.array("data").elements() {
		line, _ := page.element("data", i, v)
		id := subscriptionOfLine(line)
		if found != "" && id != "" && id != found {
			return ""
		}
		found = cmp.Or(found, id)
	}
	return found
}

// subscriptionOfLine stands beside the price, in the parent since 2025; before
// lines had ids of their own, it was the id.
func subscriptionOfLine(line reader) string {
	parent, _ := line.child("parent")
	item, _ := parent.child("subscription_item_details")
	added, _ := parent.child("invoice_item_details")
	id := cmp.Or(line.reference("subscription"), item.reference("subscription"), added.reference("subscription"))
	if own := line.text("id"); id == "" && line.text("type") == "subscription" && strings.HasPrefix(own, "sub_") {
		return own
	}
	return id
}

// request is an id in versions before 2017-05-25, an object since, and part of
// the reason in thin events.
func request(r reader) (id, key string) {
	if id, ok := r.get("request").text(); ok {
		return id, ""
	}
	req, ok := r.child("request")
	if !ok {
		reason, _ := r.child("reason")
		req, _ = reason.child("request")
	}
	return req.text("id"), req.text("idempotency_key")
}
