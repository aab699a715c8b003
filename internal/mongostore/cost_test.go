package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// traffic counts what a driver sends and receives.
type traffic struct {
	mu       sync.Mutex
	commands []string
	bytes    int
}

func (tr *traffic) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{
		Started:   func(_ context.Context, e *event.CommandStartedEvent) { tr.add(len(e.Command), e.CommandName) },
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) { tr.add(len(e.Reply)) },
	}
}

func (tr *traffic) add(bytes int, commands ...string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.bytes += bytes
	tr.commands = append(tr.commands, commands...)
}

// of returns the traffic of one entry.
func (tr *traffic) of(t *testing.T, s *mongostore.Store, entry store.Entry) (commands string, bytes int) {
	t.Helper()
	tr.mu.Lock()
	tr.commands, tr.bytes = nil, 0
	tr.mu.Unlock()
	commit(t, s, entry)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.commands, " "), tr.bytes
}

// The same test runs in package store on the database in memory, with ten thousand
// events. This one shows that each operation is one command, whose size does not grow.
func TestCostDoesNotGrowWithTheHistory(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		tr := &traffic{}
		s := db.openMonitored(t, tr.monitor())
		var commands []string
		var sizes []int
		for i := range 200 {
			c, n := tr.of(t, s, storetest.Entry("sub_1", fmt.Sprintf("evt_%05d", i), "updated", 10*i, "active"))
			commands, sizes = append(commands, c), append(sizes, n)
		}
		// The embedded database remembers the head of the record, but compares the revision by
		// a command of its own.
		if diff := cmp.Diff("insert find update", commands[10]); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		if got := slices.Compact(slices.Clone(commands[1:])); len(got) != 1 {
			t.Errorf("commands: got %q", got)
		}
		if most := slices.Max(sizes[10:]); most > sizes[10]+100 {
			t.Errorf("bytes: got %d, and %d for the tenth event", most, sizes[10])
		}
	})
}

func (db database) openMonitored(t *testing.T, monitor *event.CommandMonitor) *mongostore.Store {
	t.Helper()
	s, err := mongostore.OpenMonitored(mongostore.Config{
		URI: db.uri, Database: db.Name(), MaxBatch: 16, Now: now, Log: slog.New(slog.DiscardHandler),
	}, monitor)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// overlap counts the updates that run at the same time.
type overlap struct {
	mu          sync.Mutex
	now, most   int
	updates     int
	serverAsked int
}

func (o *overlap) monitor() *event.CommandMonitor {
	count := func(name string, by int) {
		o.mu.Lock()
		defer o.mu.Unlock()
		switch name {
		case "update":
			o.now, o.updates = o.now+by, o.updates+max(by, 0)
			o.most = max(o.most, o.now)
		case "buildInfo":
			o.serverAsked += max(by, 0)
		}
	}
	return &event.CommandMonitor{
		Started:   func(_ context.Context, e *event.CommandStartedEvent) { count(e.CommandName, 1) },
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) { count(e.CommandName, -1) },
		Failed:    func(_ context.Context, e *event.CommandFailedEvent) { count(e.CommandName, -1) },
	}
}

func TestReplacementsAreOneCommandOnMongoDBOnly(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		o := &overlap{}
		s := db.openMonitored(t, o.monitor())
		for round := range 5 {
			var batch []store.Entry
			for i := range 40 {
				batch = append(batch, storetest.Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d_%d", round, i), "updated", round, "active"))
			}
			if _, errs := s.CommitBatch(t.Context(), batch...); errors.Join(errs...) != nil {
				t.Fatal(errs)
			}
		}
		for i := range 40 {
			expect(t, db.record(t, fmt.Sprintf("sub_%d", i)), fmt.Sprintf("evt_4_%d", i), "active", "determined")
		}
		want := 4 // the first round inserts
		if db.uri == embedded {
			want = 160
		}
		if o.updates != want || o.most != 1 || o.serverAsked != 1 {
			t.Errorf("got %d updates, up to %d at once, want %d, and the server was asked %d times", o.updates, o.most, want, o.serverAsked)
		}
	})
}
