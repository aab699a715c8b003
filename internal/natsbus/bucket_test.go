package natsbus_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit/natstest"
)

func TestBucketReplacesTheRevisionThatWasRead(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	bus := connected(t, srv.URL())
	bucket := bus.NewBucket(natsbus.ResolvedBucket)
	if _, _, err := bucket.Get(t.Context(), "a"); fault.ReasonOf(err) != fault.BucketFailed || fault.KindOf(err) != fault.Transient {
		t.Errorf("got %v for a missing bucket, want a transient bucket_failed", err)
	}
	provisioned(t, bus, settings(), natsbus.ResolverConsumer())
	var revision uint64
	for i, step := range []struct {
		value    string
		revision func() uint64
		want     bool
	}{
		{"one", func() uint64 { return 0 }, true},
		{"two", func() uint64 { return 0 }, false},
		{"three", func() uint64 { return revision + 1 }, false},
		{"four", func() uint64 { return revision }, true},
		{"five", func() uint64 { return revision - 1 }, false},
	} {
		next, ok, err := bucket.Put(t.Context(), "live.platform.sub_1", []byte(step.value), step.revision())
		if ok != step.want || err != nil {
			t.Fatalf("step %d: got %v, %v, want %v", i, ok, err, step.want)
		}
		if ok {
			revision = next
		}
	}
	value, got, err := bucket.Get(t.Context(), "live.platform.sub_1")
	if string(value) != "four" || got != revision || err != nil {
		t.Errorf("got %q in revision %d, %v, want four in %d", value, got, err, revision)
	}
	// A deleted value counts as none.
	kv, err := natstest.JetStream(t, srv.URL()).KeyValue(t.Context(), natsbus.ResolvedBucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "live.platform.sub_1"); err != nil {
		t.Fatal(err)
	}
	if _, got, err := bucket.Get(t.Context(), "live.platform.sub_1"); got != 0 || err != nil {
		t.Errorf("after the deletion: got revision %d, %v", got, err)
	}
	if _, ok, err := bucket.Put(t.Context(), "live.platform.sub_1", []byte("six"), 0); !ok || err != nil {
		t.Errorf("after the deletion: got %v, %v", ok, err)
	}
	status, err := kv.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cfg := status.(*jetstream.KeyValueBucketStatus).StreamInfo().Config; status.History() != 1 || cfg.Storage != jetstream.FileStorage || cfg.MaxAge != 0 {
		t.Errorf("got history %d, %+v", status.History(), cfg)
	}
}

func TestMissingBucketIsReported(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	// It ends with its test, and does not create the bucket again.
	t.Run("created", func(t *testing.T) { provisioned(t, open(t, srv.URL()), settings(), natsbus.ResolverConsumer()) })
	js := natstest.JetStream(t, srv.URL())
	if err := js.DeleteKeyValue(t.Context(), natsbus.ResolvedBucket); err != nil {
		t.Fatal(err)
	}
	refused(t, provision(t, open(t, srv.URL()), natsbus.ProvisionCheck, settings(), natsbus.ResolverConsumer()), "bucket BILLBUS_RESOLVED does not exist")
	provisioned(t, open(t, srv.URL()), settings(), natsbus.ResolverConsumer())
	if _, err := js.KeyValue(t.Context(), natsbus.ResolvedBucket); err != nil {
		t.Errorf("got %v, want the bucket created again", err)
	}
}
