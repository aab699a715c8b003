package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/term"
)

// Report says why a request does not verify, or that it does. The names of its JSON fields do not change:
// programs read them.
type Report struct {
	Verifies     bool         `json:"verifies"` // the bridge would accept the signature now
	Cause        fault.Reason `json:"cause"`
	Verdict      string       `json:"verdict"`
	Secret       string       `json:"secret,omitempty"` // name of the secret that signed it
	SecretsTried []string     `json:"secrets_tried"`    // names of all secrets

	// From the signature header, if it has a time:
	SignedAt   string       `json:"signed_at,omitempty"`
	AgeSeconds *int64       `json:"age_seconds,omitempty"` // negative if it is in the future
	Clock      fault.Reason `json:"clock,omitempty"`       // Verified, stale or future, whatever the cause

	HeaderFaults   []string `json:"header_faults,omitempty"`
	Headers        []string `json:"headers,omitempty"`         // names only
	SimilarHeaders []string `json:"similar_headers,omitempty"` // they may be the signature header
	Alterations    []Change `json:"alterations,omitempty"`     // in the order in which they were made
	Body           Body     `json:"body"`
	Event          Event    `json:"event"`
	Advice         []string `json:"advice"`
	Notes          []string `json:"notes,omitempty"`

	settings                      Settings
	age                           time.Duration
	repeated, encoded, fromStripe bool
}

// WriteText writes the report for a person. On a terminal it wraps lines and highlights the verdict;
// otherwise each item is one line.
func (r Report) WriteText(out term.Printer) error {
	color := map[bool]term.Color{true: term.Green, false: term.Red}[r.Verifies]
	rows := []term.Row{{Text: r.Verdict, Color: color}, {}}
	rows = append(rows, row("event", r.Event.String()), row("body", fmt.Sprintf("%d bytes, %s", r.Body.Bytes, r.Body.Layout)))
	if r.SignedAt != "" {
		rows = append(rows, row("signed at", r.SignedAt+", "+r.ageText()+" (WEBHOOK_TOLERANCE is "+r.settings.Tolerance.String()+")"))
	}
	if r.Secret != "" {
		rows = append(rows, row("signed with", r.Secret))
	}
	rows = append(rows, row("secrets tried", strings.Join(r.SecretsTried, ", ")))
	if len(r.Headers) > 0 {
		rows = append(rows, row("headers", strings.Join(r.Headers, ", ")))
	}
	rows = append(rows, section("What to do", r.Advice)...)
	return out.Table(nil, append(rows, section("How the request was read", r.Notes)...))
}

func row(name, value string) term.Row {
	return term.Row{Prefix: fmt.Sprintf("  %-15s", name), Text: value}
}

func section(heading string, items []string) []term.Row {
	if len(items) == 0 {
		return nil
	}
	rows := []term.Row{{}, {Text: heading + ":", Color: term.Bold}}
	for _, item := range items {
		rows = append(rows, term.Row{Prefix: "  - ", Text: item})
	}
	return rows
}
