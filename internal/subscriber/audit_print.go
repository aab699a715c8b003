package subscriber

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/internal/verify"
)

// printJSON prints a line for each event and gap, and a summary as the last line.
func (l eventList) printJSON(out io.Writer) error {
	line := term.JSONLines(out)
	gaps := 0
	for _, e := range l.events {
		for _, gap := range e.gaps {
			if err := line(gap); err != nil {
				return err
			}
		}
		if err := line(e); err != nil {
			return err
		}
		gaps += len(e.gaps)
	}
	return line(struct {
		Kind   string `json:"kind"`
		Events int    `json:"events"`
		Gaps   int    `json:"gaps"`
		More   bool   `json:"more"`
	}{"summary", len(l.events), gaps, l.more})
}

// print prints the events as a table. Each row is complete if the width has no limit.
func (l eventList) print(out term.Printer) error {
	var notes []string
	if l.more {
		notes = append(notes, fmt.Sprintf("These are the newest %d events; a higher --limit shows older ones.", len(l.events)))
	}
	header, rows := wideHeader(), l.wideRows()
	if out.Width > 0 {
		notes = append(notes, "--wide shows everything about each event in its row.")
		header, rows = narrowHeader(), l.narrowRows(complete)
		if !out.Fits(header, rows) {
			rows = l.narrowRows(shortID)
		}
	}
	switch {
	case len(l.events) == 0:
		return out.Text("no matching events")
	case len(notes) == 0:
		return out.Table(header, rows)
	}
	return errors.Join(out.Table(header, rows), out.Text(""), out.Text(strings.Join(notes, " ")))
}

func wideHeader() []string {
	return []string{"created", "event", "type", "subscription", "customer", "what happened", "outcome", "why"}
}

func (l eventList) wideRows() []term.Row {
	var rows []term.Row
	for _, e := range l.events {
		rows = append(rows, gapRows(e.gaps, " ")...)
		outcome := string(e.Word)
		if e.By != "" {
			outcome += " by " + e.By
		}
		rows = append(rows, term.Row{Color: color(e.Word), Cells: []string{
			e.Created.UTC().Format(time.RFC3339), e.ID, e.Type, e.Subscription, e.Customer, e.happened, outcome, e.Why,
		}})
	}
	return rows
}

// noteIndent puts a note below the event's id.
const noteIndent = "           "

func narrowHeader() []string { return []string{"UTC", "event", "type", "what happened", "outcome"} }

// narrowRows groups the events by day and, if there are several, by subscription.
func (l eventList) narrowRows(id func(string) string) []term.Row {
	var rows []term.Row
	heading, unexpected := "", l.unexpected()
	several := l.several()
	for i, e := range l.events {
		day := e.Created.UTC().Format(time.DateOnly)
		if several && e.Subscription != "" {
			day += " " + e.Subscription
		}
		if day != heading {
			heading = day
			rows = append(rows, term.Row{Text: heading, Color: term.Bold})
		}
		rows = append(rows, gapRows(e.gaps, noteIndent)...)
		rows = append(rows, term.Row{Color: color(e.Word), Cells: []string{
			e.Created.UTC().Format(time.TimeOnly), id(e.ID), strings.TrimPrefix(e.Type, "customer.subscription."),
			id(e.happened), string(e.Word),
		}})
		if unexpected[i] {
			rows = append(rows, term.Row{Text: e.Why, Prefix: noteIndent})
		}
	}
	return rows
}

// several reports whether the events name several subscriptions.
func (l eventList) several() bool {
	names := map[string]bool{}
	for _, e := range l.events {
		names[e.Subscription] = true
	}
	delete(names, "")
	return len(names) > 1
}

// unexpected reports for each event whether its outcome needs an explanation. It needs
// none if the next event of the subscription superseded it.
func (l eventList) unexpected() []bool {
	unexpected := make([]bool, len(l.events))
	next := map[string]string{}
	for i := len(l.events) - 1; i >= 0; i-- {
		e := l.events[i]
		if e.Word == verify.Recorded {
			continue
		}
		unexpected[i] = e.By == "" || e.By != next[e.Subscription]
		next[e.Subscription] = e.ID
	}
	return unexpected
}

func gapRows(gaps []auditGap, indent string) []term.Row {
	rows := make([]term.Row, len(gaps))
	for i, g := range gaps {
		rows[i] = term.Row{Text: fmt.Sprintf("gap: events are missing between %s and %s", g.After, g.Before), Prefix: indent, Color: term.Yellow}
	}
	return rows
}

func color(word verify.Word) term.Color {
	switch word {
	case verify.Won:
		return term.Green
	case verify.Ambiguous:
		return term.Yellow
	}
	return 0
}

func complete(text string) string { return text }

// longID matches an id of Stripe's, with its prefix and its end. What follows the prefix
// is longer than any word that a change is named with.
var longID = regexp.MustCompile(`\b((?:[a-z]+_)+)[A-Za-z0-9]{8,}([A-Za-z0-9]{6})\b`)

// shortID shortens the ids in a text: evt_1MowQVLkdIwHu7ixeraBm864 to evt_…aBm864.
func shortID(text string) string { return longID.ReplaceAllString(text, "$1…$2") }
