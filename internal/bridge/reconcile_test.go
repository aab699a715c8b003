package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// reconciling runs "bridge reconcile". Arguments like A=b are variables.
func reconciling(ctx context.Context, natsURL, base string, args ...string) (out string, err error) {
	return command{
		"bridge reconcile", config.BridgeReconcile, bridge.Reconcile, time.Now, "", readsStripe(natsURL, base), []string{"--rate=100", "--settle=0s"},
	}.of(args...).execute(ctx)
}

func (r *running) view(t *testing.T) jetstream.KeyValue {
	t.Helper()
	kv, err := natstest.JetStream(t, r.natsURL).KeyValue(t.Context(), events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// follow makes the records of all messages in the stream, as a subscriber would.
func (r *running) follow(t *testing.T) {
	t.Helper()
	facts, messages, stream := map[string][]ordering.Fact{}, map[string]events.Message{}, r.stream(t)
	for sequence := range r.stored(t) {
		raw, err := stream.GetMsg(t.Context(), sequence+1)
		if err != nil {
			t.Fatal(err)
		}
		m, err := events.Decode(raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := ordering.FactOf(m); ok {
			key := events.StateKey(m.Livemode, m.StripeAccount, m.Subject)
			facts[key], messages[m.ID] = append(facts[key], f), m
		}
	}
	for key, all := range facts {
		record := events.Record{Subscription: *messages[ordering.Fold(all).Winner.EventID].Data.Subscription}
		record.UserID = "found elsewhere"
		for i := range record.Items {
			record.Items[i].ProductName, record.Items[i].Nickname = "Pro", "as in the catalog"
		}
		r.put(t, key, record)
	}
}

func (r *running) put(t *testing.T, key string, record events.Record) {
	t.Helper()
	value, err := json.Marshal(record)
	if err == nil {
		_, err = r.view(t).Put(t.Context(), key, value)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// change changes the record of a subscription.
func (r *running) change(t *testing.T, id string, change func(*events.Record)) {
	t.Helper()
	key := events.StateKey(false, "", id)
	entry, err := r.view(t).Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var record events.Record
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		t.Fatal(err)
	}
	change(&record)
	r.put(t, key, record)
}

// recorded is a bridge whose history was imported, with the records.
func recorded(t *testing.T, base string) *running {
	t.Helper()
	r := started(t)
	if out, err := importing(t.Context(), r.natsURL, base, ""); err != nil {
		t.Fatal(err, out)
	}
	r.follow(t)
	return r
}

func summaryOf(n int, rest string) string {
	return fmt.Sprintf("%d subscriptions: %s\nStripe does not list subscriptions of test clocks: they were compared only if there is a record here\n", n, rest)
}

func TestReconcileFindsNoDifference(t *testing.T) {
	t.Parallel()
	s, base := stripe(t, withExisting)
	r := recorded(t, base)
	n := len(existing().Truth)
	before := r.stored(t)
	out, err := reconciling(t.Context(), r.natsURL, base, "--publish")
	want := summaryOf(n, fmt.Sprintf("%d the same, 0 differing, 0 missing here; 0 not at Stripe, 0 not listed, 0 ignored, 0 unreadable; 0 published", n))
	if err != nil || out != want || r.stored(t) != before {
		t.Errorf("got %v (-want +got):\n%s", err, cmp.Diff(want, out))
	}
	for _, q := range s.Requests() {
		if known := []string{"/v1/subscriptions", "/v1/subscription_items", "/v1/customers", "/v1/products", "/v1/prices"}; !slices.Contains(known, q.Path) || q.Method != "GET" {
			t.Errorf("got %s %s", q.Method, q.Path)
		}
	}
}

// byStatus returns the ids of subscriptions, those with the status first.
func byStatus(status string) (ids []string) {
	for _, key := range slices.Sorted(maps.Keys(existing().Truth)) {
		truth := existing().Truth[key]
		if truth.Subscription.Status == status {
			ids = append([]string{truth.Subscription.ID}, ids...)
		} else {
			ids = append(ids, truth.Subscription.ID)
		}
	}
	return ids
}

func TestReconcilePrintsWhatDiffers(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, withExisting)
	r := recorded(t, base)
	ids, n := byStatus("active"), len(existing().Truth)
	r.change(t, ids[0], func(record *events.Record) { record.Status = "past_due" })
	r.change(t, ids[1], func(record *events.Record) {
		record.Metadata, record.Description = map[string]string{"plan\x1b": "hunter2"}, "hunter2"
		record.Items[0].Quantity = new(int64(77))
		record.PauseCollection = &events.PauseCollection{}
	})
	// Neither what Billbus adds, nor how a time is written, nor what older renderings lack.
	r.change(t, ids[2], func(record *events.Record) {
		record.Access, record.EndsAt, record.UserID = "none", time.Now(), ""
		record.Created = record.Created.In(time.FixedZone("", 3600))
		record.BillingMode, record.CancellationDetails, record.TrialEndBehavior = nil, nil, ""
		record.Items[0].CurrentPeriodEnd = time.Time{}
		slices.Reverse(record.Items)
	})
	if err := r.view(t).Delete(t.Context(), events.StateKey(false, "", ids[3])); err != nil {
		t.Fatal(err)
	}
	r.put(t, events.StateKey(false, "", "sub_gone"), events.Record{Subscription: events.Subscription{ID: "sub_gone", Status: "active"}})
	out, err := reconciling(t.Context(), r.natsURL, base)
	for _, line := range []string{
		fmt.Sprintf(`~ test:platform:%s  status: "past_due" -> "active"`, ids[0]),
		fmt.Sprintf(`~ test:platform:%s  metadata["plan\x1b"]: differs`, ids[1]),
		fmt.Sprintf(`~ test:platform:%s  description: differs`, ids[1]),
		fmt.Sprintf(`~ test:platform:%s  pause_collection: {} -> none`, ids[1]),
		`.quantity: 77 -> `,
		fmt.Sprintf(`+ test:platform:%s  no record here; at Stripe: "`, ids[3]),
		`- test:platform:sub_gone  not at Stripe; here: "active"`,
		fmt.Sprintf("%d subscriptions: %d the same, 2 differing, 1 missing here; 1 not at Stripe, 0 not listed,", n, n-3),
	} {
		if !strings.Contains(out, line) {
			t.Errorf("got no %s", line)
		}
	}
	if config.ExitCode(err) != 1 || strings.Contains(out, ids[2]) {
		t.Errorf("got %v\n%s", err, out)
	}
}

// What differs is published, and then nothing differs but what Stripe does not have.
func TestReconcilePublishesWhatDiffers(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, withExisting)
	r := recorded(t, base)
	ids, n := byStatus("active"), len(existing().Truth)
	r.change(t, ids[0], func(record *events.Record) { record.Status = "past_due" })
	r.change(t, ids[1], func(record *events.Record) { record.Items = nil })
	if err := r.view(t).Delete(t.Context(), events.StateKey(false, "", ids[2])); err != nil {
		t.Fatal(err)
	}
	before := r.stored(t)
	out, err := reconciling(t.Context(), r.natsURL, base, "--publish", "--json")
	want := fmt.Sprintf(`{"kind":"summary","found":%d,"same":%d,"differing":2,"missing_here":1,"not_at_stripe":0,"not_listed":0,"ignored":0,"unreadable":0,"published":3}`+"\n", n, n-3)
	if err != nil || !strings.HasSuffix(out, want) || r.stored(t) != before+3 {
		t.Errorf("got %v\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, ids[1]) && !strings.Contains(line, `].price_id","stripe":"`) {
			t.Errorf("got %s, want the price of each item that is missing", line)
		}
	}
	for sequence := before + 1; sequence <= before+3; sequence++ {
		m, _ := r.message(t, sequence)
		if m.Data.Origin != events.OriginReconcile || m.Data.Reason != events.ReasonReconcile || m.Type != events.SubjectSnapshot || m.Data.Changes != nil ||
			len(m.Data.Subscription.Items) == 0 || !slices.Contains(ids[:3], m.Subject) {
			t.Errorf("got %+v", m.Data)
		}
	}
	r.follow(t)
	if out, err := reconciling(t.Context(), r.natsURL, base); err != nil {
		t.Errorf("again: got %v\n%s", err, out)
	}
}

// Webhooks did not arrive: the records are those of the events before.
func TestReconcileRepairsAfterLostWebhooks(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 5, Subscriptions: 60, Ties: 0.3}.Before(time.Now()))
	_, base := stripe(t, func(c *api.Config) { c.Accounts[0].History = h })
	r := started(t)
	for n, d := range h.Deliveries {
		if !missed(n) && d.Type != stripesim.Snapshot {
			r.accept(t, d.Body)
		}
	}
	r.follow(t)
	out, err := reconciling(t.Context(), r.natsURL, base, "--publish")
	if err != nil || !strings.Contains(out, " -> ") {
		t.Errorf("got %v\n%s", err, out)
	}
	r.follow(t)
	if out, err := reconciling(t.Context(), r.natsURL, base); err != nil {
		t.Errorf("again: got %v\n%s", err, out)
	}
}

