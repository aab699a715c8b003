package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// commandDies runs a command that dies at a point, and runs it again as it is shipped.
func commandDies(t *testing.T, point string, times int, env []string, program string, args ...string) (stdout string) {
	t.Helper()
	p := &kit.Process{
		Name: program, Command: append([]string{filepath.Join(binaries, program)}, args...), Env: env, Log: filepath.Join(t.TempDir(), "command.log"),
	}
	arm(t, p, point, times)
	p.Start(t)
	died(t, p, point)
	code, stdout, stderr := execute(t, program, env, args...)
	if code != 0 {
		t.Errorf("%s: exit status %d after the crash at %s\n%s%s", strings.Join(args, " "), code, point, stdout, stderr)
	}
	return stdout
}

// TestCrashesWithDeadLetters kills the commands that settle letters. Four letters are of
// messages that this release can read.
func TestCrashesWithDeadLetters(t *testing.T) {
	t.Parallel()
	c := newFragileCluster(t)
	js, accepted := c.jetStream(t), map[string]bool{}
	if err := c.subscriber.Terminate(t); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 4; n++ {
		id := fmt.Sprintf("evt_%d", n)
		accept(t, c.webhookURL, event(id, "sub_1", n))
		giveUp(t, js)
		accepted[id] = true
	}
	c.subscriber.Start(t)
	ready(t, c.subAdmin)
	c.drained(t)
	commandDies(t, "letter:applied", 1, c.env(), "subscriber", "dlq", "redrive", "1", "2")
	commandDies(t, "letter:recorded", 1, c.env(), "subscriber", "dlq", "redrive", "3")
	commandDies(t, "letter:recorded", 1, c.env(), "subscriber", "dlq", "discard", "4", "--yes")
	delete(accepted, "evt_4")
	c.check(t, accepted)
	checkView(t, c)
	if n := len(docs[bson.M](t, c.database(t).Collection("dead_letters"))); n != 4 {
		t.Errorf("%d letters are recorded, want each of 4 once", n)
	}
}

// TestCrashOfAnImport kills an import between two snapshots.
func TestCrashOfAnImport(t *testing.T) {
	t.Parallel()
	i := newImporter(t, 40, func(c *cluster) {
		c.bridge.Start(t)
		ready(t, c.bridgeAdmin)
	})
	commandDies(t, "import:published", 90, i.env, "bridge", "import", "--rate=100")
	i.publishesNothing(t)
	times := map[string]int{}
	for _, m := range i.messages(t, events.SubjectSnapshot) {
		times[m.Subject]++
	}
	for _, truth := range i.Truth {
		if n := times[truth.Subscription.ID]; n != 1 {
			t.Errorf("%s: got %d snapshots, want one", truth.Subscription.ID, n)
		}
	}
}

// TestCrashOfLinking kills the publishing of links in the middle.
func TestCrashOfLinking(t *testing.T) {
	t.Parallel()
	c := newFragileCluster(t)
	var rows strings.Builder
	for n := range 20 {
		body := strings.NewReplacer("cus_1", fmt.Sprintf("cus_%d", n), `"user_id":"user_1",`, "").Replace(string(event(fmt.Sprintf("evt_%d", n), fmt.Sprintf("sub_%d", n), n)))
		accept(t, c.webhookURL, []byte(body))
		_, _ = fmt.Fprintf(&rows, "cus_%d,user_%d\n", n, n)
	}
	file := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(file, []byte("customer,user\n"+rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	commandDies(t, "link:published", 7, []string{"NATS_URL=" + c.natsURL}, "bridge", "link", "--webhook-livemode", "test", "--file", file)
	c.drained(t)
	for _, record := range records[bson.M](t, c.database(t)) {
		if want := strings.Replace(fmt.Sprint(record["subscription_id"]), "sub_", "user_", 1); record["user_id"] != want {
			t.Errorf("%v belongs to %v, want %s", record["_id"], record["user_id"], want)
		}
	}
	if n := natstest.Count(t, c.jetStream(t), "BILLBUS"); n != 40 {
		t.Errorf("got %d messages, want 20 events and each of 20 links once", n)
	}
	checkView(t, c)
}

// TestCrashesOfABackfill kills the bridge at each point of a backfill, one after the other, and
// the subscriber when it has reported the gaps.
func TestCrashesOfABackfill(t *testing.T) {
	t.Parallel()
	a := newAccount(t, recentHistory(t, 20), api.Faults{})
	c := newFragileCluster(t, a.env...)
	c.subscriber.Kill(t)
	c.report(t, gaps.Gap{Subscription: "test:platform:sub_gap", After: "evt_1", Before: "evt_3", Until: time.Now().Add(-time.Hour)})
	disarm := arm(t, c.subscriber, "gaps:reported", 1)
	c.subscriber.Start(t)
	died(t, c.subscriber, "gaps:reported")
	_, err := stripesim.Send(t.Context(), a.History, stripesim.SendConfig{URL: c.webhookURL, Secret: secret, Drop: 0.15, Disorder: true})
	if err != nil {
		t.Fatal(err)
	}
	disarm()
	c.subscriber.Start(t)
	c.drained(t)
	c.bridge.Kill(t)
	c.bridge.Env = append(slices.Clone(c.bridge.Env), "BACKFILL_INTERVAL=10s")
	for _, point := range []string{"backfill:leased", "backfill:published", "backfill:filled", "backfill:looked"} {
		disarm = arm(t, c.bridge, point, 1)
		c.bridge.Start(t)
		died(t, c.bridge, point)
		disarm()
		c.endLease(t)
	}
	c.bridge.Start(t)
	ready(t, c.bridgeAdmin)
	c.complete(t, a)
	checkView(t, c)
	if list := c.reported(t); len(list) != 1 || list[0].After != "evt_1" || time.Since(list[0].CheckedAt) > 10*time.Minute {
		t.Errorf("got the report %+v, want the gap that was taken over", list)
	}
}

// report reports a gap, as a subscriber that has not run for long.
func (c *cluster) report(t *testing.T, g gaps.Gap) {
	t.Helper()
	value, err := json.Marshal(gaps.Report{Gaps: []gaps.Gap{g}})
	if err != nil {
		t.Fatal(err)
	}
	kv, err := c.jetStream(t).KeyValue(t.Context(), events.StateBucket)
	if err == nil {
		_, err = kv.Put(t.Context(), gaps.Key, value)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reported returns the gaps that subscribers have reported.
func (c *cluster) reported(t *testing.T) []gaps.Gap {
	t.Helper()
	kv, err := c.jetStream(t).KeyValue(t.Context(), events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(t.Context(), gaps.Key)
	if err != nil {
		return nil
	}
	return gaps.Decode(entry.Value()).Gaps
}

// endLease ends the lease of a bridge that has died, for which another one waits a minute.
func (c *cluster) endLease(t *testing.T) {
	t.Helper()
	kv, err := c.jetStream(t).KeyValue(t.Context(), "BILLBUS_RESOLVED")
	if err == nil {
		err = kv.Delete(t.Context(), "backfill.lease")
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Fatal(err)
	}
}
