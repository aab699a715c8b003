package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

type replayed struct {
	Messages int            `json:"messages"`
	Outcomes map[string]int `json:"outcomes"`
	Resumed  uint64         `json:"resumed_behind"`
}

// replay runs the command.
func (c *cluster) replay(t *testing.T, args ...string) replayed {
	t.Helper()
	code, stdout, stderr := execute(t, "subscriber", c.env(), append([]string{"replay", "--json"}, args...)...)
	var r replayed
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v\n%s%s", code, err, stdout, stderr)
	}
	return r
}

// rebuilt are the collections that a replay rebuilds.
var rebuilt = []string{"subscriptions", "webhook_events", "identities", "catalog", "entitlements", "access"}

// content returns the collections without the fields that depend on when, and how often,
// they were written.
func content(t *testing.T, db *mongo.Database) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, name := range rebuilt {
		all[name] = comparable(t, db.Collection(name))
	}
	all["catalog"] = map[string]string{}
	for _, doc := range docs[bson.M](t, db.Collection("catalog")) {
		all["catalog"][doc["_id"].(string)] = fmt.Sprint(doc["event_id"], doc["name"], doc["nickname"], doc["lookup_key"], doc["active"])
	}
	return all
}

// TestReplayRestoresWhatWasDropped also kills the first replay.
func TestReplayRestoresWhatWasDropped(t *testing.T) {
	t.Parallel()
	c := simulated(t, "25")
	db, js := c.database(t), c.jetStream(t)
	before := content(t, db)
	messages := int(natstest.Count(t, js, "BILLBUS"))
	if r := c.replay(t); r.Messages != messages || r.Outcomes["duplicate"] != messages {
		t.Errorf("onto a populated database: got %+v, want %d duplicates", r, messages)
	}
	if diff := cmp.Diff(before, content(t, db)); diff != "" {
		t.Errorf("onto a populated database (-before +after):\n%s", diff)
	}
	for _, name := range rebuilt {
		if err := db.Collection(name).Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p := &kit.Process{
		Name: "replay", Command: []string{filepath.Join(binaries, "subscriber"), "replay", "--rate=50"}, Env: c.env(), Log: filepath.Join(t.TempDir(), "log"),
	}
	p.Start(t)
	kit.Eventually(t, "half of the events are stored", func() bool {
		n, err := db.Collection("webhook_events").CountDocuments(t.Context(), bson.D{})
		return err == nil && n > int64(messages)/2
	})
	p.Kill(t)
	if r := c.replay(t); r.Messages >= messages || r.Resumed == 0 {
		t.Errorf("after the kill: got %+v of %d messages", r, messages)
	}
	if diff := cmp.Diff(before, content(t, db)); diff != "" {
		t.Errorf("after the kill (-before +after):\n%s", diff)
	}
	if _, err := js.Consumer(t.Context(), "BILLBUS", durable+"-replay"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("the replay's consumer: got %v, want none", err)
	}
	if code, findings, _ := c.verify(t); code != 0 || len(findings) != 0 {
		t.Errorf("verify: got %d, %v", code, findings)
	}
}

// TestReplayDuringLiveTraffic polls all records meanwhile: none may go back to an earlier
// state.
func TestReplayDuringLiveTraffic(t *testing.T) {
	t.Parallel()
	c := simulated(t, "10")
	states := c.database(t).Collection("subscriptions")
	ctx, stop := context.WithCancel(t.Context())
	var polling sync.WaitGroup
	polling.Go(func() { watchStates(ctx, t, states) })
	var traffic sync.WaitGroup
	traffic.Go(func() { c.simulate(t, "10") })
	for range 2 {
		c.replay(t)
	}
	traffic.Wait()
	c.drained(t)
	stop()
	polling.Wait()
	if code, findings, summary := c.verify(t); code != 0 || len(findings) != 0 || summary["subscriptions"] != 20.0 {
		t.Errorf("verify: got %d, %v, %v", code, summary, findings)
	}
}

// watchStates fails the test when a record has a lower revision, or an earlier event,
// than before.
func watchStates(ctx context.Context, t *testing.T, states *mongo.Collection) {
	type row struct {
		Key     string `bson:"_id"`
		Version struct {
			N        int64         `bson:"n"`
			Created  bson.DateTime `bson:"event_created"`
			Terminal bool          `bson:"terminal"`
		} `bson:"version"`
	}
	last, polls := map[string]row{}, 0
	for ; ctx.Err() == nil; polls++ {
		cursor, err := states.Find(ctx, bson.D{})
		var all []row
		if err != nil || cursor.All(ctx, &all) != nil {
			continue
		}
		for _, now := range all {
			was, ok := last[now.Key]
			if ok && (now.Version.N < was.Version.N || was.Version.Terminal && !now.Version.Terminal ||
				now.Version.Terminal == was.Version.Terminal && now.Version.Created < was.Version.Created-2000) {
				t.Errorf("%s went back from %+v to %+v", now.Key, was.Version, now.Version)
			}
			last[now.Key] = now
		}
	}
	t.Logf("polled all records %d times", polls)
}
