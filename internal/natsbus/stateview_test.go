package natsbus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// viewed are settings with the state view.
func viewed() natsbus.StreamSettings {
	s := settings()
	s.StateView = true
	return s
}

// useStateView does what the state view needs.
func useStateView(t *testing.T, bus *natsbus.Bus) {
	t.Helper()
	bucket := bus.NewBucket(events.StateBucket)
	revision, ok, err := bucket.Put(t.Context(), "live.platform.sub_1", []byte("{}"), 0)
	if !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	if _, got, err := bucket.Get(t.Context(), "live.platform.sub_1"); got != revision || err != nil {
		t.Errorf("got revision %d, %v, want %d", got, err, revision)
	}
	if err := publisher(t, bus).Publish(events.SubjectAccessGranted, newMessage("access_1", "{}")); err != nil {
		t.Error(err)
	}
	long := time.Now().Add(-100 * 24 * time.Hour)
	if _, err := bus.NewJournal("BILLBUS", events.SubjectAccess).Sent(t.Context(), "access_1", long); err != nil {
		t.Error(err)
	}
}

func TestReadsOfTheStateViewAreNotLeftToReplicas(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	bus := open(t, url)
	provisioned(t, bus, viewed(), natsbus.SubscriberConsumer(consumer).WithStateView())
	js := natstest.JetStream(t, url)
	have := natstest.Stream(t, js, "KV_"+events.StateBucket).CachedInfo().Config
	if have.AllowDirect || have.MaxMsgsPerSubject != 1 || have.Storage != jetstream.FileStorage || have.MaxAge != 0 {
		t.Errorf("got %+v", have)
	}
	useStateView(t, bus)
	have.AllowDirect = true
	if _, err := js.UpdateStream(t.Context(), have); err != nil {
		t.Fatal(err)
	}
	refused(t, provision(t, open(t, url), natsbus.ProvisionConsumer, viewed(), noConsumer), "allow_direct is true, want false")
	if err := bus.Alter(t.Context(), viewed()); err != nil {
		t.Fatal(err)
	}
	if natstest.Stream(t, js, "KV_"+events.StateBucket).CachedInfo().Config.AllowDirect {
		t.Error("altering did not turn it off")
	}
}

func TestAStreamFromBeforeTheStateView(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	bus := open(t, url)
	provisioned(t, bus, settings(), noConsumer)
	subscriber := provision(t, open(t, url), natsbus.ProvisionConsumer, viewed(), natsbus.SubscriberConsumer(consumer).WithStateView())
	refused(t, subscriber, "run `bridge provision`")
	refused(t, subscriber, "KV_BILLBUS_STATE does not exist")
	plan, err := bus.Plan(t.Context(), viewed())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"stream BILLBUS: subjects is billbus.user.linked stripe.> subscription.*, want access.* billbus.user.linked stripe.> subscription.*",
		"stream KV_BILLBUS_STATE does not exist",
	}
	if diff := cmp.Diff(want, texts(plan)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if err := bus.Alter(t.Context(), viewed()); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, "ready", ready(subscriber))
	// Turned off again, nothing differs, and nothing is removed.
	if plan, err := bus.Plan(t.Context(), settings()); len(plan) > 0 || err != nil {
		t.Errorf("got %v, %v, want no difference", plan, err)
	}
}

func texts(drifts []natsbus.Drift) []string {
	var list []string
	for _, d := range drifts {
		list = append(list, d.String())
	}
	return list
}

func TestTheFilterOfAnEarlierReleaseIsChanged(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	bus, js := open(t, url), natstest.JetStream(t, url)
	provisioned(t, bus, viewed(), noConsumer)
	_, err := js.CreateConsumer(t.Context(), "BILLBUS", jetstream.ConsumerConfig{
		Durable: consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1, MaxAckPending: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, provision(t, open(t, url), natsbus.ProvisionCheck, viewed(), natsbus.SubscriberConsumer(consumer)), "filter is")
	for i, subject := range []string{"stripe.x", events.SubjectAccessGranted, "subscription.updated", events.SubjectAccessRevoked} {
		if err := publisher(t, bus).Publish(subject, newMessage(fmt.Sprint(i), "{}")); err != nil {
			t.Fatal(err)
		}
	}
	provisioned(t, open(t, url), viewed(), natsbus.SubscriberConsumer(consumer).WithStateView())
	c, err := js.Consumer(t.Context(), "BILLBUS", consumer)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo(); got.NumPending != 2 || len(got.Config.FilterSubjects) != 3 {
		t.Errorf("got %d pending messages with the filter %v, want two", got.NumPending, got.Config.FilterSubjects)
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	bus := open(t, url)
	short := viewed()
	short.DuplicateWindow = 100 * time.Millisecond
	provisioned(t, bus, short, noConsumer)
	journal, began := bus.NewJournal("BILLBUS", events.SubjectAccess), time.Now()
	sent := func(id string, at time.Time) bool {
		t.Helper()
		got, err := journal.Sent(t.Context(), id, at)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if err := publisher(t, bus).Publish("stripe.x", newMessage("other", "{}")); err != nil {
		t.Fatal(err)
	}
	stored := time.Now()
	for i := range 3 {
		if err := publisher(t, bus).Publish(events.SubjectAccessChanged, newMessage(fmt.Sprint("access_", i), "{}")); err != nil {
			t.Fatal(err)
		}
	}
	if sent("access_9", time.Now()) {
		t.Error("a new message counts as sent")
	}
	kit.Eventually(t, "the window is over", func() bool { return time.Since(stored) > short.DuplicateWindow })
	for id, want := range map[string]bool{"access_0": true, "access_2": true, "access_3": false, "other": false} {
		if got := sent(id, stored); got != want {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
	}
	if !sent("access_3", began.Add(-time.Hour)) {
		t.Error("a message from before the stream counts as not sent")
	}
	if err := publisher(t, bus).Publish(events.SubjectAccessChanged, newMessage("access_3", "{}")); err != nil {
		t.Fatal(err)
	}
	later := time.Now()
	kit.Eventually(t, "the window is over again", func() bool { return time.Since(later) > short.DuplicateWindow })
	if !sent("access_3", stored) {
		t.Error("a message that came later is not found")
	}
}
