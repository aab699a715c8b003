package subscriber

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/storetest"
)

// committing commits each entry alone.
type committing struct{ *store.Committer }

func (c committing) Commit(ctx context.Context, entry store.Entry) (store.Effect, error) {
	result := c.Committer.Commit(ctx, []store.Entry{entry})[0]
	return result.Effect, result.Err
}

// gapRig is a database in memory, and subscribers that watch for gaps in it.
type gapRig struct {
	url    string
	server *storetest.Memory
	now    atomic.Int64
	fails  atomic.Bool // the next replacement of a record
	bus    *natsbus.Bus
}

func newGapRig(t *testing.T) *gapRig {
	t.Helper()
	r := &gapRig{url: natstest.Start(t).URL(), server: storetest.NewMemory()}
	r.now.Store(kit.At(120).Unix())
	first := opened(t, r.url)
	provision(t, first)
	r.bus = first.bus
	return r
}

func (r *gapRig) clock() time.Time { return time.Unix(r.now.Load(), 0).UTC() }

func (r *gapRig) pass(d time.Duration) { r.now.Add(int64(d / time.Second)) }

func (r *gapRig) subscriber(t *testing.T) *Subscriber {
	t.Helper()
	s := opened(t, r.url)
	if err := s.bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.deps.Now = r.clock
	s.gaps = verify.NewGapWatch(r.server.Connect(storetest.Hooks{}), r.clock)
	return s
}

// consume stores messages that arrive, and returns the effect of each.
func (r *gapRig) consume(t *testing.T, s *Subscriber) <-chan store.Effect {
	t.Helper()
	db := r.server.Connect(storetest.Hooks{Before: func(_ context.Context, op storetest.Operation) error {
		if op == storetest.Replace && r.fails.CompareAndSwap(true, false) {
			return errors.New("injected")
		}
		return nil
	}})
	stored := make(chan store.Effect, 10)
	notifier := gapNotifier{committing{store.NewCommitter(db, r.clock)}, s.gaps}
	router, err := s.bus.NewRouter(natsbus.SubscriberConfig{
		Stream: "BILLBUS", Consumer: "billbus-subscriber", MaxInFlight: 1, CloseTimeout: 5 * time.Second,
		Delay: func(uint64) time.Duration { return 0 },
	}, func(msg *message.Message) error {
		decoded, err := events.Decode(msg.Payload)
		if err != nil {
			return err
		}
		effect, err := notifier.Commit(msg.Context(), store.Entry{Message: decoded, Fact: store.FactOf(decoded)})
		if err == nil {
			stored <- effect
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() { ended <- router.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return stored
}

func (r *gapRig) publish(t *testing.T, m events.Message) {
	t.Helper()
	encoded, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := natstest.JetStream(t, r.url).Publish(t.Context(), m.Type, encoded); err != nil {
		t.Fatal(err)
	}
}

// report checks gaps once, and returns the report and the gauge.
func (r *gapRig) report(t *testing.T, s *Subscriber) ([]gaps.Gap, string) {
	t.Helper()
	if err := s.checkGaps(t.Context()); err != nil {
		t.Fatal(err)
	}
	value, _, err := r.bus.NewBucket(events.StateBucket).Get(t.Context(), gaps.Key)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(s.readGauges()) {
		if strings.HasPrefix(line, "billbus_gaps ") {
			return gaps.Decode(value).Gaps, strings.TrimSpace(line)
		}
	}
	return gaps.Decode(value).Gaps, ""
}

func (r *gapRig) expect(t *testing.T, s *Subscriber, what, gauge string, want ...gaps.Gap) {
	t.Helper()
	got, line := r.report(t, s)
	if diff := cmp.Diff(append([]gaps.Gap{}, want...), append([]gaps.Gap{}, got...)); diff != "" || line != "billbus_gaps "+gauge {
		t.Errorf("%s: got %s, want %s; report (-want +got):\n%s", what, line, gauge, diff)
	}
}

// The event after the gap is audited, its record is not written, and the next delivery of the
// message is a duplicate. The gap is reported all the same, until it is filled, also by the
// next process.
func TestGapIsReportedUntilItIsFilled(t *testing.T) {
	t.Parallel()
	r := newGapRig(t)
	first := r.subscriber(t)
	stored := r.consume(t, first)
	for _, m := range []events.Message{
		kit.Event("sub_1", "evt_1", "created", 0, "incomplete"), kit.Update("sub_1", "evt_4", 100, "past_due", "unpaid"),
	} {
		r.publish(t, m)
		<-stored
	}
	r.fails.Store(true)
	r.publish(t, kit.Update("sub_1", "evt_3", 90, "active", "past_due"))
	if effect := <-stored; effect != store.Duplicate || r.fails.Load() {
		t.Fatalf("the second delivery is %s, want a duplicate", effect)
	}
	r.expect(t, first, "at once", "0")
	r.pass(15 * time.Minute)
	gap := gaps.Gap{
		Subscription: kit.Key("sub_1"), After: "evt_1", Before: "evt_3",
		Since: kit.At(-60), Until: kit.At(150), CheckedAt: r.clock(),
	}
	r.expect(t, first, "after 15 minutes", "1", gap)
	r.pass(time.Minute)
	r.expect(t, first, "a minute later", "1", gap)

	second := r.subscriber(t)
	r.expect(t, second, "by a second process", "0", gap)
	r.pass(15 * time.Minute) // the first one is gone
	gap.CheckedAt = r.clock()
	r.expect(t, second, "by a second process that takes over", "0", gap)
	r.expect(t, second, "by a second process that has taken over", "1", gap)
	r.publish(t, kit.Update("sub_1", "evt_2", 9, "incomplete", "active"))
	<-stored
	r.pass(5 * time.Minute)
	r.expect(t, second, "filled", "0")
}

func TestGapThatStripeCannotFillIsLeftOut(t *testing.T) {
	t.Parallel()
	r := newGapRig(t)
	s := r.subscriber(t)
	stored := r.consume(t, s)
	for _, m := range []events.Message{
		kit.Event("sub_1", "evt_1", "created", 0, "incomplete"), kit.Update("sub_1", "evt_3", 90, "active", "past_due"),
	} {
		r.publish(t, m)
		<-stored
	}
	r.expect(t, s, "at once", "0")
	r.pass(29 * 24 * time.Hour)
	r.expect(t, s, "after 29 days", "1", gaps.Gap{
		Subscription: kit.Key("sub_1"), After: "evt_1", Before: "evt_3",
		Since: kit.At(-60), Until: kit.At(150), CheckedAt: r.clock(),
	})
	r.pass(2 * 24 * time.Hour)
	r.expect(t, s, "after 31 days", "0")
}
