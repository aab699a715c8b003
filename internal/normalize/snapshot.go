package normalize

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/billbus/billbus/events"
)

// ErrNotSnapshot is wrapped by every error of [Normalizer.Snapshot].
var ErrNotSnapshot = errors.New("not a Stripe subscription, summary of entitlements, customer, product or price")

// Reading is what is known about an object read from Stripe's API, apart from its
// bytes.
type Reading struct {
	// Account is the connected account that it was read from.
	Account string
	// Livemode is the mode of the request. It applies only if the object does
	// not have a mode of its own.
	Livemode bool
	// APIVersion is the version of Stripe's answer.
	APIVersion string
	// At is when Stripe answered, by Stripe's clock.
	At     time.Time
	Origin events.Origin
	Reason events.Reason
	// BecauseOf is the id of the message for which it was read, or "".
	BecauseOf  string
	ReceivedAt time.Time
}

// Snapshot makes the message of a subscription, a summary of a customer's entitlements, a
// customer, a product or a price that was read from Stripe's API. It says what the object is at that
// moment, not that something happened.
//
// If the mode or account is not admitted, data.ignored says so, and the message has
// nothing that was read from the object. It must not be published.
func (n *Normalizer) Snapshot(raw []byte, reading Reading) (events.Message, error) {
	in, err := n.input(raw)
	if err != nil {
		return events.Message{}, notSnapshot(err.Error())
	}
	env, err := readSnapshot(in, reading)
	if err != nil {
		return events.Message{}, err
	}
	msg := env.message(Receipt{Origin: reading.Origin, ReceivedAt: reading.ReceivedAt})
	msg.Type = snapshotSubjects[kindOf(env.object)]
	msg.Data.Ignored = n.ignored(env)
	n.setRead(&msg.Data, env, in.warnings)
	msg.Data.Object, msg.Data.ReadAt = []byte(in.root.raw()), env.created
	msg.Data.Reason, msg.Data.BecauseOf = reading.Reason, reading.BecauseOf
	in.describe(&msg.Data)
	if msg.ID, err = snapshotID(msg); err != nil {
		return events.Message{}, err
	}
	if msg.Data.Ignored != "" {
		setObjects(&msg.Data, events.Data{})
	}
	return msg, nil
}

// snapshotSubjects are the subjects of the kinds of objects that can be read.
var snapshotSubjects = map[string]string{
	"subscription":             events.SubjectSnapshot,
	events.EntitlementsSummary: events.SubjectEntitlementsSnapshot,
	"customer":                 events.SubjectCustomerSnapshot,
	"product":                  events.SubjectProductSnapshot,
	"price":                    events.SubjectPriceSnapshot,
}

// setRead sets what the object of a snapshot says.
func (n *Normalizer) setRead(data *events.Data, env envelope, warnings *notes) {
	r := reader{env.object, "", warnings}
	switch kindOf(env.object) {
	case "subscription":
		n.setSubscription(data, env, warnings)
	case events.EntitlementsSummary:
		data.Entitlements = entitlements(r)
	case "customer":
		data.Customer = customer(r, env, false)
		data.Identity = n.customerIdentity(data.Customer)
	case "product":
		data.Product = product(r, env, false)
	case "price":
		data.Price = price(r, r, reader{}, env, false)
	}
}

// setObjects sets what was read from the object of a snapshot.
func setObjects(data *events.Data, read events.Data) {
	data.Subscription, data.Identity, data.Entitlements = read.Subscription, read.Identity, read.Entitlements
	data.Customer, data.Product, data.Price = read.Customer, read.Product, read.Price
}

func kindOf(object value) string {
	kind, _ := object.get("object").text()
	return kind
}

// readSnapshot makes the envelope, which an event has around its object, from
// what is known about the request.
func readSnapshot(in input, reading Reading) (envelope, error) {
	r := in.reader()
	env := envelope{
		version: reading.APIVersion, account: reading.Account, livemode: reading.Livemode,
		created: reading.At.UTC().Truncate(time.Second), object: in.root, subject: r.text("id"),
	}
	kind := kindOf(in.root)
	if kind == events.EntitlementsSummary { // which has no id
		env.subject = r.reference("customer")
	}
	switch {
	case snapshotSubjects[kind] == "":
		return envelope{}, notSnapshot("object is another one")
	case env.subject == "":
		return envelope{}, notSnapshot("id or customer is missing")
	case reading.At.IsZero():
		return envelope{}, notSnapshot("the time of Stripe's answer is missing")
	}
	if r.has("livemode") {
		env.livemode = livemode(r)
	}
	return env, nil
}

// snapshotID depends on the state and on the second in which it was read, so
// reading the same state twice within a second, because of the same message, makes one
// message. In an import it depends on the state only, so importing it again makes none.
func snapshotID(msg events.Message) (string, error) {
	state, err := json.Marshal(stateIn(msg.Data))
	if err != nil {
		return "", notSnapshot("it has a time that JSON cannot write")
	}
	when := strconv.FormatInt(msg.Time.Unix(), 10)
	if msg.Data.Reason == events.ReasonImport {
		when = string(events.ReasonImport)
	}
	parts := []string{msg.Account(), msg.Mode(), msg.Subject, when, string(state)}
	if msg.Data.BecauseOf != "" {
		parts = append(parts, msg.Data.BecauseOf)
	}
	return "snap_" + digest(parts...), nil
}

func stateIn(d events.Data) any {
	switch {
	case d.Entitlements != nil:
		return d.Entitlements
	case d.Customer != nil:
		return d.Customer
	case d.Product != nil:
		return d.Product
	case d.Price != nil:
		return d.Price
	}
	return d.Subscription
}

// digest returns 32 hex digits that depend on all parts.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		// The length in front keeps adjacent parts apart.
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

func notSnapshot(why string) error { return fmt.Errorf("%w: %s", ErrNotSnapshot, why) }

// Context returns the context of an event: the path to its account, as the API key of
// an organization needs it.
func Context(event json.RawMessage) string {
	body, err := parse(event)
	if err != nil {
		return ""
	}
	defer body.doc.release()
	return reader{object: body, warnings: new(notes)}.text("context")
}

// SnapshotEvent returns the id of the snapshot event that Stripe created for the
// same change as a thin event, or "" if the thin event does not name one.
// See https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events
func SnapshotEvent(thin json.RawMessage) string {
	body, err := parse(thin)
	if err != nil {
		return ""
	}
	defer body.doc.release()
	r := reader{object: body, warnings: new(notes)}
	if id := r.reference("snapshot_event"); id != "" {
		return id
	}
	return r.child("data").reference("snapshot_event")
}
