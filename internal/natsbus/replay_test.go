package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func replayConfig(from string) natsbus.ReplayConfig {
	return natsbus.ReplayConfig{Stream: "BILLBUS", Consumer: "again", From: from}
}

// next reads one batch and returns its sequences.
func next(t *testing.T, r *natsbus.Replay, n int) []uint64 {
	t.Helper()
	messages, err := r.Next(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	var sequences []uint64
	for _, msg := range messages {
		delivery, _ := natsbus.DeliveryOf(msg)
		sequences = append(sequences, delivery.Sequence)
	}
	return sequences
}

func openReplay(t *testing.T, bus *natsbus.Bus, cfg natsbus.ReplayConfig) *natsbus.Replay {
	t.Helper()
	r, err := bus.OpenReplay(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func done(t *testing.T, r *natsbus.Replay) {
	t.Helper()
	if err := r.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReplayReadsInOrderUpToTheEndAtItsStart(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.publish(t, 5)
	r := openReplay(t, rig.bus, replayConfig("the beginning"))
	if got := next(t, r, 3); !cmp.Equal(got, []uint64{1, 2, 3}) || r.Total != 5 {
		t.Errorf("got %v of %d", got, r.Total)
	}
	done(t, r)
	rig.publish(t, 6) // of these, only the sixth is new
	if got := next(t, r, 2); !cmp.Equal(got, []uint64{4, 5}) {
		t.Errorf("got %v", got)
	}
	done(t, r)
	if got := next(t, r, 2); got != nil {
		t.Errorf("got %v after the end, want nothing", got)
	}
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := rig.js.Consumer(t.Context(), "BILLBUS", "again"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("got %v, want no consumer", err)
	}
}

func TestReplayContinuesAfterAKill(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.publish(t, 6)
	r := openReplay(t, rig.bus, replayConfig("2"))
	next(t, r, 2)
	done(t, r)
	next(t, r, 2) // killed before it acknowledges these
	rig.publish(t, 8)
	r = openReplay(t, rig.bus, replayConfig("2"))
	if got := next(t, r, 2); !cmp.Equal(got, []uint64{3, 4}) || r.Resumed != 2 || r.Until != 6 {
		t.Errorf("got %v after %d, up to %d; want 3 and 4 after 2, up to 6", got, r.Resumed, r.Until)
	}
	if _, err := rig.bus.OpenReplay(t.Context(), replayConfig("3")); !errors.Is(err, natsbus.ErrOtherReplay) {
		t.Errorf("got %v for another start, want ErrOtherReplay", err)
	}
	cfg := replayConfig("3")
	cfg.Sequence, cfg.Restart = 7, true
	if got := next(t, openReplay(t, rig.bus, cfg), 9); !cmp.Equal(got, []uint64{7, 8}) {
		t.Errorf("restarted: got %v", got)
	}
}

func TestReplayFromATime(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.publish(t, 2)
	cfg := replayConfig("later")
	cfg.Time = time.Now().Add(time.Hour)
	if r := openReplay(t, rig.bus, cfg); next(t, r, 9) != nil || r.Total != 0 {
		t.Errorf("got %d messages from the future", r.Total)
	}
	cfg.Time, cfg.Restart = time.Now().Add(-time.Hour), true
	if got := next(t, openReplay(t, rig.bus, cfg), 9); !cmp.Equal(got, []uint64{1, 2}) {
		t.Errorf("got %v", got)
	}
}

func TestReplayReportsAMissingStream(t *testing.T) {
	t.Parallel()
	bus := connected(t, natstest.Start(t).URL())
	_, err := bus.OpenReplay(t.Context(), replayConfig("x"))
	if want := "there is no stream BILLBUS: see STREAM_NAME and NATS_URL"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A server that is down, and then one without JetStream, which turns it off if its disk
// fails and rejects each request at once.
func TestReplayWaitsForJetStream(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	bus := open(t, srv.URL())
	provisioned(t, bus, settings(), natsbus.SubscriberConsumer(consumer))
	(&rig{pub: publisher(t, bus)}).publish(t, 2)
	r := openReplay(t, bus, replayConfig("the beginning"))
	address, err := url.Parse(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
	kit.Eventually(t, "the connection is down", func() bool { return bus.Check(t.Context()) != nil })
	waits(t, r, 100*time.Millisecond)
	bare, err := server.NewServer(&server.Options{Host: address.Hostname(), Port: port, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	bare.Start()
	defer bare.WaitForShutdown()
	defer bare.Shutdown()
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	waits(t, r, time.Second)
	if stats, err := bare.Varz(nil); err != nil || stats.InMsgs > 200 {
		t.Errorf("it sent %d requests in a second, %v", stats.InMsgs, err)
	}
}

func waits(t *testing.T, r *natsbus.Replay, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if _, err := r.Next(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that it waits", err)
	}
}
