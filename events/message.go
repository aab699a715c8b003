package events

import (
	"encoding/json"
	"time"
)

// SchemaVersion is the version of the shape of [Data]. A reader refuses a
// message whose version is greater than the one it was built with.
const SchemaVersion = 1

// Constants of the CloudEvents envelope.
// See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
const (
	SpecVersion     = "1.0"
	ContentType     = "application/cloudevents+json"
	DataContentType = "application/json"
)

// Origin says by which way an event came into the stream.
type Origin string

// The origins of a message.
const (
	OriginWebhook   Origin = "webhook"   // Stripe posted it
	OriginBackfill  Origin = "backfill"  // read from Stripe's Events API
	OriginImport    Origin = "import"    // a snapshot of everything that exists
	OriginReconcile Origin = "reconcile" // a snapshot of what differed
	OriginThin      Origin = "thin"      // fetched because a thin event named it
	OriginLink      Origin = "link"      // a pair of customer and user from the application
)

// Reason says why a subscription was read from Stripe's API.
type Reason string

// The reasons of a snapshot.
const (
	ReasonImport         Reason = "import"          // everything that exists was read
	ReasonReconcile      Reason = "reconcile"       // it differed from what was known
	ReasonThin           Reason = "thin"            // a thin event named it
	ReasonItemsTruncated Reason = "items_truncated" // an event listed only some of its items
)

// Reasons why an event was kept but not admitted to subscription.*.
const (
	IgnoredLivemode = "livemode" // it is of another mode than the bridge admits
	IgnoredAccount  = "account"  // it is of another account than the bridge admits
)

// OmittedSize is the value of [Data.EventOmitted] when the message would not
// have fitted into the server's max_payload with Stripe's event inside.
const OmittedSize = "size"

// Message is one CloudEvents 1.0 event in structured JSON mode, the payload of
// every message in the stream.
// See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
type Message struct {
	// SpecVersion is always [SpecVersion].
	SpecVersion string `json:"specversion"`
	// ID is Stripe's event id. With Source it identifies the event: two
	// messages with equal ID and Source are the same event.
	ID string `json:"id"`
	// Source is /stripe/ + connected account or "platform" + /live or /test.
	Source string `json:"source"`
	// Type is the subject on which the message was published.
	Type string `json:"type"`
	// Subject is the id of the object that the event is about.
	Subject string `json:"subject,omitempty"`
	// Time is when Stripe created the event.
	Time time.Time `json:"time"`
	// DataContentType is always [DataContentType].
	DataContentType string `json:"datacontenttype"`
	// StripeType is Stripe's own event type; absent where no event of Stripe's
	// stands behind the message, as for a snapshot.
	// See https://docs.stripe.com/api/events/types
	StripeType string `json:"stripetype,omitempty"`
	// StripeAPIVersion is the API version in which Stripe rendered the event;
	// thin events have none.
	StripeAPIVersion string `json:"stripeapiversion,omitempty"`
	// StripeAccount is the connected account; absent for the platform itself.
	StripeAccount string `json:"stripeaccount,omitempty"`
	// StripeEndpoint is the name of the signing secret that verified it.
	StripeEndpoint string `json:"stripeendpoint,omitempty"`
	// Livemode is false for events of Stripe's test mode and sandboxes.
	Livemode bool `json:"livemode"`
	Data     Data `json:"data"`
}

// Data is what Billbus says about one event.
type Data struct {
	// SchemaVersion is the version of the shape of data; see [SchemaVersion].
	SchemaVersion int `json:"schema_version"`
	// Subscription is the normalized subscription as of this event; set on
	// every subscription.* message and on no other, so that nobody acts on an
	// event that was not admitted.
	Subscription *Subscription `json:"subscription,omitempty"`
	// Changes are the words for what happened; see [Changes]. It is empty on
	// everything but created, updated and deleted events of a subscription.
	Changes []Change `json:"changes,omitempty"`
	// Previous are the fields of Subscription that had another value before the
	// event; on updated events only.
	Previous *Previous `json:"previous,omitempty"`
	// Identity is what the event says about the application's user.
	Identity *Identity `json:"identity,omitempty"`
	// The object of a related event, normalized by the same rules. Like
	// Subscription, none is set on an event that was not admitted.
	Invoice         *Invoice          `json:"invoice,omitempty"`
	CheckoutSession *CheckoutSession  `json:"checkout_session,omitempty"`
	Customer        *Customer         `json:"customer,omitempty"`
	Discount        *CustomerDiscount `json:"discount,omitempty"`
	Product         *Product          `json:"product,omitempty"`
	Price           *Price            `json:"price,omitempty"`
	// Event is Stripe's event as received, minus redacted values.
	Event json.RawMessage `json:"event,omitempty"`
	// EventOmitted says why Event, or the Object of a snapshot, is absent.
	EventOmitted string `json:"event_omitted,omitempty"`
	// EventSHA256 is the SHA-256, in hex, of the bytes that Stripe sent, before
	// redaction: of a webhook those that it signed.
	EventSHA256 string `json:"event_sha256,omitempty"`
	// Redactions are the paths in Event whose values were replaced.
	Redactions []string `json:"redactions,omitempty"`
	// Warnings name what could not be read and was therefore left out.
	Warnings []string `json:"warnings,omitempty"`
	// Ignored says why the event was not admitted to subscription.*.
	Ignored string `json:"ignored,omitempty"`
	Origin  Origin `json:"origin"`
	// Object is, on a snapshot, the object as it was read from Stripe's API,
	// minus redacted values; snapshots have no Event.
	Object json.RawMessage `json:"object,omitempty"`
	// ReadAt is when Stripe's API answered with Object, in seconds.
	ReadAt time.Time `json:"read_at,omitzero"`
	// Reason says why a snapshot was taken.
	Reason Reason `json:"reason,omitempty"`
	// ReceivedAt is when the bridge received the event, in milliseconds.
	ReceivedAt time.Time `json:"received_at"`
}

// Mode is "live" or "test", as it stands in sources and keys.
func (m Message) Mode() string { return Mode(m.Livemode) }

// Account is the connected account in the form used in sources and keys, or
// "platform".
func (m Message) Account() string { return accountToken(m.StripeAccount) }

// Key identifies the event among all events: mode, account and event id,
// joined by colons. It is the _id of its audit document.
func (m Message) Key() string { return Key(m.Livemode, m.StripeAccount, m.ID) }

// SubscriptionKey identifies the subscription in the message among all
// subscriptions, in the form of [Key]; "" if the message holds none.
func (m Message) SubscriptionKey() string {
	if m.Data.Subscription == nil {
		return ""
	}
	return Key(m.Livemode, m.StripeAccount, m.Data.Subscription.ID)
}
