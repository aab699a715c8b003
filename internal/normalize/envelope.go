package normalize

import (
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// Seconds of the years 1 to 9999: what RFC 3339, and so JSON, can write. The
// first second of year 1 is Go's zero time, which means "not set".
const (
	minUnix = -62135596800 + 1
	maxUnix = 253402300799
)

// envelope is what stands around the object that an event is about.
type envelope struct {
	id, kind string
	// thin events name their object and do not hold it.
	thin     bool
	version  string
	account  string
	livemode bool
	created  time.Time
	// object is data.object, of any kind.
	object value
	// previous are data.previous_attributes.
	previous value
	// subject is the id of the object; "" if that is no object or has no id.
	subject string
}

// readEnvelope checks the little that makes JSON a Stripe event, and reads what
// else it finds.
func readEnvelope(body value, s *sink) (envelope, error) {
	if !body.isObject() {
		return envelope{}, notEvent("not an object")
	}
	r := s.reader(body, "")
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
	env.readSubject(r)
	return env, nil
}

// created is an integer; a string of digits has been recorded, too. Thin events
// write RFC 3339.
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

// account is the connected account. Thin events keep it in context, behind its
// organization if it has one, events of API versions before 2017 in user_id.
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

// livemode has been recorded as a string, too. What cannot be read is test
// mode: that way nobody is given access by mistake.
func livemode(r reader) bool {
	if text, ok := r.get("livemode").text(); ok && (text == "true" || text == "false") {
		return text == "true"
	}
	live := r.flag("livemode")
	return live != nil && *live
}

func (e *envelope) readSubject(r reader) {
	if e.thin {
		related, _ := r.child("related_object")
		e.subject = related.text("id")
		return
	}
	data, _ := r.child("data")
	e.object = data.get("object")
	e.previous = previousAttributes(data)
	id := set(e.object.get("id"))
	if !id.exists() {
		return
	}
	var ok bool
	if e.subject, ok = id.text(); !ok {
		r.fault("data.object.id", "not a string")
	}
}

// previousAttributes may be an empty array where PHP wrote the JSON anew.
func previousAttributes(data reader) value {
	previous := data.get("previous_attributes")
	if !previous.isObject() && !previous.isEmpty() && previous.exists() {
		data.fault("previous_attributes", "not an object")
	}
	return previous
}

// notBlank leaves out what readers of CloudEvents refuse in an attribute.
func notBlank(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return s
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
			Origin:        r.Origin,
			ReceivedAt:    r.ReceivedAt.UTC().Truncate(time.Millisecond),
		},
	}
}

// eventID makes the Dashboard's test sends different events: their id is all
// zeros, and every one after the first would count as a repetition. A blank id,
// which CloudEvents readers refuse, becomes its hash.
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

// envelopeKeys are the keys without which an event cannot be placed.
func envelopeKeys() []string {
	return []string{
		"account", "api_version", "context", "created", "data", "id", "livemode",
		"object", "previous_attributes", "related_object", "type", "user_id",
	}
}
