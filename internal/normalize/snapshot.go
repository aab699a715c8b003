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
var ErrNotSnapshot = errors.New("not a Stripe subscription or summary of entitlements")

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

// Snapshot makes the message of a subscription, or of a summary of a customer's
// entitlements, that was read from Stripe's API. It says what the object is at that
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
	msg.Type = events.SubjectSnapshot
	if isSummary(env.object) {
		msg.Type = events.SubjectEntitlementsSnapshot
	}
	msg.Data.Ignored = n.ignored(env)
	n.setRead(&msg.Data, env, in.warnings)
	msg.Data.Object, msg.Data.ReadAt = []byte(in.root.raw()), env.created
	msg.Data.Reason, msg.Data.BecauseOf = reading.Reason, reading.BecauseOf
	in.describe(&msg.Data)
	if msg.ID, err = snapshotID(msg); err != nil {
		return events.Message{}, err
	}
	if msg.Data.Ignored != "" {
		msg.Data.Subscription, msg.Data.Identity, msg.Data.Entitlements = nil, nil, nil
	}
	return msg, nil
}

// setRead sets what the object of a snapshot says.
func (n *Normalizer) setRead(data *events.Data, env envelope, warnings *notes) {
	if !isSummary(env.object) {
		n.setSubscription(data, env, warnings)
		return
	}
	data.Entitlements = entitlements(reader{env.object, "", warnings})
}

func isSummary(object value) bool {
	kind, _ := object.get("object").text()
	return kind == events.EntitlementsSummary
}

// readSnapshot makes the envelope, which an event has around its object, from
// what is known about the request.
func readSnapshot(in input, reading Reading) (envelope, error) {
	r := in.reader()
	env := envelope{
		version: reading.APIVersion, account: reading.Account, livemode: reading.Livemode,
		created: reading.At.UTC().Truncate(time.Second), object: in.root, subject: r.text("id"),
	}
	summary := isSummary(in.root)
	if summary { // which has no id
		env.subject = r.reference("customer")
	}
	switch {
	case !summary && r.text("object") != "subscription":
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
// message.
func snapshotID(msg events.Message) (string, error) {
	state, err := json.Marshal(msg.Data.Subscription)
	if msg.Data.Entitlements != nil {
		state, err = json.Marshal(msg.Data.Entitlements)
	}
	if err != nil {
		return "", notSnapshot("it has a time that JSON cannot write")
	}
	parts := []string{msg.Account(), msg.Mode(), msg.Subject, strconv.FormatInt(msg.Time.Unix(), 10), string(state)}
	if msg.Data.BecauseOf != "" {
		parts = append(parts, msg.Data.BecauseOf)
	}
	return "snap_" + digest(parts...), nil
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
	r := reader{object: body, warnings: new(notes)}
	if id := r.reference("snapshot_event"); id != "" {
		return id
	}
	return r.child("data").reference("snapshot_event")
}
