package e2e_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/judge"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/kit/servers"
)

// existingHistory returns subscriptions. One in twenty has events; the others are so old that
// Stripe has the objects only.
func existingHistory(t *testing.T, subscriptions int) stripesim.History {
	t.Helper()
	now := time.Now()
	t.Logf("seed %d", now.UnixNano())
	versions := stripesim.Versions()
	return stripesim.Generate(stripesim.Config{
		Seed: uint64(now.UnixNano()), Subscriptions: subscriptions, Old: subscriptions * 19 / 20, Ties: 0.2, UserIDs: true,
		APIVersions: versions[len(versions)-1:], Start: now.AddDate(-2, 0, 0),
	})
}

// importer runs "bridge import" on an account whose events arrive at the same time.
type importer struct {
	*cluster
	account
	env []string
}

// limit is how many calls a second the API answers. The import would like to make more.
const limit = 50

func newImporter(t *testing.T, subscriptions int, launch func(c *cluster)) importer {
	t.Helper()
	a := newAccount(t, existingHistory(t, subscriptions), api.Faults{Rate: limit})
	addr := kit.FreeAddr(t)
	c := assemble(t, "nats://"+addr, "", "WEBHOOK_LIVEMODE=test")
	c.nats = servers.Process(t, t.TempDir(), servers.NATS, addr)
	c.nats.Start(t)
	launch(c)
	return importer{c, a, append([]string{"NATS_URL=" + c.natsURL}, a.env...)}
}

// importTwice imports, kills that half way, and imports again, while the events arrive.
func (i importer) importTwice(t *testing.T) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := stripesim.Send(t.Context(), i.History, stripesim.SendConfig{
			URL: i.webhookURL, Secret: secret, Disorder: true, Duplicates: 0.1, Rate: float64(len(i.Deliveries)) / i.seconds(),
		})
		sent <- err
	}()
	start := time.Now()
	peak := i.run(t, func() bool { return i.imported(t) >= len(i.Truth)/2 })
	t.Logf("killed after %.1f s, with %d snapshots of subscriptions published; peak memory %d MB", time.Since(start).Seconds(), i.imported(t), peak/1000)
	start = time.Now()
	peak = i.run(t, func() bool { return false })
	t.Logf("the second run took %.1f s; peak memory %d MB", time.Since(start).Seconds(), peak/1000)
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// seconds is about how long an import takes: a page has a hundred objects, and there are four
// lists.
func (i importer) seconds() float64 { return max(1, float64(len(i.Truth))*4/100/limit) }

// imported returns how many snapshots of subscriptions the stream has.
func (i importer) imported(t *testing.T) int {
	t.Helper()
	stream := natstest.Stream(t, i.jetStream(t), "BILLBUS")
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(events.SubjectSnapshot))
	if err != nil {
		t.Fatal(err)
	}
	return int(info.State.Subjects[events.SubjectSnapshot])
}

// run imports until the end, or until stop reports true. It returns the peak memory in kB.
func (i importer) run(t *testing.T, stop func() bool) (peak int) {
	t.Helper()
	p := &kit.Process{
		Name: "bridge import", Command: []string{filepath.Join(binaries, "bridge"), "import", "--rate=100"},
		Log: filepath.Join(t.TempDir(), "import.log"), Env: i.env,
	}
	p.Start(t)
	for !p.Ended() {
		if now, err := p.PeakMemory(); err == nil {
			peak = max(peak, now)
		}
		if stop() {
			p.Kill(t)
			return peak
		}
		<-time.After(50 * time.Millisecond)
	}
	if err := p.Err(t); err != nil {
		t.Errorf("the import failed: %v", err)
	}
	return peak
}

