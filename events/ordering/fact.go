package ordering

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
)

// Fact is what the ordering rule needs to know of one event of a subscription.
type Fact struct {
	// EventID is unique within a set of facts.
	EventID string
	// Type is Stripe's event type; subscription.snapshot for a snapshot.
	Type string
	// APIVersion is the one in which Stripe rendered the event.
	APIVersion string
	// Moment is when what the event tells of happened, in milliseconds at most;
	// see [FactOf].
	Moment time.Time
	// Terminal is true if the subscription had ended by this event.
	Terminal bool
	// Request is the API request that caused the event: its idempotency key, else
	// its id; "" where Stripe acted by itself. Two events of one request that say
	// the same are one change.
	Request string
	// Before and After are the states that the event leads from and to. Before is
	// the zero Digest where the event does not say: it tells how things stand, and
	// not how they came about.
	Before, After Digest
	// First is true of an event before which there was nothing.
	First bool
}

// Digest identifies what a subscription was, as far as events can be compared:
// equal digests mean equal states.
type Digest struct {
	// Full is over everything that belongs to the subscription itself, as one API
	// version renders it.
	Full string
	// Core is over what every API version renders.
	Core string
}

// FactOf extracts the fact from a message; false if the message holds no
// subscription. Messages that were not admitted hold none that counts.
//
// The moment is the event's created, which Stripe stamps in whole seconds, to
// the millisecond that stores keep. Stripe stamps a …created event up to seconds
// after the object it tells of, and so possibly after the first update: there
// the lesser of the two stamps counts. Of a snapshot it is when it was read.
func FactOf(m events.Message) (Fact, bool) {
	sub := m.Data.Subscription
	if sub == nil || m.Data.Ignored != "" {
		return Fact{}, false
	}
	f := Fact{
		EventID: m.ID, Type: cmp.Or(m.StripeType, m.Type), APIVersion: m.StripeAPIVersion, Request: requestOf(m.Data.Event),
		// A finer moment would come back from a store as an earlier one, and lose
		// against itself.
		Moment:   moment(m).UTC().Truncate(time.Millisecond),
		Terminal: sub.Terminal() || m.StripeType == events.StripeTypeDeleted,
		After:    stateOf(sub),
		First:    m.StripeType == events.StripeTypeCreated,
	}
	if m.StripeType == events.StripeTypeUpdated && m.Data.Previous != nil {
		f.Before = stateOf(m.Data.Previous.Before(sub))
	}
	return f, true
}

func moment(m events.Message) time.Time {
	sub := m.Data.Subscription
	if m.StripeType == events.StripeTypeCreated && !sub.Created.IsZero() && sub.Created.Before(m.Time) {
		return sub.Created
	}
	return m.Time
}

// requestOf is the idempotency key of the API request that caused an event, else
// its id, which is all that versions before 2017-05-25 have.
func requestOf(event json.RawMessage) string {
	var e struct{ Request json.RawMessage }
	var id string
	if len(event) == 0 || json.Unmarshal(event, &e) != nil || json.Unmarshal(e.Request, &id) == nil {
		return unredacted(id)
	}
	var request struct {
		ID  string `json:"id"`
		Key string `json:"idempotency_key"`
	}
	// What cannot be read is no request.
	_ = json.Unmarshal(e.Request, &request)
	return cmp.Or(unredacted(request.Key), unredacted(request.ID))
}

// unredacted is "" for what was redacted: all requests would be one.
func unredacted(s string) string {
	if s == "[redacted]" {
		return ""
	}
	return s
}

func stateOf(s *events.Subscription) Digest {
	return Digest{Full: digest(full(*s)), Core: digest(core(s))}
}

// digest is the first half of a SHA-256: enough to tell apart the few states that
// are ever compared.
func digest(v any) string {
	// What stands in a message can be written: it came from JSON.
	raw, err := json.Marshal(v)
	if err != nil {
		panic("ordering: a state that cannot be written")
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// full leaves out what is derived from the rest, and what other objects own: a
// price's text may change without an event of the subscription.
func full(s events.Subscription) events.Subscription {
	s.UserID, s.Access, s.EndsAt = "", "", time.Time{}
	s.Discounts = slices.Clone(s.Discounts)
	for i, d := range s.Discounts {
		s.Discounts[i] = events.Discount{ID: cmp.Or(d.ID, d.CouponID)}
	}
	s.Items = byID(s.Items)
	for i := range s.Items {
		it := &s.Items[i]
		it.ProductID, it.LookupKey, it.Nickname, it.MeterID = "", "", "", ""
		it.UnitAmount, it.UnitAmountDecimal = nil, ""
		it.BillingScheme, it.TiersMode, it.TaxBehavior = "", "", ""
	}
	return s
}

// core keeps what every API version renders.
func core(s *events.Subscription) events.Subscription {
	c := events.Subscription{
		ID: s.ID, Status: s.Status, CancelAt: s.CancelAt, CancelAtPeriodEnd: s.CancelAtPeriodEnd,
		CanceledAt: s.CanceledAt, EndedAt: s.EndedAt, TrialStart: s.TrialStart, TrialEnd: s.TrialEnd,
		CurrentPeriodStart: s.CurrentPeriodStart, CurrentPeriodEnd: s.CurrentPeriodEnd, Metadata: s.Metadata,
		DefaultPaymentMethodID: s.DefaultPaymentMethodID, LatestInvoiceID: s.LatestInvoiceID, PauseCollection: s.PauseCollection,
	}
	for _, it := range byID(s.Items) {
		c.Items = append(c.Items, events.Item{PriceID: it.PriceID, Quantity: it.Quantity})
	}
	return c
}

func byID(items []events.Item) []events.Item {
	return slices.SortedStableFunc(slices.Values(items), func(a, b events.Item) int { return cmp.Compare(a.ID, b.ID) })
}
