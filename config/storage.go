package config

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/secret"
)

// stripeHorizon is how long Stripe may send an event again: for 30 days on request, with retries
// for 3 more. A stream that forgets it earlier can no longer fill a gap.
const stripeHorizon = 34 * 24 * time.Hour

// shortest is the least that JetStream accepts as a stream's age or duplicate window.
const shortest = 100 * time.Millisecond

func stream(s *Stream, warnings *[]string) Settings {
	replicas := Setting{Env: "STREAM_REPLICAS", Default: "1", Meaning: "copies of the stream, 1 to 5", convert: number(&s.Replicas, 1, 5)}
	return append(Settings{streamName(s), replicas, stateView(s)}, streamLimits(s, warnings)...)
}

func streamName(s *Stream) Setting {
	return Setting{Env: "STREAM_NAME", Default: "BILLBUS", Meaning: "the JetStream stream", convert: name(&s.Name)}
}

func streamLimits(s *Stream, warnings *[]string) Settings {
	return Settings{
		{
			Env: "STREAM_MAX_AGE", Default: "0", Meaning: "how long messages are kept, 0 for ever; less than 34d gives a warning",
			convert: duration(&s.MaxAge, 0), check: func(r *reader) { s.checkAge(r, warnings) },
		},
		{Env: "STREAM_MAX_BYTES", Default: "-1", Meaning: "size of the stream in bytes, -1 for no limit; when it is full, publishing fails", convert: maxBytes(&s.MaxBytes)},
		{
			Env: "STREAM_DUPLICATE_WINDOW", Default: "72h", Meaning: "how long a repeated event id is recognized; STREAM_MAX_AGE if that is less",
			convert: duration(&s.DuplicateWindow, shortest), check: s.checkWindow,
		},
	}
}

func (s *Stream) checkAge(r *reader, warnings *[]string) {
	switch {
	case s.MaxAge > 0 && s.MaxAge < shortest:
		r.fault("STREAM_MAX_AGE", "must be 0 or at least %s", shortest)
	case s.MaxAge > 0 && s.MaxAge < stripeHorizon:
		*warnings = append(*warnings, "STREAM_MAX_AGE: below 34d: Stripe may send an event again for 30 days and retry it for 3, "+
			"so the stream forgets messages that may be repeated or needed again")
	}
}

func maxBytes(field *int64) func(value) {
	inRange := number(field, -1, math.MaxInt64)
	return func(v value) {
		if inRange(v); v.text == "0" {
			v.fault("must be -1 (no limit) or at least 1")
		}
	}
}

// checkWindow shortens the default to the stream's age: the server refuses a longer window.
func (s *Stream) checkWindow(r *reader) {
	if s.MaxAge <= 0 || s.DuplicateWindow <= s.MaxAge {
		return
	}
	if r.given["STREAM_DUPLICATE_WINDOW"] {
		r.fault("STREAM_DUPLICATE_WINDOW", "must not be longer than STREAM_MAX_AGE")
	}
	s.DuplicateWindow = s.MaxAge
}

func stateView(s *Stream) Setting {
	return Setting{
		Env: "STATE_VIEW", Default: "on", Words: []string{"on", "off"},
		Meaning: "keep records and access in the bucket BILLBUS_STATE, and publish changes of access (on), or neither (off)",
		convert: func(v value) {
			var text string
			word(&text)(v)
			s.StateView = text == "on"
		},
	}
}

func provision(field *string) Setting {
	return Setting{
		Env: "PROVISION", Default: "create", Words: []string{"create", "check"}, convert: word(field),
		Meaning: "create what is missing at start (create), or only report it (check): the bridge creates streams, the subscriber its consumer, collections and indexes",
	}
}

