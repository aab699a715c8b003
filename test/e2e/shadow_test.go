package e2e_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const shadow = "rebuilt"

// shadowed is the summary of a comparison with a shadow.
type shadowed struct {
	Subscriptions int `json:"subscriptions"`
	Newer         int `json:"newer"`
	Differing     int `json:"differing"`
	Fixed         int `json:"fixed"`
}

// onShadow compares or applies a shadow. It returns the differences, and the summary.
func (c *cluster) onShadow(t *testing.T, option string) (code int, findings []string, s shadowed) {
	t.Helper()
	code, stdout, stderr := execute(t, "subscriber", c.env(), "replay", "--json", option, shadow)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatalf("exit status %d, %v\n%s%s", code, err, stdout, stderr)
	}
	return code, lines[:len(lines)-1], s
}

// TestShadowDuringLiveTraffic builds a shadow from the stream, and one from the audit
// trail, while events arrive.
func TestShadowDuringLiveTraffic(t *testing.T) {
	t.Parallel()
	c := simulated(t, "10")
	db := c.database(t)
	ctx, stop := context.WithCancel(t.Context())
	var polling, traffic sync.WaitGroup
	polling.Go(func() { watchStates(ctx, t, db.Collection("subscriptions")) })
	traffic.Go(func() { c.simulate(t, "10") })
	for _, source := range []string{"--rate=100000", "--from-audit"} {
		c.replay(t, source, "--into", shadow)
		if code, findings, summary := c.onShadow(t, "--diff"); code != 0 || summary.Subscriptions < 10 {
			t.Errorf("%s: got %d, %v, %+v, want no difference", source, code, findings, summary)
		}
	}
	traffic.Wait()
	c.drained(t)
	c.replay(t, "--into", shadow)
	if diff := cmp.Diff(comparable(t, db.Collection("subscriptions")), comparable(t, db.Collection(shadow))); diff != "" {
		t.Errorf("without traffic (-live +shadow):\n%s", diff)
	}
	stop()
	polling.Wait()
}

func TestApplyRestoresRecords(t *testing.T) {
	t.Parallel()
	c, path := newCluster(t), filepath.Join(t.TempDir(), "truth.json")
	c.simulate(t, "20", "--truth", path)
	c.drained(t)
	db := c.database(t)
	c.replay(t, "--into", shadow)
	before := content(t, db)
	damage(t, db)
	if code, findings, summary := c.onShadow(t, "--diff"); code != 1 || summary.Differing != 2 {
		t.Errorf("diff: got %d, %v, %+v, want two records", code, findings, summary)
	}
	if code, findings, summary := c.onShadow(t, "--apply"); code != 0 || summary.Fixed != 2 {
		t.Errorf("apply: got %d, %v, %+v, want two records", code, findings, summary)
	}
	if diff := cmp.Diff(before, content(t, db)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	c.judge(t, readTruth(t, path))
	interrupted := bson.D{{Key: "_id", Value: "replay"}, {Key: "what", Value: "the stream"}}
	if _, err := db.Collection(shadow+"_state_view").InsertOne(t.Context(), interrupted); err != nil {
		t.Fatal(err)
	}
	for _, option := range []string{"--diff", "--apply"} {
		code, stdout, stderr := execute(t, "subscriber", c.env(), "replay", option, shadow)
		if code != 1 || !strings.Contains(stderr, "is not finished: continue with --into "+shadow) {
			t.Errorf("%s of a shadow that is not finished: got %d, %s%s", option, code, stdout, stderr)
		}
	}
	if code, stdout, stderr := execute(t, "subscriber", c.env(), "replay", "--drop", shadow); code != 0 {
		t.Errorf("drop: got %d, %s%s", code, stdout, stderr)
	}
	names, err := db.ListCollectionNames(t.Context(), bson.D{})
	if err != nil || strings.Contains(strings.Join(names, " "), shadow) {
		t.Errorf("got collections %v, %v", names, err)
	}
	if code, _, stderr := execute(t, "subscriber", c.env(), "replay", "--into", "access"); code != 2 || !strings.Contains(stderr, "choose another name") {
		t.Errorf("into a collection of the database: got %d, %s", code, stderr)
	}
	if _, err := db.Collection("mine").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := execute(t, "subscriber", c.env(), "replay", "--into", "mine"); code != 1 || !strings.Contains(stderr, "no replay has made it") {
		t.Errorf("into another collection: got %d, %s", code, stderr)
	}
}

// damage removes a record with its events, and changes another one.
func damage(t *testing.T, db *mongo.Database) {
	t.Helper()
	all := records[recordDoc](t, db)
	lost, changed := all[0].Key, all[1].Key
	if _, err := db.Collection("webhook_events").DeleteMany(t.Context(), bson.D{{Key: "subscription_key", Value: lost}}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Collection("subscriptions").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: lost}}); err != nil {
		t.Fatal(err)
	}
	set := bson.D{{Key: "$set", Value: bson.D{{Key: "status", Value: "wrong"}}}}
	if _, err := db.Collection("subscriptions").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: changed}}, set); err != nil {
		t.Fatal(err)
	}
}
