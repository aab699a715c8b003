package subscriber

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/internal/verify"
)

// Audit prints events of the audit trail, what became of each, and where some are
// missing.
func Audit(ctx context.Context, cfg config.Subscriber, out io.Writer, log *slog.Logger) (err error) {
	db, err := openStore(ctx, cfg.Mongo, 1, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore(ctx, db)) }()
	if cfg.Audit.Payload != "" {
		return printPayload(ctx, db, cfg.Audit.Payload, out)
	}
	page, err := search(ctx, db, cfg.Audit, time.Now())
	if err != nil {
		return err
	}
	if cfg.Audit.JSON {
		return writeJSON(out, page)
	}
	return page.print(out)
}

func printPayload(ctx context.Context, db store.Search, id string, out io.Writer) error {
	payload, found, err := db.Payload(ctx, id)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("no event %s in the audit trail", events.SafeID(id))
	case payload == "":
		return fmt.Errorf("%s was too large for a message: its payload was left out", events.SafeID(id))
	}
	var indented bytes.Buffer
	if term.IsTerminal(out) && json.Indent(&indented, []byte(payload), "", "  ") == nil {
		payload = indented.String()
	}
	_, err = fmt.Fprintln(out, payload)
	return err
}

func writeJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// page is what a search shows.
type page struct {
	Events []auditLine `json:"events"`
	Gaps   []auditGap  `json:"gaps"`
	// More is true if older events were left out.
	More bool `json:"more"`
}

type auditLine struct {
	ID           string    `json:"id"`
	Type         string    `json:"type"`
	Created      time.Time `json:"created"`
	ReceivedAt   time.Time `json:"received_at"`
	StoredAt     time.Time `json:"stored_at"`
	Sequence     uint64    `json:"stream_sequence"`
	Mode         string    `json:"mode"`
	Account      string    `json:"account"`
	Subscription string    `json:"subscription_id,omitempty"`
	Customer     string    `json:"customer_id,omitempty"`
	Object       string    `json:"object_id,omitempty"`
	Request      string    `json:"request_id,omitempty"`
	Origin       string    `json:"origin,omitempty"`
	Status       string    `json:"status,omitempty"`
	Changes      []string  `json:"changes,omitempty"`
	Ignored      string    `json:"ignored,omitempty"`
	verify.Outcome
	told string // what happened, for a person
}

type auditGap struct {
	Subscription string    `json:"subscription"`
	After        string    `json:"after"`
	Since        time.Time `json:"since"`
	Before       string    `json:"before"`
	Until        time.Time `json:"until"`
}

// search finds the events, and folds the whole trail of each subscription among
// them: what became of an event does not depend on what is shown.
func search(ctx context.Context, db store.Search, a config.Audit, now time.Time) (page, error) {
	found, err := db.Search(ctx, store.Query{
		Subscription: a.Subscription, Customer: a.Customer, User: a.User, Event: a.Event, Type: a.Type,
		Since: a.Since.Time(now), Until: a.Until.Time(now), Limit: a.Limit + 1,
	})
	if err != nil {
		return page{}, err
	}
	p := page{Events: []auditLine{}, Gaps: []auditGap{}, More: len(found) > a.Limit}
	if p.More {
		found = found[1:]
	}
	trails := map[string]map[string]verify.Outcome{}
	for _, f := range found {
		if _, ok := trails[f.Subscription]; !ok && f.Subscription != "" {
			if trails[f.Subscription], err = p.follow(ctx, db, f.Subscription, found); err != nil {
				return page{}, err
			}
		}
		p.Events = append(p.Events, lineOf(f, trails[f.Subscription][f.ID]))
	}
	return p, nil
}

// follow returns what became of each event of a subscription, and notes the gaps
// that end at an event which is shown.
func (p *page) follow(ctx context.Context, db store.Search, key string, shown []store.Audited) (map[string]verify.Outcome, error) {
	var facts []ordering.Fact
	for audited, err := range db.Trail(ctx, key) {
		if err != nil {
			return nil, err
		}
		if fact, ok := ordering.FactOf(audited.Message); ok {
			facts = append(facts, fact)
		}
	}
	for _, g := range ordering.Gaps(facts) {
		if slices.ContainsFunc(shown, func(f store.Audited) bool { return f.Subscription == key && f.ID == g.Before }) {
			p.Gaps = append(p.Gaps, auditGap{key, g.After, g.Since, g.Before, g.Until})
		}
	}
	return verify.Outcomes(facts), nil
}

func lineOf(f store.Audited, outcome verify.Outcome) auditLine {
	m := f.Message
	line := auditLine{
		ID: m.ID, Type: cmp.Or(m.StripeType, m.Type), Created: m.Time, ReceivedAt: m.Data.ReceivedAt, StoredAt: f.StoredAt,
		Sequence: f.StreamSequence, Mode: m.Mode(), Account: m.Account(), Subscription: f.SubscriptionID, Customer: f.CustomerID,
		Object: f.ObjectID, Request: f.RequestID, Origin: string(m.Data.Origin), Ignored: m.Data.Ignored, Outcome: outcome,
	}
	if outcome.Word == "" {
		line.Word = verify.Recorded
	}
	for _, change := range m.Data.Changes {
		line.Changes = append(line.Changes, string(change))
	}
	line.Status, line.told = happened(f)
	return line
}

// happened says in a few words what an event tells.
func happened(f store.Audited) (status, told string) {
	d := f.Data
	var words []string
	for _, change := range d.Changes {
		words = append(words, string(change))
	}
	switch {
	case f.Unreadable:
		return "", "unreadable"
	case d.Ignored != "":
		return "", "ignored: " + d.Ignored
	case d.Subscription != nil && words == nil:
		return d.Subscription.Status, d.Subscription.Status
	case d.Subscription != nil:
		return d.Subscription.Status, d.Subscription.Status + ": " + strings.Join(words, ", ")
	case d.Invoice != nil:
		return d.Invoice.Status, fmt.Sprintf("%s %s", d.Invoice.ID, d.Invoice.Status)
	}
	return "", f.ObjectID
}

func (p page) print(out io.Writer) error {
	if len(p.Events) == 0 {
		_, err := fmt.Fprintln(out, "no event in the audit trail is like that")
		return err
	}
	var rows [][]string
	for _, line := range p.Events {
		for _, g := range p.Gaps {
			if g.Before == line.ID {
				rows = append(rows, []string{"", "", "", "! something is missing", "", "between " + g.After + " and " + g.Before})
			}
		}
		became := string(line.Word)
		if line.By != "" {
			became += " by " + line.By
		}
		rows = append(rows, []string{line.Created.UTC().Format(time.RFC3339), line.ID, line.Type, line.told, became, line.Why})
	}
	if err := term.Table(out, []string{"created", "event", "type", "what happened", "outcome", "why"}, rows); err != nil || !p.More {
		return err
	}
	_, err := fmt.Fprintf(out, "\nThese are the newest %d; raise --limit for older ones.\n", len(p.Events))
	return err
}
