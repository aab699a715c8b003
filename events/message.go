package events

import (
	"encoding/json"
	"time"
)

// SchemaVersion is the version of the shape of [Data]. A reader refuses a message
// with a greater version than it was built with.
const SchemaVersion = 1

// Constants of the CloudEvents envelope.
// See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
const (
	SpecVersion     = "1.0"
	ContentType     = "application/cloudevents+json"
	DataContentType = "application/json"
)

// Origin says how an event came into the stream. A reader must accept values that it
// does not know.
type Origin string

// The origins of a message.
const (
	OriginWebhook Origin = "webhook" // Stripe posted it
	OriginThin    Origin = "thin"    // read from Stripe's API because a message left something out
	OriginLink    Origin = "link"    // a customer and a user, published by the application
	OriginRecord  Origin = "record"  // follows from the records of subscriptions
	// OriginBackfill is an event that was read from Stripe's API because the stream did
	// not have it.
	OriginBackfill Origin = "backfill"
	// OriginImport is an object as it was when all were read from Stripe's API.
	OriginImport Origin = "import"
	// OriginReconcile is an object as read from Stripe's API because its record differed.
	OriginReconcile Origin = "reconcile"
)

// Reason says why an object was read from Stripe's API.
type Reason string

// The reasons for a snapshot.
const (
	ReasonThin           Reason = "thin"            // a thin event named it
	ReasonItemsTruncated Reason = "items_truncated" // an event listed only some of its items
	// ReasonEntitlementsTruncated is that an event listed only some of a customer's
	// entitlements.
	ReasonEntitlementsTruncated Reason = "entitlements_truncated"
	// ReasonSameSecond is that an event listed other entitlements than one of the same
	// second.
	ReasonSameSecond Reason = "same_second"
	ReasonImport     Reason = "import"    // all objects were read
	ReasonReconcile  Reason = "reconcile" // the record differed from what Stripe has
)

// Reasons why an event was not admitted to subscription.*.
const (
	IgnoredLivemode = "livemode" // the bridge does not admit its mode
	IgnoredAccount  = "account"  // the bridge does not admit its account
)

// OmittedSize is the value of [Data.EventOmitted] if the message with Stripe's event
// would have exceeded the server's max_payload.
const OmittedSize = "size"

// Message is the payload of every message in the stream: one CloudEvents 1.0 event in
// structured JSON mode.
// See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
type Message struct {
	// SpecVersion is always [SpecVersion].
	SpecVersion string `json:"specversion"`
	// ID is Stripe's event id, or the id of a snapshot or a link. Two messages with the
	// same ID and Source are the same event.
	ID string `json:"id"`
	// Source is /stripe/ + connected account or "platform" + /live or /test.
	Source string `json:"source"`
	// Type is the subject on which the message was published.
	Type string `json:"type"`
	// Subject is the id of the object that the event is about. A link, and a summary of
	// entitlements, which has no id, is about its customer.
	Subject string `json:"subject,omitempty"`
	// Time is when Stripe created the event; of a snapshot, when it was read.
	Time time.Time `json:"time"`
	// DataContentType is always [DataContentType].
	DataContentType string `json:"datacontenttype"`
	// StripeType is Stripe's event type; absent if the message is not about an event
	// of Stripe's, such as a snapshot.
	// See https://docs.stripe.com/api/events/types
	StripeType string `json:"stripetype,omitempty"`
	// StripeAPIVersion is the API version in which Stripe rendered the event; absent
	// for thin events.
	StripeAPIVersion string `json:"stripeapiversion,omitempty"`
	// StripeAccount is the account of the event: the one that the event names, or else
	// that of the signing secret; absent for the platform itself.
	StripeAccount string `json:"stripeaccount,omitempty"`
	// StripeEndpoint is the name of the signing secret that verified the webhook.
	StripeEndpoint string `json:"stripeendpoint,omitempty"`
	// Livemode is false for events of Stripe's test mode and of sandboxes.
	Livemode bool `json:"livemode"`
	Data     Data `json:"data"`
}

