package subscriber

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/internal/verify"
)

// Audit prints events of the audit trail, the outcome of each, and where events
// are missing.
func Audit(ctx context.Context, cfg config.Subscriber, out io.Writer, log *slog.Logger) error {
	return WithStore(ctx, cfg.Mongo, 1, log, func(db store.Store) error {
		return audit(ctx, db, cfg.Audit, term.NewPrinter(out), time.Now())
	})
}

// searched is what the command reads.
type searched interface {
	store.Search
	store.Anonymity
}

func audit(ctx context.Context, db searched, a config.Audit, out term.Printer, now time.Time) error {
	if a.Payload != "" {
		return printPayload(ctx, db, a, out)
	}
	if a.WithoutUser {
		return printWithoutUser(ctx, db, a, out)
	}
	list, err := search(ctx, db, a, now)
	if err != nil {
		return err
	}
	if a.JSON {
		return list.printJSON(out.Out)
	}
	if a.Wide {
		out.Width = 0
	}
	return list.print(out)
}

func printPayload(ctx context.Context, db store.Search, a config.Audit, out term.Printer) error {
	payload, found, err := db.Payload(ctx, a.Payload)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("no event %s in the audit trail", events.SafeID(a.Payload))
	case payload == "":
		return fmt.Errorf("the audit trail has no payload of %s: it was too large for a message", events.SafeID(a.Payload))
	}
	var formatted bytes.Buffer
	switch {
	case a.JSON:
		err = json.Compact(&formatted, []byte(payload))
	case out.Width > 0:
		err = json.Indent(&formatted, []byte(payload), "", "  ")
	}
	if err == nil && formatted.Len() > 0 {
		payload = formatted.String()
	}
	_, err = fmt.Fprintln(out.Out, payload)
	return err
}

// eventList is the result of a search.
type eventList struct {
	events []auditEvent
	more   bool // older events were left out
}

// auditEvent is an event as JSON shows it.
type auditEvent struct {
	Kind            string    `json:"kind"`
	ID              string    `json:"id"`
	Type            string    `json:"type"`
	Created         time.Time `json:"created"`
	ReceivedAt      time.Time `json:"received_at"`
	StoredAt        time.Time `json:"stored_at"`
	Sequence        uint64    `json:"stream_sequence"`
	Mode            string    `json:"mode"`
	Account         string    `json:"account"`
	Subscription    string    `json:"subscription_id,omitempty"`
	Customer        string    `json:"customer_id,omitempty"`
	CustomerAccount string    `json:"customer_account_id,omitempty"`
	Object          string    `json:"object_id,omitempty"`
	Request         string    `json:"request_id,omitempty"`
	Origin          string    `json:"origin,omitempty"`
	Status          string    `json:"status,omitempty"`
	Changes         []string  `json:"changes,omitempty"`
	Ignored         string    `json:"ignored,omitempty"`
	Setting         string    `json:"setting,omitempty"` // that would admit it
	verify.Outcome

	happened string     // in a few words, for tables
	gaps     []auditGap // that end at this event
}

type auditGap struct {
	Kind         string    `json:"kind"`
	Subscription string    `json:"subscription"`
	After        string    `json:"after"`
	Since        time.Time `json:"since"`
	Before       string    `json:"before"`
	Until        time.Time `json:"until"`
}

// search finds the events, and reads the whole trail of each of their
// subscriptions: the outcome of an event does not depend on which ones are shown.
func search(ctx context.Context, db store.Search, a config.Audit, now time.Time) (eventList, error) {
	found, err := db.Search(ctx, store.Query{
		Subscription: a.Subscription, Customer: a.Customer, User: a.User, Event: a.Event, Type: a.Type, Ignored: a.Ignored,
		Since: a.Since.Time(now), Until: a.Until.Time(now), Limit: a.Limit + 1,
	})
	if err != nil {
		return eventList{}, err
	}
	list := eventList{more: len(found) > a.Limit}
	if list.more {
		found = found[1:]
	}
	trails := map[string]trail{"": {}}
	for _, f := range found {
		if _, ok := trails[f.Subscription]; !ok {
			if trails[f.Subscription], err = readTrail(ctx, db, f.Subscription); err != nil {
				return eventList{}, err
			}
		}
		list.events = append(list.events, newAuditEvent(f, trails[f.Subscription]))
	}
	return list, nil
}

// trail is what the whole trail of a subscription says about its events, by id.
type trail struct {
	outcomes map[string]verify.Outcome
	gaps     map[string][]auditGap
}

func readTrail(ctx context.Context, db store.Search, subscription string) (trail, error) {
	var facts []ordering.Fact
	for audited, err := range db.Trail(ctx, subscription) {
		if err != nil {
			return trail{}, err
		}
		if fact, ok := ordering.FactOf(audited.Message); ok {
			facts = append(facts, fact)
		}
	}
	t := trail{outcomes: verify.Outcomes(facts), gaps: map[string][]auditGap{}}
	for _, g := range ordering.Gaps(facts) {
		t.gaps[g.Before] = append(t.gaps[g.Before], auditGap{"gap", subscription, g.After, g.Since, g.Before, g.Until})
	}
	return t, nil
}

func newAuditEvent(f store.Audited, t trail) auditEvent {
	m := f.Message
	e := auditEvent{
		Kind: "event", ID: m.ID, Type: cmp.Or(m.StripeType, m.Type),
		Created: m.Time, ReceivedAt: m.Data.ReceivedAt, StoredAt: f.StoredAt, Sequence: f.StreamSequence,
		Mode: m.Mode(), Account: m.Account(), Subscription: f.SubscriptionID, Customer: f.CustomerID,
		CustomerAccount: f.CustomerAccountID, Object: f.ObjectID, Request: f.RequestID, Origin: string(m.Data.Origin), Ignored: m.Data.Ignored,
		Setting: normalize.IgnoredBy(m.Data.Ignored),
		Outcome: t.outcomes[m.ID], gaps: t.gaps[m.ID],
	}
	e.Word = cmp.Or(e.Word, verify.Recorded)
	if m.Data.Subscription != nil && !f.Unreadable && e.Ignored == "" {
		e.Status = m.Data.Subscription.Status
	}
	for _, change := range m.Data.Changes {
		e.Changes = append(e.Changes, string(change))
	}
	e.happened = e.inWords(f)
	return e
}

func (e auditEvent) inWords(f store.Audited) string {
	switch invoice := f.Data.Invoice; {
	case f.Unreadable:
		return "unreadable"
	case e.Ignored != "":
		return "ignored: " + e.Ignored + " (" + normalize.IgnoredBy(e.Ignored) + ")"
	case e.Status != "" && e.Changes != nil:
		return e.Status + ": " + strings.Join(e.Changes, ", ")
	case e.Status != "":
		return e.Status
	case invoice != nil:
		return invoice.ID + " " + invoice.Status
	}
	return e.Object
}
