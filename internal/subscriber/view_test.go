package subscriber

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/storetest"
)

// committed is a database without a queue.
type committed struct{ *store.Committer }

func (c committed) Commit(ctx context.Context, e store.Entry) (store.Effect, error) {
	res := c.Committer.Commit(ctx, []store.Entry{e})[0]
	return res.Effect, res.Err
}

// A process that died after it had stored a record leaves the rest to the next delivery.
func TestADuplicateGoesOnToTheStateView(t *testing.T) {
	t.Parallel()
	bus, err := natsbus.Open(natsbus.Auth{URL: natstest.Start(t).URL()}, t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream := config.Stream{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: time.Hour, StateView: true}
	if err := bus.Alter(t.Context(), natsbus.StreamSettings(stream)); err != nil {
		t.Fatal(err)
	}
	client := storetest.NewMemory().Connect(storetest.Hooks{})
	db := committed{store.NewCommitter(client, time.Now)}
	v, err := newView(bus, stream, client, noMetrics{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	if _, err := db.Commit(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	if effect, err := (following{db, v}).Commit(t.Context(), entry); effect != store.Duplicate || err != nil {
		t.Fatalf("got %s, %v, want a duplicate", effect, err)
	}
	if _, revision, err := bus.NewBucket(events.StateBucket).Get(t.Context(), "test.platform.sub_1"); revision == 0 || err != nil {
		t.Errorf("got revision %d, %v, want an entry", revision, err)
	}
	change := entry
	change.ID, change.Type, change.Data.Subscription = "access_1", events.SubjectAccessGranted, nil
	if _, err := (following{db, v}).Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if found, err := client.Messages(t.Context(), []string{kit.Key("access_1")}); len(found) > 0 || err != nil {
		t.Errorf("got %v, %v: a change of access is in the audit trail", found, err)
	}
}
