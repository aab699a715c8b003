package normalize

import (
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// The years 1 to 9999 in Unix seconds: what RFC 3339, and therefore JSON, can
// write. The first second of year 1 is Go's zero time, which means "not set".
const (
	minUnix = -62135596800 + 1
	maxUnix = 253402300799
)

// envelope is what surrounds the object that an event is about.
type envelope struct {
	id, kind string
	thin     bool // it names its object and does not contain it
	version  string
	account  string
	given    bool // the event names no account, and its account is that of the receipt
	livemode bool
	created  time.Time
	object   value  // data.object, of any JSON type
	previous value  // data.previous_attributes
	subject  string // the object's id, or "" if it has none
}

// readEnvelope checks that the JSON has the few fields that make it a Stripe
// event, and reads the others if they are there.
func readEnvelope(in input) (envelope, error) {
	if !in.root.isObject() {
		return envelope{}, notEvent("not an object")
	}
	r := in.reader()
	form, _ := r.object.get("object").text()
	env := envelope{thin: form == "v2.core.event"}
	if form != "event" && !env.thin {
		return envelope{}, notEvent("object is not event")
	}
	if env.id = r.text("id"); env.id == "" {
		return envelope{}, notEvent("id is missing")
	}
	if env.kind = r.text("type"); env.kind == "" {
		return envelope{}, notEvent("type is missing")
	}
	var ok bool
	if env.created, ok = created(r.object.get("created"), env.thin); !ok {
		return envelope{}, notEvent("created is not a time")
	}
	env.version = r.text("api_version")
	env.account = account(r)
	env.livemode = livemode(r)
	env.readObject(r)
	return env, nil
}

// created is an integer. Some recorded events have a string of digits, and thin
// events use RFC 3339.
func created(v value, thin bool) (time.Time, bool) {
	if seconds, ok := seconds(v); ok {
		return time.Unix(seconds, 0).UTC(), minUnix <= seconds && seconds <= maxUnix
	}
	text, ok := v.text()
	if !thin || !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, text)
	t = t.UTC()
	return t, err == nil && minUnix <= t.Unix() && t.Unix() <= maxUnix
}

// belongsTo sets the account of an event that names none.
func (e *envelope) belongsTo(account string) {
	if e.account == "" && account != "" {
		e.account, e.given = account, true
	}
}

// account returns the account that the event names. Thin events and destinations
// of organizations have it in context, which is a path: after the organization if
// there is one, and after the platform if it is a connected account. API versions
// before 2017 have it in user_id.
// See https://docs.stripe.com/context
func account(r reader) string {
	if id := r.text("account"); id != "" {
		return id
	}
	parts := strings.Split(r.text("context"), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if strings.HasPrefix(parts[i], "acct_") {
			return parts[i]
		}
	}
	if id := r.text("user_id"); strings.HasPrefix(id, "acct_") {
		return id
	}
	return ""
}

// livemode accepts strings, which some recorded events have. A mode that cannot
// be read counts as test, which gives nobody access by mistake.
func livemode(r reader) bool {
	if text, ok := r.get("livemode").text(); ok && (text == "true" || text == "false") {
		return text == "true"
	}
	return r.isTrue("livemode")
}

func (e *envelope) readObject(r reader) {
	if e.thin {
		e.subject = r.child("related_object").text("id")
		return
	}
	data := r.child("data")
	e.object = data.get("object")
	e.previous = previousAttributes(data)
	id := set(e.object.get("id"))
	if !id.exists() {
		return
	}
	var ok bool
	if e.subject, ok = id.text(); !ok {
		r.warn("data.object.id", "not a string")
	}
}

// previousAttributes may be an empty array if PHP encoded the JSON again.
func previousAttributes(data reader) value {
	previous := data.get("previous_attributes")
	if !previous.isObject() && !previous.isEmpty() && previous.exists() {
		data.warn("previous_attributes", "not an object")
	}
	return previous
}

func (e *envelope) message(r Receipt) events.Message {
	return events.Message{
		SpecVersion:      events.SpecVersion,
		Source:           events.Source(e.livemode, e.account),
		Subject:          notBlank(e.subject),
		Time:             e.created,
		DataContentType:  events.DataContentType,
		StripeType:       e.kind,
		StripeAPIVersion: e.version,
		StripeAccount:    e.account,
		StripeEndpoint:   r.Endpoint,
		Livemode:         e.livemode,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion,
			Normalizer:    Rules,
			Origin:        r.Origin,
			ReceivedAt:    r.ReceivedAt.UTC().Truncate(time.Millisecond),
		},
	}
}

// notBlank drops a blank attribute, which CloudEvents readers refuse.
func notBlank(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return s
}

// eventID adds part of the hash to the id of a test event from the Dashboard:
// its digits are all zeros, so every test event after the first would count as a
// duplicate. A blank id, which CloudEvents readers refuse, becomes its hash.
func eventID(id, hash string) string {
	if strings.TrimSpace(id) == "" {
		return events.SafeID(id)
	}
	zeros, ok := strings.CutPrefix(id, "evt_")
	if !ok || zeros == "" || strings.Trim(zeros, "0") != "" {
		return id
	}
	return id + hash[:12]
}