// publishesNothing runs the import once more.
func (i importer) publishesNothing(t *testing.T) {
	t.Helper()
	code, stdout, stderr := execute(t, "bridge", i.env, "import", "--rate=100", "--json")
	if code != 0 {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	for line := range strings.Lines(stdout) {
		var counts struct {
			Kind, Object     string
			Found, Published int
		}
		if err := json.Unmarshal([]byte(line), &counts); err != nil {
			t.Fatal(err)
		}
		if counts.Kind == "objects" {
			t.Logf("the third run found %d objects of kind %s", counts.Found, counts.Object)
		}
		if counts.Published != 0 || counts.Object == "subscription" && counts.Kind == "objects" && counts.Found != len(i.Truth) {
			t.Errorf("got %s", line)
		}
	}
}

// messages returns the messages on some subjects.
func (i importer) messages(t *testing.T, subjects ...string) (all []events.Message) {
	t.Helper()
	c, err := i.jetStream(t).OrderedConsumer(t.Context(), "BILLBUS", jetstream.OrderedConsumerConfig{FilterSubjects: subjects})
	if err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := c.Next(jetstream.FetchMaxWait(time.Second))
		if errors.Is(err, jetstream.ErrNoMessages) || err != nil && strings.Contains(err.Error(), "timeout") {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := events.Decode(msg.Data())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

// unheard checks that those who consume changes of subscriptions get none of the import.
func (i importer) unheard(t *testing.T) {
	t.Helper()
	changes := i.messages(t, "subscription.created", "subscription.updated", "subscription.canceled")
	for _, m := range changes {
		if m.Data.Origin != events.OriginWebhook {
			t.Errorf("%s on %s is of %s", m.ID, m.Type, m.Data.Origin)
		}
	}
	t.Logf("%d changes, all of webhooks", len(changes))
}

// TestImportNextToWebhooks imports existing subscriptions, while webhooks arrive. One in
// twenty changes. BILLBUS_E2E_IMPORT sets the number of subscriptions.
func TestImportNextToWebhooks(t *testing.T) {
	t.Parallel()
	i := newImporter(t, count(t, "BILLBUS_E2E_IMPORT", "100"), func(c *cluster) { c.launch(t) })
	i.importTwice(t)
	i.publishesNothing(t)
	i.unheard(t)
	i.drained(t)
	have := byKey(records[bson.M](t, i.database(t)))
	subscriptions := map[any]int{} // of each user
	for _, record := range have {
		subscriptions[record["user_id"]]++
	}
	users, old, changed := map[string]bool{}, 0, map[string]bool{}
	for _, d := range i.Deliveries {
		changed[d.SubscriptionID] = true
	}
	for key, truth := range i.Truth {
		want := truth.Recorded()[0]
		if !changed[truth.Subscription.ID] { // its Checkout session, which may name its user, is gone
			old++
			want.UserID, _ = have[key]["user_id"].(string)
			if subscriptions[want.UserID] == 1 && want.Access != events.AccessNone { // a second one is news
				users[events.UserAccessKey(false, "", want.UserID)] = true
			}
		}
		for n := range want.Items { // the import has read the products, and their names
			want.Items[n].ProductName = strings.TrimPrefix(want.Items[n].ProductID, "prod_")
		}
		if diff, err := judge.Difference(have[key], want); err != nil || diff != "" {
			t.Errorf("%s: %v, record (-want +got):\n%s", key, err, diff)
		}
	}
	times := map[string]int{}
	for _, m := range i.messages(t, "access.*") {
		times[m.Subject]++
	}
	for key := range users {
		if times[key] != 1 {
			t.Errorf("%s: got %d messages about access, want 1", key, times[key])
		}
	}
	t.Logf("%d records, %d of them of the import alone; %d users with access got one message each", len(have), old, len(users))
	if old == 0 || len(users) == 0 {
		t.Error("the import was not tested")
	}
}

// TestImportOfManySubscriptions is the same without a subscriber: the embedded database is
// slow. BILLBUS_E2E_IMPORT_MANY sets the number of subscriptions.
func TestImportOfManySubscriptions(t *testing.T) {
	t.Parallel()
	i := newImporter(t, count(t, "BILLBUS_E2E_IMPORT_MANY", "400"), func(c *cluster) {
		c.bridge.Start(t)
		ready(t, c.bridgeAdmin)
	})
	i.importTwice(t)
	i.publishesNothing(t)
	i.unheard(t)
}
