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

// WriteJSON writes the report as one line.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteText writes the report for a person. On a terminal it wraps lines and highlights the verdict;
// otherwise each item is one line.
func (r Report) WriteText(w io.Writer, terminal bool) error {
	p := &printer{terminal: terminal}
	color := map[bool]string{true: green, false: red}[r.Verifies]
	p.line(p.style(color, p.wrap("", r.Verdict)) + "\n")
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

// width is that of a usual terminal, and the length of a line that reads well.
const width = 80

const (
	bold  = "\x1b[1m"
	red   = "\x1b[1;31m"
	green = "\x1b[1;32m"
	reset = "\x1b[0m"
)

type printer struct {
	strings.Builder
	terminal bool
}

func (p *printer) line(text string) { p.WriteString(text + "\n") }

func (p *printer) style(style, text string) string {
	if !p.terminal {
		return text
	}
	return style + text + reset
}

func (p *printer) row(name, value string) {
	if value != "" {
		p.line(p.wrap(fmt.Sprintf("  %-15s", name), value))
	}
}

func (p *printer) section(heading string, items []string) {
	if len(items) > 0 {
		p.line("\n" + p.style(bold, heading+":"))
	}
	for _, item := range items {
		p.line(p.wrap("  - ", item))
	}
}

// wrap puts a prefix before a text. Further lines are indented as far.
func (p *printer) wrap(prefix, text string) string {
	if !p.terminal {
		return prefix + text
	}
	var lines []string
	line := prefix
	for i, word := range strings.Fields(text) {
		if i > 0 && utf8.RuneCountInString(line+" "+word) > width {
			lines = append(lines, line)
			line = strings.Repeat(" ", len(prefix)) + word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
