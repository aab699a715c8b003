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

// fakeStripe has at most one event and one subscription. It keeps the requests.
type fakeStripe struct {
	event, snapshot *events.Message
	err             error
	requests        []string
	reads           int // how many seconds after the first reading
}

func (s *fakeStripe) Event(_ context.Context, about events.Message, id string) (events.Message, bool, error) {
	s.requests = append(s.requests, "event "+id+" of "+about.Source)
	return copied(s.event, s.err)
}

func (s *fakeStripe) Snapshot(ctx context.Context, about events.Message, reason events.Reason) (events.Message, bool, error) {
	s.requests = append(s.requests, string(reason)+" "+about.Subject+" of "+about.Source)
	if _, ok := ctx.Deadline(); !ok {
		return events.Message{}, false, errors.New("no deadline")
	}
	return copied(s.snapshot, s.err)
}

func copied(m *events.Message, err error) (events.Message, bool, error) {
	if m == nil || err != nil {
		return events.Message{}, false, err
	}
	return *m, true, nil
}

// resolveTest is a handler with its collaborators.
type resolveTest struct {
	*handlers.Resolve
	stripe    *fakeStripe
	bucket    *bucket
	log       *logs
	calls     *calls
	published []*message.Message
	subjects  []string
	fail      error
	limit     int
	clock     *clock
}