// The webhook arrives between the first and the second look.
func TestWhatIsOnItsWayDoesNotDiffer(t *testing.T) {
	t.Parallel()
	s, base := stripe(t, withExisting)
	r := recorded(t, base)
	id := byStatus("active")[0]
	r.change(t, id, func(record *events.Record) { record.Status = "past_due" })
	var lists atomic.Int64
	base = serving(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/v1/subscriptions" && lists.Add(1) == 3 {
			r.change(t, id, func(record *events.Record) { record.Status = "active" })
		}
		s.ServeHTTP(w, q)
	})
	out, err := reconciling(t.Context(), r.natsURL, base, "--settle=100ms")
	if err != nil || lists.Load() != 3 {
		t.Errorf("got %v after %d lists\n%s", err, lists.Load(), out)
	}
}

func serving(t *testing.T, handler http.HandlerFunc) (base string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// What keeps changing is looked at again, and not for ever.
func TestWhatKeepsChangingIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	s, base := stripe(t, withExisting)
	r := recorded(t, base)
	id := byStatus("active")[0]
	var changes atomic.Int64
	base = intercept(t, s, func(n int64) {
		r.change(t, id, func(record *events.Record) { record.LatestInvoiceID = fmt.Sprint("in_", n) })
		changes.Store(n)
	})
	out, err := reconciling(t.Context(), r.natsURL, base)
	if config.ExitCode(err) != 1 || strings.Count(out, "latest_invoice_id") != 1 || changes.Load() < 6 {
		t.Errorf("got %v after %d changes\n%s", err, changes.Load(), out)
	}
}

