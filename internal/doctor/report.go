package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billbus/billbus/internal/fault"
)

// Report says why a request does not verify, or that it does. The names of its
// JSON fields do not change: programs read them.
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
	SimilarHeaders []string `json:"similar_headers,omitempty"` // those that may be the signature header under another name
	Alterations    []Change `json:"alterations,omitempty"`     // in the order in which they were made
	Body           Body     `json:"body"`
	Event          Event    `json:"event"`
	Advice         []string `json:"advice"`
	Notes          []string `json:"notes,omitempty"`

	settings                      Settings
	age                           time.Duration
	repeated, encoded, fromStripe bool
}

// WriteJSON writes the report as one line.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteText writes the report for a person. On a terminal it wraps lines and
// highlights the verdict; otherwise each item is one line.
func (r Report) WriteText(w io.Writer, terminal bool) error {
	p := &printer{terminal: terminal}
	color := red
	if r.Verifies {
		color = green
	}
	p.highlight(color, func() { p.item("", r.Verdict) })
	p.WriteString("\n")
	p.row("event", r.Event.String())
	p.row("body", fmt.Sprintf("%d bytes, %s", r.Body.Bytes, r.Body.Layout))
	if r.SignedAt != "" {
		p.row("signed at", r.SignedAt+", "+r.ageText()+" (WEBHOOK_TOLERANCE is "+r.settings.Tolerance.String()+")")
	}
	p.row("signed with", r.Secret)
	p.row("secrets tried", strings.Join(r.SecretsTried, ", "))
	p.row("headers", strings.Join(r.Headers, ", "))
	p.section("What to do", r.Advice)
	p.section("How the request was read", r.Notes)
	_, err := io.WriteString(w, p.String())
	return err
}

// printer formats text. Its width is that of the narrowest usual terminal, and
// the length at which text reads well on a wide one.
type printer struct {
	strings.Builder
	terminal bool
}

const (
	width = 80
	bold  = "\x1b[1m"
	red   = "\x1b[1;31m"
	green = "\x1b[1;32m"
	reset = "\x1b[0m"
)

func (p *printer) highlight(style string, write func()) {
	if !p.terminal {
		write()
		return
	}
	p.WriteString(style)
	write()
	p.WriteString(reset)
}

// item writes a text after a prefix. Lines that are wrapped align with the first.
func (p *printer) item(prefix, text string) {
	p.WriteString(prefix)
	indent := utf8.RuneCountInString(prefix)
	column := indent
	for i, word := range strings.Fields(text) {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case p.terminal && column+1+length > width:
			p.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			p.WriteString(" ")
			column++
		}
		p.WriteString(word)
		column += length
	}
	p.WriteString("\n")
}

func (p *printer) row(name, value string) {
	if value != "" {
		p.item(fmt.Sprintf("  %-15s", name), value)
	}
}

func (p *printer) section(heading string, items []string) {
	if len(items) == 0 {
		return
	}
	p.highlight(bold, func() { p.WriteString("\n" + heading + ":\n") })
	for _, item := range items {
		p.item("  - ", item)
	}
}
