package e2e_test

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/judge"
	"github.com/billbus/billbus/test/kit/natstest"
)

const apiKey = "sk_test_e2e"

// account is an account at Stripe: its history, and what a bridge needs to read it.
type account struct {
	stripesim.History
	env []string
}

func newAccount(t *testing.T, h stripesim.History, faults api.Faults) account {
	t.Helper()
	server := httptest.NewServer(api.New(api.Config{Accounts: []api.Account{{Key: apiKey, History: h}}, Faults: faults}))
	t.Cleanup(server.Close)
	return account{h, []string{"STRIPE_API_BASE=" + server.URL, "STRIPE_API_KEY=" + apiKey, "WEBHOOK_LIVEMODE=test"}}
}

// count returns a number that an environment variable can enlarge.
func count(t *testing.T, name, otherwise string) int {
	t.Helper()
	n, err := strconv.Atoi(setting(name, otherwise))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// recentHistory returns subscriptions whose whole history is in the last 29 days.
func recentHistory(t *testing.T, subscriptions int) stripesim.History {
	t.Helper()
	now := time.Now()
	seed := uint64(now.UnixNano())
	t.Logf("seed %d", seed)
	h := stripesim.Generate(stripesim.Config{
		Seed: seed, Subscriptions: subscriptions, Ties: 1, UserIDs: true, Start: now.Add(-29 * 24 * time.Hour),
		Kinds: []stripesim.Kind{stripesim.Chain, stripesim.Created, stripesim.Marker, stripesim.Ended},
	})
	unfinished := map[string]bool{}
	for _, d := range h.Deliveries {
		unfinished[d.SubscriptionID] = unfinished[d.SubscriptionID] || d.Created.After(now.Add(-time.Minute))
	}
	h.Deliveries = slices.DeleteFunc(h.Deliveries, func(d stripesim.Delivery) bool { return unfinished[d.SubscriptionID] })
	for key, truth := range h.Truth {
		if unfinished[truth.Subscription.ID] {
			delete(h.Truth, key)
		}
	}
	return h
}

// lossy starts a cluster that gets nine tenths of the events. BILLBUS_E2E_MISSED sets the number
// of subscriptions.
func lossy(t *testing.T) (c *cluster, a account, lost int) {
	t.Helper()
	a = newAccount(t, recentHistory(t, count(t, "BILLBUS_E2E_MISSED", "40")), api.Faults{})
	c = newFragileCluster(t, a.env...)
	report, err := stripesim.Send(t.Context(), a.History, stripesim.SendConfig{URL: c.webhookURL, Secret: secret, Drop: 0.1, Duplicates: 0.1, Disorder: true})
	if err != nil {
		t.Fatal(err)
	}
	c.drained(t)
	lost = len(a.Deliveries) - report.Events
	_, _, summary := c.verify(t)
	t.Logf("%d of %d events lost: %d of %d records differ from Stripe, and %v gaps are noticed",
		lost, len(a.Deliveries), c.differing(t, a.Truth), len(a.Truth), summary["gaps"])
	if summary["gaps"] == 0.0 {
		t.Error("no gap is noticed")
	}
	return c, a, lost
}

// differing returns how many records are not as Stripe has the subscriptions.
func (c *cluster) differing(t *testing.T, truth map[string]stripesim.Truth) (n int) {
	t.Helper()
	have := byKey(records[bson.M](t, c.database(t)))
	for key, history := range truth {
		record, ok := have[key]
		if !ok || record["ordering"] != "determined" {
			n++
			continue
		}
		diff, err := judge.Difference(record, history.Recorded()[0])
		if err != nil {
			t.Fatal(err)
		}
		if diff != "" {
			n++
		}
	}
	return n
}

// audited returns how many documents of the audit trail each event has.
func (c *cluster) audited(t *testing.T) map[string]int {
	t.Helper()
	times := map[string]int{}
	for _, doc := range audit[auditDoc](t, c.database(t)) {
		times[doc.EventID]++
	}
	return times
}

// missing returns how many events are not in the audit trail.
func (c *cluster) missing(t *testing.T, a account) (n uint64) {
	t.Helper()
	times := c.audited(t)
	for _, d := range a.Deliveries {
		if times[d.ID] == 0 {
			n++
		}
	}
	return n
}

// complete checks the end: every event once, every record right, and no gap.
func (c *cluster) complete(t *testing.T, a account) {
	t.Helper()
	c.drained(t)
	times := c.audited(t)
	for _, d := range a.Deliveries {
		if times[d.ID] != 1 {
			t.Errorf("%s is in the audit trail %d times", d.ID, times[d.ID])
		}
	}
	if n := c.differing(t, a.Truth); n != 0 {
		t.Errorf("%d of %d records differ from Stripe", n, len(a.Truth))
	}
	if code, findings, summary := c.verify(t); code != 0 || summary["gaps"] != 0.0 {
		t.Errorf("verify: got %d, %v, %v", code, summary, findings)
	}
}

// halfway waits until half of the lost events are in the stream.
func (c *cluster) halfway(t *testing.T, before uint64, lost int) {
	t.Helper()
	js := c.jetStream(t)
	kit.Eventually(t, "half of the lost events are published", func() bool {
		return natstest.Count(t, js, "BILLBUS") >= before+uint64(lost)/2
	})
}

// Nobody does anything but to start the bridge with an interval. If it is killed, the next one
// waits until its lease has ended.
func TestMissedEventsComeByThemselves(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %t", killed), func(t *testing.T) {
			t.Parallel()
			c, a, lost := lossy(t)
			before := natstest.Count(t, c.jetStream(t), "BILLBUS")
			c.bridge.Kill(t)
			c.bridge.Env = append(c.bridge.Env, "BACKFILL_INTERVAL=10s")
			start := time.Now()
			c.bridge.Start(t)
			if killed {
				c.halfway(t, before, lost)
				c.bridge.Kill(t)
				c.bridge.Start(t)
			}
			// Records can be right although events are still missing.
			kit.Drained(t, "all events are in the audit trail", func() (uint64, error) { return c.missing(t, a), nil })
			t.Logf("all %d events are in the audit trail %.1f s after the start of the bridge", len(a.Deliveries), time.Since(start).Seconds())
			c.complete(t, a)
		})
	}
}

func TestMissedEventsAreBackfilledByHand(t *testing.T) {
	t.Parallel()
	c, a, lost := lossy(t)
	before := natstest.Count(t, c.jetStream(t), "BILLBUS")
	env := append([]string{"NATS_URL=" + c.natsURL}, a.env...)
	backfill := &kit.Process{
		Name: "bridge backfill", Command: []string{filepath.Join(binaries, "bridge"), "backfill"}, Log: filepath.Join(t.TempDir(), "backfill.log"), Env: env,
	}
	backfill.Start(t)
	c.halfway(t, before, lost)
	backfill.Kill(t)
	for _, run := range []string{"second", "third"} {
		code, stdout, stderr := execute(t, "bridge", env, "backfill")
		if code != 0 {
			t.Errorf("%s run: exit status %d\n%s%s", run, code, stdout, stderr)
		}
		t.Logf("%s run: %s", run, stdout)
	}
	c.complete(t, a)
}
