package bridge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/billbus/billbus/internal/stripehook"
)

// report is what Doctor prints; as JSON it is for machines, so names stay.
type report struct {
	Verifies bool     `json:"verifies"` // and would be accepted now
	Cause    string   `json:"cause"`
	Verdict  string   `json:"verdict"`
	Secret   string   `json:"secret,omitempty"` // name of the one that signed it
	Tried    []string `json:"secrets_tried"`
	// Where the header tells:
	SignedAt   string `json:"signed_at,omitempty"`
	AgeSeconds *int64 `json:"age_seconds,omitempty"` // negative: in the future
	Clock      string `json:"clock,omitempty"`       // verified, stale or future, also if something else is wrong first

	HeaderFaults []string        `json:"header_faults,omitempty"`
	Headers      []string        `json:"headers,omitempty"` // names only
	Lookalikes   []string        `json:"similar_headers,omitempty"`
	Alterations  []alterationRow `json:"alterations,omitempty"`
	Body         bodyRow         `json:"body"`
	Event        eventRow        `json:"event"`
	Advice       []string        `json:"advice"`
	Notes        []string        `json:"notes,omitempty"`

	clockText string
}

type alterationRow struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

type bodyRow struct {
	Bytes  int    `json:"bytes"`
	Layout string `json:"layout"`
	text   string
}

type eventRow struct {
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Object   string `json:"object,omitempty"`
	Account  string `json:"account,omitempty"`
	Livemode *bool  `json:"livemode,omitempty"`
}

func newReport(d stripehook.Diagnosis, livemode string, notes []string) report {
	e := d.Body.Event
	r := report{
		Verifies: d.Cause == stripehook.CauseVerified, Cause: string(d.Cause), Verdict: verdict(d),
		Secret: d.Key, Tried: d.Tried, HeaderFaults: d.HeaderFaults, Headers: d.Headers, Lookalikes: d.Lookalikes,
		Body:   bodyRow{Bytes: d.Body.Size, Layout: string(d.Body.Layout), text: d.Body.Layout.String()},
		Event:  eventRow{ID: e.ID, Type: e.Type, Object: e.Object, Account: e.Account},
		Advice: advise(d, livemode), Notes: notes,
	}
	if e.Livemode != "" {
		live := e.Livemode == "true"
		r.Event.Livemode = &live
	}
	for _, change := range d.Changes {
		r.Alterations = append(r.Alterations, alterationRow{string(change.Kind), change.Text})
	}
	if !d.SignedAt.IsZero() {
		seconds := int64(d.Age / time.Second)
		r.SignedAt, r.AgeSeconds, r.Clock = d.SignedAt.Format(time.RFC3339), &seconds, string(d.Clock())
		r.clockText = r.SignedAt + ", " + age(d) + " (WEBHOOK_TOLERANCE is " + d.Tolerance.String() + ")"
	}
	return r
}

// age says when it was signed, seen from now.
func age(d stripehook.Diagnosis) string {
	if d.Age < 0 {
		return (-d.Age).Round(time.Second).String() + " in the future"
	}
	return d.Age.Round(time.Second).String() + " ago"
}

func (r report) writeJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

func (r report) writeText(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Verdict)
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(rows, "  %s\t%s\n", name, value)
		}
	}
	row("event", r.Event.String())
	row("body", fmt.Sprintf("%d bytes, %s", r.Body.Bytes, r.Body.text))
	row("signed", r.clockText)
	row("by secret", r.Secret)
	row("secrets tried", strings.Join(r.Tried, ", "))
	row("headers", strings.Join(r.Headers, ", "))
	_ = rows.Flush() // a strings.Builder takes everything
	bullets(&b, "What to do", r.Advice)
	bullets(&b, "About what was read", r.Notes)
	_, err := io.WriteString(out, b.String())
	return err
}

func (e eventRow) String() string {
	parts := []string{cmp.Or(e.ID, "(no id)"), cmp.Or(e.Type, "(no type)")}
	if e.ID == "" && e.Type == "" {
		parts = []string{"cannot be told from the body"}
	}
	if e.Livemode != nil {
		parts = append(parts, fmt.Sprintf("livemode %t", *e.Livemode))
	}
	if e.Account != "" {
		parts = append(parts, "account "+e.Account)
	}
	return strings.Join(parts, ", ")
}

func bullets(b *strings.Builder, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", heading)
	for _, line := range lines {
		fmt.Fprintf(b, "  - %s\n", line)
	}
}
