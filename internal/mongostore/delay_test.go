package mongostore_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit/proxy"
	"github.com/billbus/billbus/test/storetest"
)

// delayed returns the URI of a proxy that passes on what clients send a while later.
func delayed(t *testing.T, uri string, by time.Duration) string {
	t.Helper()
	through, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	through.Host = proxy.Delayed(t, through.Host, by)
	return through.String()
}

// Behind a slow line, backlogs of new events and of events that are known are committed
// whatever MAX_IN_FLIGHT is, with commands that are linear in the messages.
func TestProgressBehindASlowLine(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T){}
	for name, uri := range databases() {
		for _, line := range []slowLine{
			{30 * time.Millisecond, 40, 2},
			{30 * time.Millisecond, 40, 1000},
			{200 * time.Millisecond, 16, 2},
			{200 * time.Millisecond, 16, 1000},
			{time.Second, 4, 1000},
		} {
			tests[fmt.Sprintf("%s, %s, batches up to %d", name, line.delay, line.maxBatch)] = func(t *testing.T) { line.check(t, uri) }
		}
	}
	atOnce(t, tests)
}

type slowLine struct {
	delay              time.Duration
	messages, maxBatch int
}

func (line slowLine) check(t *testing.T, uri string) {
	t.Helper()
	var half, all map[string]int
	atOnce(t, map[string]func(*testing.T){
		"half": func(t *testing.T) { half = line.commit(t, uri, line.messages/2) },
		"all":  func(t *testing.T) { all = line.commit(t, uri, line.messages) },
	})
	for kind, n := range all {
		if most := min(2*half[kind]+4, 5*line.messages); n > most {
			t.Errorf("%s: %d commands for %d messages, %d for half of them", kind, n, line.messages, half[kind])
		}
	}
	// Each of two lanes begins with a batch that is not full.
	if most := 4 * (line.messages/min(line.maxBatch, 8) + 2*2); uri != embedded && all["known"] > most {
		t.Errorf("known: %d commands for %d messages, want at most %d", all["known"], line.messages, most)
	}
	t.Logf("commands for %d messages: %v", line.messages, all)
}

// commit commits events of as many subscriptions, and then again, and returns the
// commands that it took.
func (line slowLine) commit(t *testing.T, uri string, messages int) map[string]int {
	t.Helper()
	db, tr, commands := newDatabase(t, uri), &traffic{}, map[string]int{}
	s, err := mongostore.OpenMonitored(mongostore.Config{
		URI: delayed(t, db.uri, line.delay), Database: db.Name(), MaxBatch: line.maxBatch, Now: now, Log: slog.New(slog.DiscardHandler),
	}, tr.monitor())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, kind := range []string{"new", "known"} {
		before := tr.sent()
		var work sync.WaitGroup
		for i := range messages {
			entry := storetest.Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "updated", 1, "active")
			work.Go(func() {
				effect, err := s.Commit(t.Context(), entry)
				if want := map[bool]store.Effect{true: store.Applied, false: store.Duplicate}[kind == "new"]; err != nil || effect != want {
					t.Errorf("%s: %s: got %s, %v, want %s", kind, entry.ID, effect, err, want)
				}
			})
		}
		work.Wait()
		commands[kind] = tr.sent() - before
	}
	return commands
}

func (tr *traffic) sent() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.commands)
}
