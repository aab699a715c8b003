package config

import (
	"cmp"
	"strconv"
	"time"
)

// Verify says what "subscriber verify" does with what it finds.
type Verify struct {
	Fix  bool // write what the audit trail says
	JSON bool // print a line of JSON for each finding
}

// Replay says what of the stream "subscriber replay" reads once more.
type Replay struct {
	FromSequence uint64 // 0: not by sequence
	FromTime     Moment // zero: not by time
	Rate         int    // messages a second; 0 is no limit
	Restart      bool   // forget one that was interrupted
	JSON         bool   // print the summary as JSON
}

// Audit says which events "subscriber audit" shows.
type Audit struct {
	Subscription, Customer, User, Event, Type string
	Since, Until                              Moment
	Limit                                     int
	Payload                                   string // the event whose payload is to be printed; alone
	JSON                                      bool
	Wide                                      bool // print complete rows, however wide
}

const defaultLimit = 100

// Moment is a time, or so long before now; the zero Moment is neither.
type Moment struct {
	At   time.Time
	Ago  time.Duration
	Text string // as it was given
}

// Time is the moment as seen at now; the zero Time for the zero Moment.
func (m Moment) Time(now time.Time) time.Time {
	if m.Ago != 0 {
		return now.Add(-m.Ago)
	}
	return m.At
}

func (r *reader) replay() Replay {
	p := Replay{
		FromSequence: uint64(r.count("from-sequence", 1<<62)), FromTime: r.moment("from-time"),
		Rate: int(r.count("rate", 1_000_000)), Restart: r.switched("restart"), JSON: r.switched("json"),
	}
	if r.switched("from-sequence") && r.switched("from-time") {
		r.complain("--from-sequence, --from-time: give one of the two")
	}
	return p
}

func (r *reader) audit() Audit {
	a := Audit{
		Subscription: r.options["subscription"], Customer: r.options["customer"], User: r.options["user"],
		Event: r.options["event"], Type: r.options["type"],
		Since: r.moment("since"), Until: r.moment("until"), Limit: int(r.count("limit", 100_000)), JSON: r.switched("json"),
	}
	payload := r.options["payload"]
	if payload != "" && a != (Audit{JSON: a.JSON}) {
		r.complain("--payload: stands alone")
	}
	a.Payload, a.Limit = payload, cmp.Or(a.Limit, defaultLimit)
	return a
}

// switched says whether an option was given.
func (r *reader) switched(name string) bool { return r.options[name] != "" }

// count reads an option that is a whole number from 1; 0 where it was not given.
func (r *reader) count(name string, most int64) int64 {
	text, ok := r.options[name]
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		r.complain("--%s: must be a whole number from 1 to %d, not %s", name, most, quote(text))
	}
	return n
}

// moment reads an option that is a time or a duration before now.
func (r *reader) moment(name string) Moment {
	text, ok := r.options[name]
	if !ok {
		return Moment{}
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			return Moment{At: at.UTC(), Text: text}
		}
	}
	ago, err := parseDuration(text)
	if err != nil || ago <= 0 {
		r.complain("--%s: must be a time like 2026-01-31 or 2026-01-31T12:00:00Z, or how long ago, like 36h or 7d, not %s", name, quote(text))
	}
	return Moment{Ago: ago, Text: text}
}
