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

// ErrNotSubscription is what every error of [Normalizer.Snapshot] wraps.
var ErrNotSubscription = errors.New("not a Stripe subscription")

// Reading is what is known of an object besides its bytes.
type Reading struct {
	// Account is the connected account that was asked for it.
	Account string
	// Livemode is the mode that was asked; an object that says so itself counts.
	Livemode bool
	// APIVersion is the version in which Stripe answered.
	APIVersion string
	// At is when Stripe answered, by its own clock.
	At         time.Time
	Origin     events.Origin
	Reason     events.Reason
	ReceivedAt time.Time
}

// Snapshot makes the message of a subscription as it was read from Stripe's
// API: it says how the subscription stands, not that something happened.
//
// Of a mode or account that is not admitted the message says so in data.ignored
// and holds no subscription: it says nothing then, and cannot be encoded.
func (n *Normalizer) Snapshot(raw []byte, reading Reading) (events.Message, error) {
	s := new(sink)
	doc, err := parse(repair(raw, &s.warn))
	if err != nil {
		return events.Message{}, notSubscription(err.Error())
	}
	body, redactions := redact(doc, n.secrets)
	env, err := readSnapshot(s.reader(body, ""), body, reading)
	if err != nil {
		return events.Message{}, err
	}
	msg := env.message(Receipt{Origin: reading.Origin, ReceivedAt: reading.ReceivedAt})
	msg.Type = events.SubjectSnapshot
	msg.Data.Ignored = n.ignored(env)
	n.states(&msg.Data, env, s)
	msg.Data.Object, msg.Data.ReadAt, msg.Data.Reason = []byte(body.raw()), env.created, reading.Reason
	sum := sha256.Sum256(raw)
	msg.Data.EventSHA256 = hex.EncodeToString(sum[:])
	msg.Data.Redactions, msg.Data.Warnings = redactions, s.warn.list()
	if msg.ID, err = snapshotID(msg); err != nil {
		return events.Message{}, err
	}
	if msg.Data.Ignored != "" {
		msg.Data.Subscription, msg.Data.Identity = nil, nil
	}
	return msg, nil
}

// readSnapshot reads what stands around the object of an event: here it is
// known from the question.
func readSnapshot(r reader, body value, reading Reading) (envelope, error) {
	env := envelope{
		version: reading.APIVersion, account: reading.Account, livemode: reading.Livemode,
		created: reading.At.UTC().Truncate(time.Second), object: body, subject: r.text("id"),
	}
	switch {
	case r.text("object") != "subscription":
		return envelope{}, notSubscription("object is not subscription")
	case env.subject == "":
		return envelope{}, notSubscription("id is missing")
	case reading.At.IsZero():
		return envelope{}, notSubscription("when it was read is not known")
	}
	if r.has("livemode") {
		env.livemode = livemode(r)
	}
	return env, nil
}

// snapshotID is a function of what the snapshot says and of the second in which
// it was read, so that reading the same again within a second is one message.
func snapshotID(msg events.Message) (string, error) {
	state, err := json.Marshal(msg.Data.Subscription)
	if err != nil {
		return "", notSubscription("it holds a time that cannot be written")
	}
	h := sha256.New()
	for _, part := range []string{
		msg.Account(), msg.Mode(), msg.Subject, strconv.FormatInt(msg.Time.Unix(), 10), string(state),
	} {
		// With its length in front, no part can pass for two.
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "snap_" + hex.EncodeToString(h.Sum(nil))[:32], nil
}

func notSubscription(why string) error { return fmt.Errorf("%w: %s", ErrNotSubscription, why) }

// SnapshotEvent is the id of the event that says in full what a thin event only
// announces: both are Stripe's answer to one change. It is "" where the thin
// event names none.
// See https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events
func SnapshotEvent(thin json.RawMessage) string {
	body, err := parse(thin)
	if err != nil {
		return ""
	}
	r := new(sink).reader(body, "")
	if id := r.reference("snapshot_event"); id != "" {
		return id
	}
	data, _ := r.child("data")
	return data.reference("snapshot_event")
}
