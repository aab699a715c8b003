package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// replayVariable is how many messages are replayed. Figures that mean something need
// thousands.
const replayVariable = "BILLBUS_TEST_REPLAY_MESSAGES"

// manySubscriptions is how many subscriptions the messages are about.
const manySubscriptions = 200

// manyEvents returns the n-th message. Each has the size of an event of Stripe's.
func manyEvents(n int) events.Message {
	m := kit.Event(fmt.Sprintf("sub_%d", n%manySubscriptions), fmt.Sprintf("evt_%d", n), "updated", n/manySubscriptions*40, "active")
	m.Data.Event = fmt.Appendf(nil, `{"id":%q,"padding":%q}`, m.ID, strings.Repeat("x", 3000))
	return m
}

// TestReplayOfManyMessages measures a replay: its rate, compared with that of the same
// writes, and its memory, which does not depend on the number of messages.
func TestReplayOfManyMessages(t *testing.T) {
	t.Parallel()
	messages := manySubscriptions
	if text := os.Getenv(replayVariable); text != "" {
		var err error
		if messages, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	c := newCluster(t)
	c.subscriber.Kill(t)
	publishMany(t, c.jetStream(t), messages)
	few, fewPeak := c.measure(t, "--from-sequence", strconv.Itoa(messages-messages/10+1))
	all, peak := c.measure(t)
	if few.Messages != messages/10 || all.Messages != messages || all.Outcomes["permanent"] > 0 {
		t.Errorf("replayed %+v and %+v of %d messages", few, all, messages)
	}
	if n := len(docs[recordDoc](t, c.database(t).Collection(shadow))); n != manySubscriptions {
		t.Errorf("got %d records, want %d", n, manySubscriptions)
	}
	if peak > fewPeak+64<<10 {
		t.Errorf("%d messages took %d KiB of memory, and %d of them %d KiB", messages, peak, messages/10, fewPeak)
	}
	direct := commitMany(t, c, messages)
	t.Logf("%d messages: %.0f a second, %.0f%% of %.0f a second that are written directly; peak %d MiB, and %d MiB for a tenth of them",
		messages, float64(messages)/all.Seconds, 100*direct.Seconds()/all.Seconds, float64(messages)/direct.Seconds(), peak>>10, fewPeak>>10)
}

func publishMany(t *testing.T, js jetstream.JetStream, messages int) {
	t.Helper()
	for n := range messages {
		m := manyEvents(n)
		payload, err := events.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: m.Type, Header: nats.Header{"Nats-Msg-Id": {m.ID}}, Data: payload}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-t.Context().Done():
		t.Fatal("the messages were not published")
	}
}

type measured struct {
	replayed
	Seconds float64 `json:"seconds"`
}

// measure replays into a shadow. It returns the most memory that the process had, in KiB.
func (c *cluster) measure(t *testing.T, args ...string) (m measured, peak int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "subscriber"), append([]string{"replay", "--json", "--into", shadow}, args...)...)
	cmd.Env, cmd.Stderr = c.env(), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return m, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
}

// commitMany stores the same messages without a stream, in the same batches.
func commitMany(t *testing.T, c *cluster, messages int) time.Duration {
	t.Helper()
	db, err := mongostore.Open(mongostore.Config{
		URI: c.mongoURI, Database: c.dbName, Shadow: "direct", MaxBatch: 128, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	db.Provision(t.Context(), true)
	start := time.Now()
	for from := 0; from < messages; from += 256 {
		var work sync.WaitGroup
		for n := from; n < min(from+256, messages); n++ {
			work.Go(func() {
				if _, err := db.Commit(t.Context(), store.Entry{Message: manyEvents(n)}); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
	}
	return time.Since(start)
}