// Data is what Billbus says about one event.
type Data struct {
	// SchemaVersion is the version of the shape of data; see [SchemaVersion].
	SchemaVersion int `json:"schema_version"`
	// Subscription is the normalized subscription as of this event. It is set on
	// every subscription.* message and on no other, so nobody acts on an event that
	// was not admitted.
	Subscription *Subscription `json:"subscription,omitempty"`
	// Changes are words for what happened; see [Changes]. It is set on created,
	// updated and deleted events of a subscription, and on snapshots that show
	// something that their event left out.
	Changes []Change `json:"changes,omitempty"`
	// Previous are the fields of Subscription that had another value before the
	// event. It is set on updated events, and on snapshots that have Changes.
	Previous *Previous `json:"previous,omitempty"`
	// Identity is what the event says about the application's user.
	Identity *Identity `json:"identity,omitempty"`
	// The object of any other event, normalized by the same rules. Like Subscription,
	// these are not set on an event that was not admitted.
	Invoice         *Invoice          `json:"invoice,omitempty"`
	CheckoutSession *CheckoutSession  `json:"checkout_session,omitempty"`
	Customer        *Customer         `json:"customer,omitempty"`
	Discount        *CustomerDiscount `json:"discount,omitempty"`
	Product         *Product          `json:"product,omitempty"`
	Price           *Price            `json:"price,omitempty"`
	Entitlements    *Entitlements     `json:"entitlements,omitempty"`
	// Access is what a customer or a user may use now, on access.* messages. Subject names
	// whose it is, as the key of the document in the state view.
	Access *AccessDocument `json:"access,omitempty"`
	// PreviousAccess is the document before; absent if there was none.
	PreviousAccess *AccessDocument `json:"previous_access,omitempty"`
	// EventOmitted says why Event, or the Object of a snapshot, is absent.
	EventOmitted string `json:"event_omitted,omitempty"`
	// EventSHA256 is the SHA-256, in hex, of the bytes that Stripe sent, before
	// redaction. For a webhook these are the bytes that Stripe signed.
	EventSHA256 string `json:"event_sha256,omitempty"`
	// Redactions are the paths of the values that were replaced.
	Redactions []string `json:"redactions,omitempty"`
	// Warnings name what could not be read and was left out, and lists that Stripe cut off.
	Warnings []string `json:"warnings,omitempty"`
	// Ignored says why the event was not admitted to subscription.*.
	Ignored string `json:"ignored,omitempty"`
	// Normalizer is the number of the rules by which Event, or the Object of a
	// snapshot, was read. It grows when a later release reads the same JSON
	// differently; 0 is a release that did not number its rules.
	Normalizer int `json:"normalizer,omitempty"`
	// RereadAt is when Event, or Object, was read again after it had been stored: by
	// other rules or with other settings. It is in milliseconds.
	RereadAt time.Time `json:"reread_at,omitzero"`
	// Overlap is true if the event was stored in another API version before this one
	// took its place. Only the audit trail has it.
	Overlap bool   `json:"overlap,omitempty"`
	Origin  Origin `json:"origin"`
	// Object is the object of a snapshot as Stripe's API returned it, with redacted
	// values replaced. A snapshot has no Event.
	Object json.RawMessage `json:"object,omitempty"`
	// ReadAt is when Stripe's API returned Object, in seconds.
	ReadAt time.Time `json:"read_at,omitzero"`
	// Reason says why a snapshot was taken.
	Reason Reason `json:"reason,omitempty"`
	// BecauseOf is the id of the event that caused a snapshot to be taken, if there
	// was one. The snapshot shows the object as it was after that event.
	BecauseOf string `json:"because_of,omitempty"`
	// Resolving says why the bridge is going to read the rest of the subscription from
	// Stripe's API. A snapshot with all items follows.
	Resolving Reason `json:"resolving,omitempty"`
	// ReceivedAt is when the bridge received the event, in milliseconds.
	ReceivedAt time.Time `json:"received_at"`
	// Event is Stripe's event as received, with redacted values replaced. It is the last
	// field, because [Encode] appends it.
	Event json.RawMessage `json:"event,omitempty"`
}

// Mode returns "live" or "test".
func (m Message) Mode() string { return Mode(m.Livemode) }

// Account returns the connected account in the form used in sources and keys, or
// [Platform].
func (m Message) Account() string { return accountToken(m.StripeAccount) }

// Key returns the key of the event, in the form of the function [Key]. It is the _id
// of its audit document.
func (m Message) Key() string { return Key(m.Livemode, m.StripeAccount, m.ID) }

// MessageID returns the Nats-Msg-Id of the message: that of the function [MessageID],
// after "ignored:" if the event was not admitted. So the stream does not take an event
// that is admitted now for a repetition of one that was ignored.
func (m Message) MessageID() string {
	id := MessageID(m.StripeAccount, m.ID)
	if m.Data.Ignored != "" {
		return "ignored:" + id
	}
	return id
}

// SubscriptionKey returns the key of the subscription in the message, in the form of
// the function [Key]; "" if the message has no subscription.
func (m Message) SubscriptionKey() string {
	if m.Data.Subscription == nil {
		return ""
	}
	return Key(m.Livemode, m.StripeAccount, m.Data.Subscription.ID)
}
