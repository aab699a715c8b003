package mongostore_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/mongostore"
)

// traffic is what a driver sends and gets.
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

// of is the traffic of one entry.
func (tr *traffic) of(t *testing.T, s *mongostore.Store, entry events.Entry) (commands string, bytes int) {
	t.Helper()
	tr.mu.Lock()
	tr.commands, tr.bytes = nil, 0
	tr.mu.Unlock()
	record(t, s, entry)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.commands, " "), tr.bytes
}

// That this holds for ten thousand events is shown on the database in memory; here
// each operation of the store is one command, and its size does not grow.
func TestCostDoesNotGrowWithTheHistory(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		tr := &traffic{}
		s, err := mongostore.OpenMonitored(mongostore.Config{
			URI: db.uri, Database: db.Name(), MaxBatch: 16, Now: now, Log: slog.New(slog.DiscardHandler),
		}, tr.monitor())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		var commands []string
		var sizes []int
		for i := range 200 {
			c, n := tr.of(t, s, told("sub_1", fmt.Sprintf("evt_%05d", i), "updated", i, "active"))
			commands, sizes = append(commands, c), append(sizes, n)
		}
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
