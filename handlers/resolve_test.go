package handlers_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
)

// shelf is what Stripe has: at most one event and one subscription. It notes
// what it was asked.
type shelf struct {
	event, snapshot *events.Message
	err             error
	asked           []string
}

func (s *shelf) Event(_ context.Context, about events.Message, id string) (events.Message, bool, error) {
	s.asked = append(s.asked, "event "+id+" of "+about.Source)
	return taken(s.event, s.err)
}

func (s *shelf) Snapshot(ctx context.Context, about events.Message, reason events.Reason) (events.Message, bool, error) {
	s.asked = append(s.asked, string(reason)+" "+about.Subject+" of "+about.Source)
	if _, ok := ctx.Deadline(); !ok {
		return events.Message{}, false, errors.New("no deadline")
	}
	return taken(s.snapshot, s.err)
}

func taken(m *events.Message, err error) (events.Message, bool, error) {
	if m == nil || err != nil {
		return events.Message{}, false, err
	}
	return *m, true, nil
}

// resolving is a handler and everything that a test asks of it.
type resolving struct {
	*handlers.Resolve
	shelf     *shelf
	log       *logs
	journal   *journal
	published []*message.Message
	subjects  []string
	fail      error
	limit     int
	clock     *clock
}

func newResolve(t *testing.T, s *shelf) *resolving {
	t.Helper()
	r := &resolving{shelf: s, log: &logs{}, journal: &journal{}, clock: newClock()}
	h, err := handlers.NewResolve(handlers.ResolveConfig{
		Reader: s,
		SnapshotEvent: func(event json.RawMessage) string {
			_, id, _ := strings.Cut(string(event), "named=")
			return strings.TrimSuffix(id, `"`)
		},
		Publisher: publish(func(topic string, msg *message.Message) error {
			if r.fail != nil {
				return r.fail
			}
			r.subjects, r.published = append(r.subjects, topic), append(r.published, msg)
			return nil
		}),
		MaxMessage: func() int { return r.limit },
		Now:        r.clock.read, Metrics: r.journal, Log: r.log.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Resolve = h
	return r
}

func (r *resolving) handle(t *testing.T, m events.Message) error {
	t.Helper()
	payload, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	msg := message.NewMessageWithContext(t.Context(), m.ID, payload)
	msg.Metadata.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	return r.Handle(msg)
}

// thin is a thin event about a subscription; named is the event that it
// announces, "" for none.
func thin(named string) events.Message {
	m := subscriptionMessage()
	m.ID, m.Type, m.StripeType = "evt_thin", "stripe.v1.customer.subscription.updated", "v1.customer.subscription.updated"
	m.Data.Subscription, m.Data.Event = nil, json.RawMessage(`"named=`+named+`"`)
	return m
}

func truncated() events.Message {
	m := subscriptionMessage()
	m.Data.Subscription.ItemsTruncated = true
	return m
}

func snapshotMessage() *events.Message {
	m := subscriptionMessage()
	m.ID, m.Type, m.StripeType, m.StripeEndpoint = "snap_1", "subscription.snapshot", "", ""
	m.Data.Event, m.Data.Object, m.Data.Origin = nil, json.RawMessage(`{"id":"sub_1"}`), events.OriginThin
	return &m
}

func TestResolve(t *testing.T) {
	t.Parallel()
	event := subscriptionMessage()
	ignored := snapshotMessage()
	ignored.Data.Ignored = events.IgnoredLivemode
	const live = " of /stripe/platform/live"
	for name, tt := range map[string]struct {
		message events.Message
		shelf   shelf
		asked   []string
		want    string // subject and id of what is published
		outcome string
	}{
		"the event that it announces":       {thin("evt_1"), shelf{event: &event}, []string{"event evt_1" + live}, "subscription.updated evt_1", "event"},
		"no event, but the subscription":    {thin(""), shelf{snapshot: snapshotMessage()}, []string{"thin sub_1" + live}, "subscription.snapshot snap_1", "snapshot"},
		"an event that is gone":             {thin("evt_1"), shelf{snapshot: snapshotMessage()}, []string{"event evt_1" + live, "thin sub_1" + live}, "subscription.snapshot snap_1", "snapshot"},
		"both are gone":                     {thin("evt_1"), shelf{}, []string{"event evt_1" + live, "thin sub_1" + live}, "", "missing"},
		"what is not admitted":              {thin(""), shelf{snapshot: ignored}, []string{"thin sub_1" + live}, "", "ignored"},
		"items that were left out":          {truncated(), shelf{event: &event, snapshot: snapshotMessage()}, []string{"items_truncated sub_1" + live}, "subscription.snapshot snap_1", "snapshot"},
		"a subscription that is whole":      {subscriptionMessage(), shelf{snapshot: snapshotMessage()}, nil, "", ""},
		"a snapshot, however it came about": {*truncatedSnapshot(), shelf{snapshot: snapshotMessage()}, nil, "", ""},
		"an event that was not admitted":    {notAdmitted(thin("evt_1")), shelf{event: &event}, nil, "", ""},
		"some other thin event":             {otherThin(), shelf{event: &event}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolve(t, &tt.shelf)
			if err := r.handle(t, tt.message); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.asked, r.shelf.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			got := ""
			if len(r.published) > 0 {
				got = r.subjects[0] + " " + r.published[0].UUID
			}
			if got != tt.want || len(r.published) > 1 {
				t.Errorf("published %q (%d messages), want %q", got, len(r.published), tt.want)
			}
			if got := strings.Join(r.journal.list(), ","); got != strings.TrimSuffix("resolved "+tt.outcome, "resolved ") {
				t.Errorf("counted %q, want %q", got, tt.outcome)
			}
		})
	}
}

func truncatedSnapshot() *events.Message {
	m := snapshotMessage()
	m.Data.Subscription.ItemsTruncated = true
	return m
}

func notAdmitted(m events.Message) events.Message {
	m.Data.Ignored = events.IgnoredAccount
	return m
}

func otherThin() events.Message {
	m := thin("evt_1")
	m.StripeType, m.Type = "v1.billing.meter.no_meter_found", "stripe.v1.billing.meter.no_meter_found"
	return m
}

func TestResolvedMessageHasItsHeaders(t *testing.T) {
	t.Parallel()
	snapshot := snapshotMessage()
	snapshot.StripeAccount, snapshot.Source = "acct_1", "/stripe/acct_1/live"
	r := newResolve(t, &shelf{snapshot: snapshot})
	if err := r.handle(t, thin("")); err != nil {
		t.Fatal(err)
	}
	if got := r.published[0].UUID; got != "acct_1:snap_1" {
		t.Errorf("got id %q", got)
	}
	want := message.Metadata{
		"Content-Type": "application/cloudevents+json", "Billbus-Livemode": "true", "Billbus-Account": "acct_1",
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	if diff := cmp.Diff(want, r.published[0].Metadata); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestResolveFailures(t *testing.T) {
	t.Parallel()
	transient := fault.New(fault.Transient, fault.StripeFailed, errors.New("answered 500"))
	permanent := fault.New(fault.Permanent, fault.WrongMode, errors.New("of the other mode"))
	for name, tt := range map[string]struct {
		shelf   shelf
		fail    error
		limit   int
		want    error
		outcome string
		reason  string
	}{
		"Stripe fails":            {shelf{err: transient}, nil, 0, transient, "transient", "stripe_failed"},
		"a failure nobody marked": {shelf{err: errTest}, nil, 0, errTest, "transient", "other"},
		"it can never be read":    {shelf{err: permanent}, nil, 0, nil, "rejected", "wrong_mode"},
		"the stream is away":      {shelf{snapshot: snapshotMessage()}, errTest, 0, errTest, "transient", "other"},
		"it fits no message":      {shelf{snapshot: snapshotMessage()}, nil, 100, nil, "rejected", "unencodable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolve(t, &tt.shelf)
			r.fail, r.limit = tt.fail, tt.limit
			if err := r.handle(t, thin("")); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if diff := cmp.Diff([]string{"resolved " + tt.outcome}, r.journal.list()); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			line := r.log.line(t)
			if line["level"] != "WARN" || line["outcome"] != tt.outcome || line["reason"] != tt.reason || line["event_id"] != "evt_thin" {
				t.Errorf("got line %v", line)
			}
		})
	}
}

var errTest = errors.New("test")

// Without its object a snapshot still says how things stand.
func TestSnapshotThatDoesNotFitLosesItsObject(t *testing.T) {
	t.Parallel()
	whole := snapshotMessage()
	whole.Data.Object = json.RawMessage(`{"id":"sub_1","text":"` + strings.Repeat("x", 1000) + `"}`)
	r := newResolve(t, &shelf{snapshot: whole})
	r.limit = 1000
	if err := r.handle(t, thin("")); err != nil {
		t.Fatal(err)
	}
	got, err := events.Decode(r.published[0].Payload)
	if err != nil || got.Data.Object != nil || got.Data.EventOmitted != events.OmittedSize || got.Data.Subscription.ID != "sub_1" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The subscriber, which has the whole stream, keeps the dead letter.
func TestUnreadableMessageIsLeftToTheSubscriber(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &shelf{})
	if err := r.Handle(message.NewMessage("x", []byte(`{"private":`))); err != nil {
		t.Fatal(err)
	}
	if line := r.log.line(t); line["outcome"] != "unreadable" || strings.Contains(r.log.text(), "private") {
		t.Errorf("got line %v", line)
	}
	if diff := cmp.Diff([]string{"resolved unreadable"}, r.journal.list()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// A wrong key fails every message in the same way: one line a minute is enough.
func TestAFailureThatGoesOnIsLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	s := &shelf{err: fault.New(fault.Transient, fault.KeyRefused, errors.New("not accepted"))}
	r := newResolve(t, s)
	warnings := func() int { return strings.Count(r.log.text(), `"level":"WARN"`) }
	for range 10 {
		_ = r.handle(t, thin(""))
	}
	if got := warnings(); got != 1 {
		t.Errorf("got %d warnings within a second, want 1", got)
	}
	s.err = fault.New(fault.Transient, fault.StripeTimeout, errors.New("no answer"))
	_ = r.handle(t, thin(""))
	if got := warnings(); got != 2 {
		t.Errorf("got %d warnings after another failure, want 2", got)
	}
	r.clock.add(time.Minute)
	_ = r.handle(t, thin(""))
	if got := warnings(); got != 3 {
		t.Errorf("got %d warnings a minute later, want 3", got)
	}
	if got := len(r.journal.list()); got != 12 {
		t.Errorf("counted %d failures, want all 12", got)
	}
}

func TestNewResolveNeedsItsCollaborators(t *testing.T) {
	t.Parallel()
	if _, err := handlers.NewResolve(handlers.ResolveConfig{Reader: &shelf{}}); err == nil {
		t.Error("got a handler without collaborators")
	}
}