func newResolve(t *testing.T, s *fakeStripe) *resolveTest {
	t.Helper()
	r := &resolveTest{stripe: s, bucket: &bucket{values: map[string][]byte{}, revisions: map[string]uint64{}}, log: &logs{}, calls: &calls{}, clock: newClock()}
	h, err := handlers.NewResolve(handlers.ResolveConfig{
		Reader: s, HasKey: func(account string) bool { return account != "acct_without_key" },
		SnapshotEvent: func(event json.RawMessage) string {
			_, id, _ := strings.Cut(string(event), "named=")
			return strings.TrimSuffix(id, `"`)
		},
		Resolved: r.bucket,
		Publisher: publish(func(topic string, msg *message.Message) error {
			if r.fail != nil {
				return r.fail
			}
			r.subjects, r.published = append(r.subjects, topic), append(r.published, msg)
			return nil
		}),
		MaxMessage: func() int { return r.limit },
		Now:        r.clock.read, Metrics: r.calls, Log: r.log.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Resolve = h
	return r
}

func (r *resolveTest) handle(t *testing.T, m events.Message) error {
	t.Helper()
	payload, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	msg := message.NewMessageWithContext(t.Context(), m.ID, payload)
	msg.Metadata.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	return r.Handle(msg)
}

// thin returns a thin event about a subscription. named is the id of the event that
// it announces, or "".
func thin(named string) events.Message {
	m := subscriptionMessage()
	m.ID, m.Type, m.StripeType = "evt_thin", "stripe.v1.customer.subscription.updated", "v1.customer.subscription.updated"
	m.Data.Subscription, m.Data.Event = nil, json.RawMessage(`"named=`+named+`"`)
	return m
}

func ofAccount(m events.Message, account string) events.Message {
	m.StripeAccount, m.Source = account, events.Source(m.Livemode, account)
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
		message  events.Message
		stripe   fakeStripe
		requests []string
		want     string // subject and id of what is published
		outcome  string
	}{
		"announced event":                 {thin("evt_1"), fakeStripe{event: &event}, []string{"event evt_1" + live}, "subscription.updated evt_1", "event"},
		"no announced event":              {thin(""), fakeStripe{snapshot: snapshotMessage()}, []string{"thin sub_1" + live}, "subscription.snapshot snap_1", "snapshot"},
		"announced event is gone":         {thin("evt_1"), fakeStripe{snapshot: snapshotMessage()}, []string{"event evt_1" + live, "thin sub_1" + live}, "subscription.snapshot snap_1", "snapshot"},
		"event and subscription are gone": {thin("evt_1"), fakeStripe{}, []string{"event evt_1" + live, "thin sub_1" + live}, "", "missing"},
		"snapshot is ignored":             {thin(""), fakeStripe{snapshot: ignored}, []string{"thin sub_1" + live}, "", "ignored"},
		"truncated items":                 {truncated(), fakeStripe{event: &event, snapshot: snapshotMessage()}, []string{"items_truncated sub_1" + live}, "subscription.snapshot snap_1", "snapshot"},
		"all items":                       {subscriptionMessage(), fakeStripe{snapshot: snapshotMessage()}, nil, "", ""},
		"snapshot with truncated items":   {*truncatedSnapshot(), fakeStripe{snapshot: snapshotMessage()}, nil, "", ""},
		"account without a key":           {ofAccount(thin("evt_1"), "acct_without_key"), fakeStripe{event: &event}, nil, "", "no_key"},
		"ignored event":                   {ignoredMessage(thin("evt_1")), fakeStripe{event: &event}, nil, "", ""},
		"other thin event":                {otherThin(), fakeStripe{event: &event}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolve(t, &tt.stripe)
			if err := r.handle(t, tt.message); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.requests, r.stripe.requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			got := ""
			if len(r.published) > 0 {
				got = r.subjects[0] + " " + r.published[0].UUID
			}
			if got != tt.want || len(r.published) > 1 {
				t.Errorf("published %q (%d messages), want %q", got, len(r.published), tt.want)
			}
			if got := strings.Join(r.calls.list(), ","); got != strings.TrimSuffix("resolved "+tt.outcome, "resolved ") {
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

func ignoredMessage(m events.Message) events.Message {
	m.Data.Ignored = events.IgnoredAccount
	return m
}

func otherThin() events.Message {
	m := thin("evt_1")
	m.StripeType, m.Type = "v1.billing.meter.no_meter_found", "stripe.v1.billing.meter.no_meter_found"
	return m
}

func TestResolvedMessageHasHeaders(t *testing.T) {
	t.Parallel()
	snapshot := snapshotMessage()
	snapshot.StripeAccount, snapshot.Source = "acct_1", "/stripe/acct_1/live"
	r := newResolve(t, &fakeStripe{snapshot: snapshot})
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
	permanent := fault.New(fault.Permanent, fault.WrongMode, errors.New("other mode"))
	for name, tt := range map[string]struct {
		stripe  fakeStripe
		fail    error
		limit   int
		want    error
		outcome string
		reason  string
	}{
		"Stripe fails":          {fakeStripe{err: transient}, nil, 0, transient, "transient", "stripe_failed"},
		"unmarked failure":      {fakeStripe{err: errTest}, nil, 0, errTest, "transient", "other"},
		"can never be read":     {fakeStripe{err: permanent}, nil, 0, nil, "rejected", "wrong_mode"},
		"stream unreachable":    {fakeStripe{snapshot: snapshotMessage()}, errTest, 0, errTest, "transient", "other"},
		"larger than a message": {fakeStripe{snapshot: snapshotMessage()}, nil, 100, nil, "rejected", "unencodable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolve(t, &tt.stripe)
			r.fail, r.limit = tt.fail, tt.limit
			if err := r.handle(t, thin("")); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if diff := cmp.Diff([]string{"resolved " + tt.outcome}, r.calls.list()); diff != "" {
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

// A snapshot still has the state if its object is left out.
func TestLargeSnapshotIsPublishedWithoutItsObject(t *testing.T) {
	t.Parallel()
	whole := snapshotMessage()
	whole.Data.Object = json.RawMessage(`{"id":"sub_1","text":"` + strings.Repeat("x", 1000) + `"}`)
	r := newResolve(t, &fakeStripe{snapshot: whole})
	r.limit = 1000
	if err := r.handle(t, thin("")); err != nil {
		t.Fatal(err)
	}
	got, err := events.Decode(r.published[0].Payload)
	if err != nil || got.Data.Object != nil || got.Data.EventOmitted != events.OmittedSize || got.Data.Subscription.ID != "sub_1" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The subscriber makes a dead letter of the same message.
func TestUnreadableMessageIsLeftToTheSubscriber(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{})
	if err := r.Handle(message.NewMessage("x", []byte(`{"private":`))); err != nil {
		t.Fatal(err)
	}
	if line := r.log.line(t); line["outcome"] != "unreadable" || strings.Contains(r.log.String(), "private") {
		t.Errorf("got line %v", line)
	}
	if diff := cmp.Diff([]string{"resolved unreadable"}, r.calls.list()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// A wrong key fails every message in the same way. One line a minute is enough.
func TestOngoingFailureIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	s := &fakeStripe{err: fault.New(fault.Transient, fault.KeyRefused, errors.New("not accepted"))}
	r := newResolve(t, s)
	warnings := func() int { return strings.Count(r.log.String(), `"level":"WARN"`) }
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
	if got := len(r.calls.list()); got != 12 {
		t.Errorf("counted %d failures, want all 12", got)
	}
}

func TestNewResolveNeedsItsCollaborators(t *testing.T) {
	t.Parallel()
	if _, err := handlers.NewResolve(handlers.ResolveConfig{Reader: &fakeStripe{}}); err == nil {
		t.Error("got a handler without collaborators")
	}
}
