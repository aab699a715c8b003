package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// households returns the history of customers with up to four subscriptions each.
// BILLBUS_E2E_SUBSCRIPTIONS sets how many subscriptions there are, BILLBUS_E2E_SEED the
// seed.
func households(t *testing.T) stripesim.History {
	t.Helper()
	n, err := strconv.Atoi(setting("BILLBUS_E2E_SUBSCRIPTIONS", "60"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(setting("BILLBUS_E2E_SEED", strconv.FormatUint(rand.Uint64(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("BILLBUS_E2E_SEED=%d", seed)
	return stripesim.Generate(stripesim.Config{Seed: seed, Subscriptions: n, PerCustomer: 4, UserIDs: true})
}

// send sends a history in the background. The returned function waits for its end.
func (c *cluster) send(t *testing.T, h stripesim.History, cfg stripesim.SendConfig) (wait func()) {
	t.Helper()
	cfg.URL, cfg.Secret = c.webhookURL, secret
	sent := make(chan error, 1)
	go func() {
		_, err := stripesim.Send(t.Context(), h, cfg)
		sent <- err
	}()
	return func() {
		t.Helper()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheStateViewFollowsTheTruth kills both programs while customers with several
// subscriptions come and go, and a watcher looks. On MongoDB there are two subscribers. Then
// it rebuilds the database.
func TestTheStateViewFollowsTheTruth(t *testing.T) {
	t.Parallel()
	h := households(t)
	c := newCluster(t)
	if c.documents == nil {
		c.startSecond(t)
	}
	goesBack := c.watchStates(t, h.Truth)
	wait := c.send(t, h, stripesim.SendConfig{Disorder: true, Duplicates: 0.2})
	for n := range 3 {
		kit.Eventually(t, "more is stored", func() bool { return len(audit[bson.M](t, c.database(t))) > 60*(n+1) })
		c.subscriber.Kill(t)
		c.bridge.Kill(t)
		c.bridge.Start(t)
		c.subscriber.Start(t)
	}
	wait()
	c.drained(t)
	c.judge(t, h.Truth)
	before := ids(accessMessages(t, c.jetStream(t)))
	drop(t, c.database(t))
	c.replay(t)
	c.judge(t, h.Truth)
	if diff := cmp.Diff(before, ids(accessMessages(t, c.jetStream(t)))); diff != "" {
		t.Errorf("the replay published something (-before +after):\n%s", diff)
	}
	for _, problem := range goesBack() {
		t.Error(problem)
	}
	audited := slices.Collect(maps.Keys(byKey(audit[bson.M](t, c.database(t)))))
	if i := slices.IndexFunc(audited, func(key any) bool { return strings.Contains(key.(string), ":access_") }); i >= 0 {
		t.Errorf("%v is in the audit trail", audited[i])
	}
}

// watchStates watches the states of subscriptions. The returned function returns what went
// back, by the true order of events, and what is not the last state.
func (c *cluster) watchStates(t *testing.T, truth map[string]stripesim.Truth) (problems func() []string) {
	t.Helper()
	kv, err := c.jetStream(t).KeyValue(t.Context(), events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := kv.Watch(t.Context(), "test.>", jetstream.IncludeHistory())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watcher.Stop() })
	return func() (list []string) {
		seen, revision := map[string]int{}, uint64(0)
		for last := lastRevision(t, kv, "test.>"); revision < last; {
			entry := <-watcher.Updates()
			if entry == nil {
				continue
			}
			var record events.Record
			if err := json.Unmarshal(entry.Value(), &record); err != nil {
				t.Fatal(err)
			}
			key := strings.ReplaceAll(entry.Key(), ".", ":")
			isWinner := func(e stripesim.EventRef) bool { return e.ID == record.Version.EventID }
			at := slices.IndexFunc(truth[key].Events, isWinner)
			if at < seen[key] {
				list = append(list, fmt.Sprintf("%s: %s after a later event", key, record.Version.EventID))
			}
			seen[key], revision = at, entry.Revision()
		}
		for key, history := range truth {
			if last := history.Events[seen[key]].ID; last != history.LastEventID {
				list = append(list, fmt.Sprintf("%s: the last state is that of %s, want %s", key, last, history.LastEventID))
			}
		}
		return list
	}
}

// TestAccessIsNeverTakenAwayForAMoment sends events in order, while the subscriber is
// down. Then it works on events of several subscriptions of a customer at a time.
func TestAccessIsNeverTakenAwayForAMoment(t *testing.T) {
	t.Parallel()
	h := households(t)
	c := newCluster(t)
	c.subscriber.Kill(t)
	c.send(t, h, stripesim.SendConfig{Workers: 1})()
	seen := c.watchAccess(t)
	c.subscriber.Start(t)
	c.drained(t)
	c.judge(t, h.Truth)
	for key, want := range passes(t, h) {
		if got := seen(key); !isSubsequence(got, want) {
			t.Errorf("%s: a watcher saw %v, the truth is %v", key, got, want)
		}
	}
}

// watchAccess watches the keys of access documents. The returned function returns whether a
// watcher has seen access at a key, in turn.
func (c *cluster) watchAccess(t *testing.T) (seen func(key string) []bool) {
	t.Helper()
	kv, err := c.jetStream(t).KeyValue(t.Context(), events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := kv.Watch(t.Context(), "access.>", jetstream.IncludeHistory())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watcher.Stop() })
	all, revision := map[string][]bool{}, uint64(0)
	return func(key string) []bool {
		for last := lastRevision(t, kv, "access.>"); revision < last; {
			entry := <-watcher.Updates()
			if entry == nil {
				continue
			}
			var doc events.AccessDocument
			if err := json.Unmarshal(entry.Value(), &doc); err != nil {
				t.Fatal(err)
			}
			all[entry.Key()], revision = append(all[entry.Key()], doc.Access != events.AccessNone), entry.Revision()
		}
		return slices.Compact(all[key])
	}
}

// lastRevision returns the revision of the newest value of the keys.
func lastRevision(t *testing.T, kv jetstream.KeyValue, keys string) (last uint64) {
	t.Helper()
	watcher, err := kv.Watch(context.WithoutCancel(t.Context()), keys, jetstream.MetaOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Stop() }()
	for entry := range watcher.Updates() {
		if entry == nil {
			return last
		}
		last = max(last, entry.Revision())
	}
	return last
}

// passes returns whether every customer has access, in turn.
func passes(t *testing.T, h stripesim.History) map[string][]bool {
	t.Helper()
	usable, all := map[string]map[string]bool{}, map[string][]bool{}
	for _, d := range h.Deliveries {
		var event struct {
			Data struct {
				Object struct{ ID, Object, Customer, Status string }
			}
		}
		if err := json.Unmarshal(d.Body, &event); err != nil {
			t.Fatal(err)
		}
		sub := event.Data.Object
		if sub.Object != "subscription" {
			continue
		}
		key := events.CustomerAccessKey(false, "", sub.Customer)
		if usable[key] == nil {
			usable[key] = map[string]bool{}
		}
		usable[key][sub.ID] = slices.Contains([]string{"active", "trialing", "past_due"}, sub.Status)
		has := slices.Contains(slices.Collect(maps.Values(usable[key])), true)
		all[key] = slices.Compact(append(all[key], has))
	}
	return all
}

// isSubsequence reports whether all of a is in b, in that order.
func isSubsequence(a, b []bool) bool {
	for _, want := range a {
		i := slices.Index(b, want)
		if i < 0 {
			return false
		}
		b = b[i:] // the same value may be passed again
	}
	return true
}

func accessMessages(t *testing.T, js jetstream.JetStream) (list []events.Message) {
	t.Helper()
	stream := natstest.Stream(t, js, "BILLBUS")
	for sequence := uint64(1); ; {
		raw, err := stream.GetMsg(t.Context(), sequence, jetstream.WithGetMsgSubject(events.SubjectAccess))
		if err != nil {
			return list
		}
		m, err := events.Decode(raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		list, sequence = append(list, m), raw.Sequence+1
	}
}

func ids(messages []events.Message) []string {
	var list []string
	for _, m := range messages {
		list = append(list, m.ID)
	}
	return list
}
