package natsbus_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/test/kit"
)

// publishSizes publishes one message of each size.
func (r *rig) publishSizes(t *testing.T, sizes ...int) {
	t.Helper()
	for i, size := range sizes {
		if err := r.pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_%d", i), strings.Repeat("x", size))); err != nil {
			t.Fatal(err)
		}
	}
}

func repeated(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

func TestSubscriberLimitsBytesInFlight(t *testing.T) {
	t.Parallel()
	const size, limit = 100_000, 1_000_000
	r := newRig(t)
	r.publishSizes(t, repeated(60, size)...)
	var inFlight, highest, done atomic.Int64
	hold := make(chan struct{})
	cfg := r.config()
	cfg.MaxInFlight, cfg.MaxBytes = 60, limit
	r.consume(t, cfg, func(msg *message.Message) error {
		n := inFlight.Add(int64(len(msg.Payload)))
		defer inFlight.Add(-int64(len(msg.Payload)))
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		<-hold
		done.Add(1)
		return nil
	})
	kit.Eventually(t, "as many as fit are in flight", func() bool { return inFlight.Load() == 9*size })
	if got := r.info(t).NumAckPending; got != 9 {
		t.Errorf("the server has delivered %d messages, want 9", got)
	}
	close(hold)
	r.settled(t)
	if highest.Load() > limit || done.Load() != 60 {
		t.Errorf("got %d bytes at once and %d messages, want at most %d and 60", highest.Load(), done.Load(), limit)
	}
}

// The server ends a pull at a message that is larger than what the pull asks for, again
// and again.
func TestMessageLargerThanTheLimitIsHandledAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publishSizes(t, 100, 3_000_000, 100, 600_000, 600_000, 3_000_000, 3_000_000, 100)
	cfg := r.config()
	cfg.MaxBytes = 1_000_000
	var handled atomic.Int64
	r.consume(t, cfg, func(msg *message.Message) error {
		handled.Add(1)
		if len(msg.Payload) < cfg.MaxBytes {
			return nil
		}
		c, err := r.js.Consumer(t.Context(), "BILLBUS", consumer)
		if err == nil && c.CachedInfo().NumAckPending != 1 {
			err = fmt.Errorf("got %d messages in flight, want the large one alone", c.CachedInfo().NumAckPending)
		}
		if err != nil {
			t.Error(err)
		}
		return nil
	})
	r.settled(t)
	if got := handled.Load(); got != 8 {
		t.Errorf("got %d messages, want 8", got)
	}
}

func TestReplayLimitsBytes(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.publishSizes(t, 400_000, 400_000, 400_000, 3_000_000, 100, 100)
	cfg := replayConfig("the beginning")
	cfg.MaxBytes = 1_000_000
	r := openReplay(t, rig.bus, cfg)
	var got [][]uint64
	for batch := next(t, r, 10); batch != nil; batch = next(t, r, 10) {
		got = append(got, batch)
		done(t, r)
	}
	if diff := cmp.Diff([][]uint64{{1, 2}, {3}, {4}, {5, 6}}, got); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}