func consumer(consumer *string, inFlight, inFlightBytes *int) Settings {
	return Settings{
		consumerName(consumer),
		{Env: "MAX_IN_FLIGHT", Default: "1024", Meaning: "messages that are processed at once, 2 to 10000", convert: number(inFlight, 2, 10_000)},
		{Env: "MAX_IN_FLIGHT_BYTES", Default: "33554432", Meaning: "total size of the messages that are processed at once, 1048576 to 1073741824; a larger message is processed alone", convert: number(inFlightBytes, 1<<20, 1<<30)},
	}
}

func consumerName(field *string) Setting {
	return Setting{Env: "CONSUMER_NAME", Default: "billbus-subscriber", Meaning: "the durable consumer", convert: name(field)}
}

func mongo(m *Mongo) Settings {
	return Settings{
		{Env: "MONGODB_URI", Default: "mongodb://127.0.0.1:27017", Meaning: "the MongoDB server or replica set", convert: mongoURI(&m.URI), check: m.oneDatabase},
		{Env: "MONGODB_URI_FILE", Value: "FILE", Meaning: "file with the URI"},
		database(&m.Database),
	}
}

func mongoURI(field *secret.Text) func(value) {
	return func(v value) {
		*field = secret.New(v.text)
		switch {
		case v.text == "":
			v.fault("must not be empty")
		case !strings.HasPrefix(v.text, "mongodb://") && !strings.HasPrefix(v.text, "mongodb+srv://"):
			v.fault("must begin with mongodb:// or mongodb+srv://")
		}
	}
}

// oneDatabase refuses a URI with another database. It does not say which: an unescaped
// password can be in its place.
func (m *Mongo) oneDatabase(r *reader) {
	_, rest, _ := strings.Cut(m.URI.Reveal(), "://")
	_, path, _ := strings.Cut(rest[strings.LastIndex(rest, "@")+1:], "/")
	if path, _, _ = strings.Cut(path, "?"); path != "" && path != m.Database {
		r.fault("MONGODB_URI", "has another database than MONGODB_DATABASE (%s) after its hosts: "+
			"leave it out, or set MONGODB_DATABASE to it; for a login, add ?authSource=NAME instead", quote(m.Database))
	}
}

func database(field *string) Setting {
	return Setting{Env: "MONGODB_DATABASE", Default: "billbus", Meaning: "database for records and audit trail", convert: func(v value) {
		*field = v.text
		if !matches(`[A-Za-z0-9_-]{1,63}`, v.text) {
			v.fault("must be 1 to 63 letters, digits, _ or -, not %s", quote(v.text))
		} else if slices.Contains([]string{"admin", "config", "local"}, v.text) {
			v.fault("must not be one of MongoDB's own databases (%s)", v.text)
		}
	}}
}

// auditRetention refuses to forget what Stripe may still send again: it would count as new.
func auditRetention(field *time.Duration) Setting {
	return Setting{
		Env: "AUDIT_RETENTION", Default: "0",
		Meaning: "how long events are kept in the audit trail, 0 for ever, or at least 34d; events that a record depends on are always kept",
		convert: duration(field, 0), check: func(r *reader) {
			if *field > 0 && *field < stripeHorizon {
				r.fault("AUDIT_RETENTION", "must be 0 (keep) or at least 34d: Stripe may send an event again for 30 days and retry it for 3")
			}
		},
	}
}

func logging(l *Log) Settings {
	var level string
	return Settings{
		{Env: "LOG_LEVEL", Default: "info", Words: []string{"debug", "info", "warn", "error"}, Meaning: "debug, info, warn or error", convert: func(v value) {
			word(&level)(v)
			_ = l.Level.UnmarshalText([]byte(level)) // a wrong one is a fault already
		}},
		{Env: "LOG_FORMAT", Shown: "text on a terminal, else json", Words: []string{"json", "text"}, Meaning: "json or text", convert: word(&l.Format)},
	}
}

func shutdown(field *time.Duration) Setting {
	return Setting{Env: "SHUTDOWN_TIMEOUT", Default: "20s", Meaning: "how long work in progress may take to finish when the program stops", convert: duration(field, positive)}
}
