package config

import (
	"slices"
	"strconv"
	"strings"
)

// SubscriberDLQList returns the settings of "subscriber dlq list", bound to c.
func SubscriberDLQList(c *Subscriber) Settings {
	d := &c.DeadLetters
	return slices.Concat(
		d.filters("100"), Settings{{Flag: "json", NoValue: "true", Meaning: "print each letter, and a summary last, as a line of JSON", convert: onOff(&d.JSON)}},
		nats(&c.NATS), logging(&c.Log),
	)
}

// SubscriberDLQShow returns the settings of "subscriber dlq show", bound to c.
func SubscriberDLQShow(c *Subscriber) Settings {
	d := &c.DeadLetters
	one := d.sequences("SEQ")
	one.check = func(r *reader) {
		if len(d.Sequences) > 1 {
			r.fault(one.Flag, "give one")
		}
	}
	return slices.Concat(
		Settings{
			one,
			{Flag: "payload", NoValue: "true", Meaning: "print the payload instead, which can contain personal data", convert: onOff(&d.Payload)},
			{Flag: "json", NoValue: "true", Meaning: "print a line of JSON; with --payload, the payload is in it", convert: onOff(&d.JSON)},
		},
		nats(&c.NATS), logging(&c.Log),
	)
}

// SubscriberDLQRedrive returns the settings of "subscriber dlq redrive", bound to c.
func SubscriberDLQRedrive(c *Subscriber) Settings {
	d := &c.DeadLetters
	sequences := d.sequences("SEQ…")
	sequences.Required, sequences.check = "", d.sequencesOrAll
	return slices.Concat(
		Settings{sequences, {Flag: "all", NoValue: "true", Meaning: "apply all letters of CONSUMER_NAME, or those that the next options select", convert: onOff(&d.All)}},
		d.filters(""), Settings{d.by(), d.resultsAsJSON()},
		nats(&c.NATS), Settings{streamName(&c.Stream), stateView(&c.Stream)},
		consumer(&c.ConsumerName, &c.MaxInFlight, &c.MaxBytes)[:1], mongo(&c.Mongo), logging(&c.Log),
	)
}

// SubscriberDLQDiscard returns the settings of "subscriber dlq discard", bound to c.
func SubscriberDLQDiscard(c *Subscriber) Settings {
	d := &c.DeadLetters
	return slices.Concat(
		Settings{
			d.sequences("SEQ…"),
			{Flag: "yes", NoValue: "true", Meaning: "do not ask; required if standard input is not a terminal", convert: onOff(&d.Yes)},
			d.by(), d.resultsAsJSON(),
		},
		nats(&c.NATS), mongo(&c.Mongo), logging(&c.Log),
	)
}

// sequences are the letters that the words of the command line name.
func (d *DeadLetters) sequences(called string) Setting {
	return Setting{
		Flag: called, Argument: true, Required: "the sequence of a letter, as dlq list shows it", Meaning: "sequences of letters, as dlq list shows them",
		convert: func(v value) {
			for _, word := range strings.FieldsFunc(v.text, func(r rune) bool { return r == ' ' || r == ',' }) {
				n, err := strconv.ParseInt(word, 10, 64)
				if err != nil || n < 1 {
					v.fault("must be sequences of letters, as dlq list shows them: whole numbers from 1")
					return
				}
				if !slices.Contains(d.Sequences, uint64(n)) {
					d.Sequences = append(d.Sequences, uint64(n))
				}
			}
		},
	}
}

// filters select letters.
func (d *DeadLetters) filters(limit string) Settings {
	return Settings{
		{Flag: "code", Value: "CODE", Meaning: "letters for a reason like unreadable or panic", convert: text(&d.Code)},
		{Flag: "subject", Value: "SUBJECT", Meaning: "letters of messages on a subject, which can have wildcards, like subscription.*", convert: subjectPattern(&d.Subject)},
		{Flag: "since", Value: "TIME", Meaning: "letters stored since then: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, like 2h or 7d", convert: moment(&d.Since)},
		{Flag: "until", Value: "TIME", Meaning: "letters stored until then", convert: moment(&d.Until)},
		{Flag: "limit", Value: "N", Default: limit, Meaning: "letters at most, the newest", convert: number(&d.Limit, 1, 1_000_000)},
	}
}

func subjectPattern(field *string) func(value) {
	return func(v value) {
		if *field = v.text; !matches(`[^\s.]+(\.[^\s.]+)*`, v.text) {
			v.fault("must be words between dots; * is any word, and > at the end any words")
		}
	}
}

func (d *DeadLetters) by() Setting {
	return Setting{Flag: "by", Value: "NAME", Meaning: "who does it, for the record (default: user@host)", convert: text(&d.By)}
}

func (d *DeadLetters) resultsAsJSON() Setting {
	return Setting{Flag: "json", NoValue: "true", Meaning: "print what happened to each letter, and a summary last, as a line of JSON", convert: onOff(&d.JSON)}
}

func (d *DeadLetters) sequencesOrAll(r *reader) {
	filtered := d.Code != "" || d.Subject != "" || d.Since != Moment{} || d.Until != Moment{} || d.Limit != 0
	switch {
	case d.All && d.Sequences != nil:
		r.fault("SEQ…, --all", "give one of the two")
	case !d.All && filtered:
		r.fault("--code, --subject, --since, --until, --limit", "need --all")
	case !d.All && !r.given["SEQ…"]:
		r.fault("SEQ…", "required, or --all: the sequences of letters, as dlq list shows them")
	}
}