// Lists leave out subscriptions of test clocks, and with a filter those that have another
// status than here.
func TestRecordsThatAreNotListedAreLookedUp(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 8, Subscriptions: 6, Ties: 1, Kinds: []stripesim.Kind{stripesim.TestClock}}.Before(time.Now()))
	_, base := stripe(t, func(c *api.Config) { c.Accounts[0].History = h })
	r := started(t)
	id := ""
	for _, truth := range h.Truth {
		id = truth.Subscription.ID
		r.put(t, events.StateKey(false, "", id), events.Record{Subscription: truth.Subscription})
	}
	out, err := reconciling(t.Context(), r.natsURL, base)
	if err != nil || !strings.Contains(out, "6 the same, ") || !strings.Contains(out, " 6 not listed,") {
		t.Errorf("got %v\n%s", err, out)
	}
	r.change(t, id, func(record *events.Record) { record.Status = "unpaid" })
	out, err = reconciling(t.Context(), r.natsURL, base, "--status=unpaid")
	if config.ExitCode(err) != 1 || !strings.Contains(out, id+`  status: "unpaid" -> `) || !strings.HasPrefix(out[strings.Index(out, "\n")+1:], "1 subscriptions: 0 the same, 1 differing") {
		t.Errorf("status: got %v\n%s", err, out)
	}
	out, err = reconciling(t.Context(), r.natsURL, base, "--created-since=1h")
	if err != nil || !strings.HasPrefix(out, "0 subscriptions: ") {
		t.Errorf("created: got %v\n%s", err, out)
	}
}

func TestReconcileThroughFailures(t *testing.T) {
	t.Parallel()
	s, base := stripe(t, withExisting)
	r := recorded(t, base)
	id := byStatus("active")[0]
	r.change(t, id, func(record *events.Record) { record.Status = "past_due" })
	ctx, cancel := context.WithCancel(t.Context())
	base = intercept(t, s, func(n int64) {
		if n == 2 {
			cancel()
		}
	})
	if out, err := reconciling(ctx, r.natsURL, base); config.ExitCode(err) != 1 || !strings.Contains(fmt.Sprint(err), "begins again") {
		t.Errorf("killed: got %v\n%s", err, out)
	}
	var asked atomic.Int64
	base = serving(t, func(w http.ResponseWriter, q *http.Request) {
		switch asked.Add(1) {
		case 1, 5:
			w.Header().Set("Retry-After", "1")
			kit.StripeError(http.StatusTooManyRequests, "rate_limit")(w, q)
		case 2, 4:
			kit.StripeError(http.StatusInternalServerError, "")(w, q)
		case 3:
			panic(http.ErrAbortHandler)
		default:
			s.ServeHTTP(w, q)
		}
	})
	out, err := reconciling(t.Context(), r.natsURL, base)
	if config.ExitCode(err) != 1 || !strings.Contains(out, "1 differing, 0 missing") || strings.Count(out, " -> ") != 1 || asked.Load() < 9 {
		t.Errorf("got %v after %d requests\n%s", err, asked.Load(), out)
	}
}

func TestReconcileWithoutAStateView(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, withExisting)
	r := started(t, "STATE_VIEW=off")
	out, err := reconciling(t.Context(), r.natsURL, base)
	if config.ExitCode(err) != 1 || !strings.Contains(fmt.Sprint(err), "run bridge provision") || out != "" {
		t.Errorf("got %v\n%s", err, out)
	}
	for name, args := range map[string][]string{
		"off":                  {"STATE_VIEW=off"},
		"no key":               {"STRIPE_API_KEY="},
		"account not admitted": {"--account=acct_2"},
		"not a status":         {"--status=past"},
	} {
		if out, err := reconciling(t.Context(), "nats://127.0.0.1:1", "http://127.0.0.1:1", args...); config.ExitCode(err) != 2 || out != "" {
			t.Errorf("%s: got %q, %v, want wrong usage", name, out, err)
		}
	}
}
