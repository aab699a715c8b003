package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// simulated starts a cluster that has stored the histories of some subscriptions.
func simulated(t *testing.T, subscriptions string, more ...string) *cluster {
	t.Helper()
	c := newCluster(t, more...)
	c.simulate(t, subscriptions)
	c.drained(t)
	return c
}

// simulate sends histories, out of order and with repetitions. It logs the seed:
// stripesim --seed sends the same events again.
func (c *cluster) simulate(t *testing.T, subscriptions string, args ...string) {
	t.Helper()
	args = append([]string{"--url", c.webhookURL, "--subscriptions", subscriptions, "--duplicates", "--disorder", "--ties", "0.3"}, args...)
	code, report, stderr := execute(t, "stripesim", []string{"STRIPESIM_SECRET=" + secret}, args...)
	if code != 0 {
		t.Fatalf("stripesim: exit status %d\n%s", code, stderr)
	}
	t.Log(report)
}

// verify runs the command. The summary is the last line of its output.
func (c *cluster) verify(t *testing.T, args ...string) (code int, findings []string, summary map[string]any) {
	t.Helper()
	code, stdout, stderr := execute(t, "subscriber", c.env(), append([]string{"verify", "--json"}, args...)...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	findings = lines[:len(lines)-1]
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &summary); err != nil {
		t.Fatalf("exit status %d, %v\n%s%s", code, err, stdout, stderr)
	}
	return code, findings, summary
}

func TestVerifyReportsAndRepairsDamagedRecords(t *testing.T) {
	t.Parallel()
	c := simulated(t, "200")
	if code, findings, summary := c.verify(t); code != 0 || len(findings) != 0 || summary["subscriptions"] != 200.0 {
		t.Fatalf("untouched: got %d, %v\n%s", code, summary, strings.Join(findings, "\n"))
	}
	states := c.database(t).Collection("subscriptions")
	before := comparable(t, states)
	keys := docs[recordDoc](t, states)
	c.damage(t, states, keys[0].Key, bson.D{{Key: "status", Value: "bogus"}, {Key: "extra", Value: 1}})
	c.damage(t, states, keys[1].Key, bson.D{{Key: "version.known", Value: bson.A{}}})
	c.damage(t, states, keys[2].Key, bson.D{{Key: "version.rule", Value: 1}, {Key: "status", Value: "older"}})
	if _, err := states.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: keys[3].Key}}); err != nil {
		t.Fatal(err)
	}
	code, findings, summary := c.verify(t)
	if code != 1 || summary["differing"] != 4.0 || len(findings) != 5 {
		t.Errorf("damaged: got %d, %v\n%s", code, summary, strings.Join(findings, "\n"))
	}
	if code, findings, summary := c.verify(t, "--fix"); code != 0 || summary["fixed"] != 4.0 {
		t.Errorf("fixing: got %d, %v\n%s", code, summary, strings.Join(findings, "\n"))
	}
	if code, findings, _ := c.verify(t); code != 0 || len(findings) != 0 {
		t.Errorf("afterwards: got %d\n%s", code, strings.Join(findings, "\n"))
	}
	if diff := cmp.Diff(before, comparable(t, states)); diff != "" {
		t.Errorf("records (-before +after):\n%s", diff)
	}
}

func (c *cluster) damage(t *testing.T, states *mongo.Collection, key string, fields bson.D) {
	t.Helper()
	res, err := states.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: key}}, bson.D{{Key: "$set", Value: fields}})
	if err != nil || res.MatchedCount != 1 {
		t.Fatalf("damaging %s: %v, %v", key, res, err)
	}
}

// comparable returns the documents of a collection without the fields that depend on
// when, how often and after what a document was written.
func comparable(t *testing.T, collection *mongo.Collection) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, doc := range docs[bson.D](t, collection) {
		var kept bson.D
		key := ""
		for _, e := range doc {
			switch version, ok := e.Value.(bson.D); {
			case e.Key == "_id":
				key = e.Value.(string)
			case e.Key == "first_seen_at", e.Key == "updated_at":
				continue
			case e.Key == "version" && ok:
				e.Value = without(without(without(version, "n"), "reread"), "catalog")
			}
			kept = append(kept, e)
		}
		slices.SortFunc(kept, func(a, b bson.E) int { return strings.Compare(a.Key, b.Key) }) // a user that is set comes last
		text, err := bson.MarshalExtJSON(kept, true, false)
		if err != nil {
			t.Fatal(err)
		}
		texts[key] = string(text)
	}
	return texts
}

func without(doc bson.D, key string) bson.D {
	var kept bson.D
	for _, e := range doc {
		if e.Key != key {
			kept = append(kept, e)
		}
		slices.SortFunc(kept, func(a, b bson.E) int { return strings.Compare(a.Key, b.Key) }) // a user that is set comes last
	}
	return kept
}
