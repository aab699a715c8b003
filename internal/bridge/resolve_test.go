package bridge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
)

const apiKey = "sk_test_hunter2"

// api is a stand-in for Stripe's API.
type api struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by path and query
	asked   []string                    // with the account
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{answers: map[string]http.HandlerFunc{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, strings.TrimSpace(r.URL.RequestURI()+" "+r.Header.Get("Stripe-Account")))
	answer := a.answers[r.URL.RequestURI()]
	a.mu.Unlock()
	if answer == nil {
		answer = missing
	}
	answer(w, r)
}

func (a *api) on(uri string, answer http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[uri] = answer
}

func (a *api) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

func missing(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNotFound)
	_, _ = fmt.Fprint(w, `{"error":{"type":"invalid_request_error","code":"resource_missing"}}`)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Stripe-Version", "2025-09-30.clover")
		w.Header().Set("Date", "Fri, 02 Jan 2026 03:04:05 GMT")
		_, _ = fmt.Fprint(w, body)
	}
}

// thin is a thin event about a subscription, with more members.
func thin(id, sub, more string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"v2.core.event","type":"v1.customer.subscription.updated","created":"2026-01-02T03:04:00.123Z",
"livemode":false,"related_object":{"id":%q,"type":"subscription","url":"https://evil.example/v1/subscriptions/sub_1"}%s}`, id, sub, more)
}

// resolving is a bridge with an API key that is ready.
func resolving(t *testing.T, a *api, more ...string) *running {
	t.Helper()
	return started(t, append([]string{"STRIPE_API_KEY=" + apiKey, "STRIPE_API_BASE=" + a.URL}, more...)...)
}

func (r *running) accept(t *testing.T, body []byte) {
	t.Helper()
	if got := r.post(t, body, sign(body, secret, time.Now())); got.status != http.StatusOK {
		t.Fatalf("got %d %s", got.status, got.body)
	}
}

// resolved waits until n messages have come to an outcome.
func (r *running) resolved(t *testing.T, outcome string, n int) {
	t.Helper()
	kit.Eventually(t, fmt.Sprintf("%d of outcome %s; log:\n%s", n, outcome, r.log), func() bool {
		return r.metric(t, fmt.Sprintf("billbus_resolutions_total{outcome=%q} %d", outcome, n))
	})
}

// message is the one at a place in the stream, with its Nats-Msg-Id.
func (r *running) message(t *testing.T, sequence uint64) (events.Message, string) {
	t.Helper()
	raw, err := r.stream(t).GetMsg(t.Context(), sequence)
	if err != nil {
		t.Fatal(err)
	}
	m, err := events.Decode(raw.Data)
	if err != nil || m.Type != raw.Subject {
		t.Fatalf("got %v on %s", err, raw.Subject)
	}
	return m, raw.Header.Get("Nats-Msg-Id")
}

// settled waits until the resolver has nothing left to do. It goes by the stream:
// a consumer learns of a new message a moment after the publisher did.
func (r *running) settled(t *testing.T) {
	t.Helper()
	stream := r.stream(t)
	kit.Eventually(t, "the resolver has nothing left to do", func() bool {
		c, err := stream.Consumer(t.Context(), "billbus-resolver")
		if err != nil {
			return false
		}
		info := c.CachedInfo()
		return info.NumAckPending == 0 && info.Delivered.Stream >= r.lastFor(t, info.Config.FilterSubjects)
	})
}

func (r *running) lastFor(t *testing.T, subjects []string) (last uint64) {
	t.Helper()
	for _, subject := range subjects {
		if m, err := r.stream(t).GetLastMsgForSubject(t.Context(), subject); err == nil {
			last = max(last, m.Sequence)
		}
	}
	return last
}

func TestThinEventMeetsItsTwin(t *testing.T) {
	for name, account := range map[string]string{"platform": "", "connected account": "acct_1"} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			// Stripe need not name the account to whoever asked for it.
			a.on("/v1/events/evt_full", says(string(event("evt_full"))))
			r := resolving(t, a, "WEBHOOK_ACCOUNTS=any")
			more, twin := `,"snapshot_event":"evt_full"`, string(event("evt_full"))
			if account != "" {
				more += `,"context":"` + account + `"`
				twin = strings.Replace(twin, `"object": "event"`, `"object": "event", "account": "`+account+`"`, 1)
			}
			r.accept(t, thin("evt_thin", "sub_1", more))
			r.resolved(t, "event", 1)
			r.accept(t, []byte(twin))
			r.settled(t)
			if got := r.stored(t); got != 2 {
				t.Errorf("got %d messages, want the thin one and its event once", got)
			}
			announced, _ := r.message(t, 1)
			full, id := r.message(t, 2)
			if announced.Type != "stripe.v1.customer.subscription.updated" || announced.ID != "evt_thin" {
				t.Errorf("got %s %s first", announced.Type, announced.ID)
			}
			if full.Type != "subscription.updated" || full.Data.Origin != events.OriginThin || full.StripeEndpoint != "" ||
				full.StripeAccount != account || id != events.MessageID(account, "evt_full") || len(full.Data.EventSHA256) != 64 {
				t.Errorf("got %+v under %s", full, id)
			}
			if got := a.requests(); len(got) != 1 || got[0] != strings.TrimSpace("/v1/events/evt_full "+account) {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestThinEventWhoseTwinCameFirst(t *testing.T) {
	a := newAPI(t)
	a.on("/v1/events/evt_full", says(string(event("evt_full"))))
	r := resolving(t, a)
	r.accept(t, event("evt_full"))
	r.accept(t, thin("evt_thin", "sub_1", `,"snapshot_event":"evt_full"`))
	r.resolved(t, "event", 1)
	if got := r.stored(t); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}
}

func TestThinEventWithoutTwinIsASnapshot(t *testing.T) {
	for name, more := range map[string]string{"none named": "", "one that is gone": `,"snapshot_event":"evt_gone"`} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.on("/v1/subscriptions/sub_1", says(`{"id":"sub_1","object":"subscription","status":"active","livemode":false}`))
			r := resolving(t, a)
			r.accept(t, thin("evt_thin", "sub_1", more))
			r.resolved(t, "snapshot", 1)
			r.settled(t)
			got, id := r.message(t, 2)
			if got.Type != "subscription.snapshot" || got.Data.Reason != events.ReasonThin || got.Data.Origin != events.OriginThin ||
				got.Data.Subscription.Status != "active" || got.StripeAPIVersion != "2025-09-30.clover" || id != got.ID || !strings.HasPrefix(id, "snap_") ||
				!got.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || !got.Data.ReadAt.Equal(got.Time) || got.Data.Event != nil {
				t.Errorf("got %+v under %s", got, id)
			}
			if got := r.stored(t); got != 2 {
				t.Errorf("got %d messages, want 2", got)
			}
		})
	}
}

func TestTruncatedItemsAreCompleted(t *testing.T) {
	a := newAPI(t)
	a.on("/v1/subscriptions/sub_1", says(`{"id":"sub_1","object":"subscription","livemode":false,"items":{"object":"list","data":[{"id":"si_1"}],"has_more":true}}`))
	page := "/v1/subscription_items?limit=100&subscription=sub_1"
	a.on(page, says(`{"object":"list","data":[{"id":"si_1"},{"id":"si_2"}],"has_more":true}`))
	a.on(page+"&starting_after=si_2", says(`{"object":"list","data":[{"id":"si_3"}],"has_more":false}`))
	r := resolving(t, a)
	r.accept(t, []byte(strings.Replace(string(event("evt_1")), `"status"`, `"items": {"data": [{"id": "si_1"}], "has_more": true}, "status"`, 1)))
	r.resolved(t, "snapshot", 1)
	r.settled(t)
	got, _ := r.message(t, 2)
	if got.Type != "subscription.snapshot" || got.Data.Reason != events.ReasonItemsTruncated || got.Data.Subscription.ItemsTruncated ||
		len(got.Data.Subscription.Items) != 3 || !strings.Contains(string(got.Data.Object), `"has_more":false`) {
		t.Errorf("got %+v with %+v", got, got.Data.Subscription)
	}
	if got := r.stored(t); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}
}

func TestResolvingGoesOnWhenStripeIsBack(t *testing.T) {
	a := newAPI(t)
	r := resolving(t, a)
	for i := range 3 {
		uri := fmt.Sprintf("/v1/subscriptions/sub_%d", i)
		a.on(uri, []http.HandlerFunc{status(500), status(401), says("nonsense")}[i])
		r.accept(t, thin(fmt.Sprintf("evt_%d", i), fmt.Sprintf("sub_%d", i), ""))
	}
	kit.Eventually(t, "failures", func() bool { return strings.Count(r.log.String(), `"outcome":"transient"`) >= 3 })
	if !r.ready() {
		t.Error("not ready: webhooks can still be taken")
	}
	for i := range 3 {
		a.on(fmt.Sprintf("/v1/subscriptions/sub_%d", i), says(fmt.Sprintf(`{"id":"sub_%d","object":"subscription"}`, i)))
	}
	r.resolved(t, "snapshot", 3)
	if strings.Contains(r.log.String(), "hunter2") {
		t.Error("the log has the key in it")
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	a := newAPI(t)
	a.on("/v1/subscriptions/sub_1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	a.on("/v1/subscriptions/sub_2", says(`{"id":"sub_2","object":"subscription"}`))
	r := resolving(t, a)
	r.accept(t, thin("evt_1", "sub_1", ""))
	kit.Eventually(t, "the refusal", func() bool { return len(a.requests()) == 1 })
	refused := time.Now()
	a.on("/v1/subscriptions/sub_1", says(`{"id":"sub_1","object":"subscription"}`))
	r.accept(t, thin("evt_2", "sub_2", ""))
	r.resolved(t, "snapshot", 2)
	if took := time.Since(refused); took < 1500*time.Millisecond {
		t.Errorf("Stripe was called again after %s, want 2 s", took)
	}
	if got := a.requests(); len(got) != 3 {
		t.Errorf("asked %q, want nothing during the pause", got)
	}
	// The first message fails once, and the second too if it comes during the pause.
	once := r.metric(t, `billbus_resolutions_total{outcome="transient"} 1`)
	if !once && !r.metric(t, `billbus_resolutions_total{outcome="transient"} 2`) {
		t.Error("a message came back before the pause had ended")
	}
}

func TestWebhooksDoNotWaitForStripe(t *testing.T) {
	a := newAPI(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	a.on("/v1/subscriptions/sub_1", func(http.ResponseWriter, *http.Request) { <-release })
	r := resolving(t, a)
	for i := range 10 {
		r.accept(t, thin(fmt.Sprintf("evt_thin_%d", i), "sub_1", ""))
	}
	kit.Eventually(t, "Stripe is asked", func() bool { return len(a.requests()) >= 4 })
	start := time.Now()
	for i := range 20 {
		r.accept(t, event(fmt.Sprintf("evt_%d", i)))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("20 webhooks took %s while Stripe's API hangs", took)
	}
	if got := r.stored(t); got != 30 {
		t.Errorf("got %d messages, want 30", got)
	}
	start = time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("stopping took %s: work that waits for Stripe is handed back", took)
	}
}

func TestWhatABridgeLeftBehindIsResolvedByTheNext(t *testing.T) {
	a := newAPI(t)
	srv := startNATS(t, "127.0.0.1:0", t.TempDir())
	cfg := settings(t, srv.URL(), "STRIPE_API_KEY="+apiKey, "STRIPE_API_BASE="+a.URL)
	first := run(t, cfg)
	kit.Eventually(t, "ready", first.ready)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	// What a bridge leaves behind that was killed: a message that it had, and
	// never answered for.
	plain := run(t, settings(t, srv.URL()))
	kit.Eventually(t, "ready", plain.ready)
	plain.accept(t, thin("evt_thin", "sub_1", ""))
	consumer, err := plain.stream(t).Consumer(t.Context(), "billbus-resolver")
	if err != nil {
		t.Fatal(err)
	}
	quick := consumer.CachedInfo().Config
	quick.AckWait = time.Second // so that the test need not wait for half a minute
	if consumer, err = plain.stream(t).UpdateConsumer(t.Context(), quick); err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(10*time.Second))
	if err != nil || <-batch.Messages() == nil {
		t.Fatalf("fetching: %v, %v", err, batch.Error())
	}
	a.on("/v1/subscriptions/sub_1", says(`{"id":"sub_1","object":"subscription"}`))
	next := run(t, cfg)
	next.resolved(t, "snapshot", 1)
	next.settled(t)
}

func TestBridgeThatStopsHandsBackWhatItAsksFor(t *testing.T) {
	a := newAPI(t)
	srv := startNATS(t, "127.0.0.1:0", t.TempDir())
	cfg := settings(t, srv.URL(), "STRIPE_API_KEY="+apiKey, "STRIPE_API_BASE="+a.URL)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	a.on("/v1/subscriptions/sub_1", func(http.ResponseWriter, *http.Request) { <-release })
	first := run(t, cfg)
	kit.Eventually(t, "ready", first.ready)
	first.accept(t, thin("evt_thin", "sub_1", ""))
	kit.Eventually(t, "Stripe is asked", func() bool { return len(a.requests()) == 1 })
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	a.on("/v1/subscriptions/sub_1", says(`{"id":"sub_1","object":"subscription"}`))
	run(t, cfg).resolved(t, "snapshot", 1)
}

// Ids of a payload, its URLs and the other mode are never asked for. The
// messages stay where they are, and are no dead letters.
func TestWhatCannotBeAskedForIsRejected(t *testing.T) {
	a := newAPI(t)
	r := resolving(t, a, "WEBHOOK_LIVEMODE=any")
	for i, body := range []string{
		string(thin("evt_1", "../../v1/charges", "")),
		string(thin("evt_2", "sub_1?expand[]=customer", "")),
		string(thin("evt_3", "https://evil.example/sub_1", "")),
		string(thin("evt_4", "", "")),
		string(thin("evt_5", "cus_1", "")),
		string(thin("evt_6", "sub_1", `,"snapshot_event":"evt_/../../x"`)),
		strings.Replace(string(thin("evt_7", "sub_1", "")), `"livemode":false`, `"livemode":true`, 1),
	} {
		r.accept(t, []byte(body))
		r.resolved(t, "rejected", i+1)
	}
	r.settled(t)
	if got := a.requests(); len(got) != 0 {
		t.Errorf("asked %q, want nothing", got)
	}
	if got := r.stored(t); got != 7 {
		t.Errorf("got %d messages, want 7", got)
	}
	for _, want := range []string{`"reason":"bad_id"`, `"reason":"wrong_mode"`} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log has no %s", want)
		}
	}
}

func TestWhatWasNotAdmittedIsNotAskedFor(t *testing.T) {
	a := newAPI(t)
	r := resolving(t, a)
	r.accept(t, thin("evt_1", "sub_1", `,"context":"acct_1"`))
	r.settled(t)
	if got := a.requests(); len(got) != 0 {
		t.Errorf("asked %q, want nothing", got)
	}
}

func TestMissingAPIKeyIsSaidOnce(t *testing.T) {
	r := started(t)
	r.accept(t, event("evt_1"))
	if strings.Contains(r.log.String(), "STRIPE_API_KEY") {
		t.Error("warned although nothing is left out")
	}
	for i := range 3 {
		r.accept(t, thin(fmt.Sprintf("evt_thin_%d", i), "sub_1", ""))
	}
	if got := strings.Count(r.log.String(), "STRIPE_API_KEY"); got != 1 {
		t.Errorf("got %d warnings, want one", got)
	}
	if got := r.stored(t); got != 4 {
		t.Errorf("got %d messages, want 4", got)
	}
	if _, err := r.stream(t).Consumer(t.Context(), "billbus-resolver"); err == nil {
		t.Error("a bridge without a key has made the resolver's consumer")
	}
}

func TestMissingResolverConsumerIsNamed(t *testing.T) {
	srv := startNATS(t, "127.0.0.1:0", t.TempDir())
	kit.Eventually(t, "ready", run(t, settings(t, srv.URL())).ready)
	r := run(t, settings(t, srv.URL(), "PROVISION=check", "STRIPE_API_KEY="+apiKey))
	kit.Eventually(t, "the check of the resolver fails, and only that", func() bool {
		checks := r.health.Ready(t.Context()).Checks
		return checks["streams"].OK && strings.Contains(checks["resolver"].Error, "consumer billbus-resolver is missing")
	})
	if got := r.postEvent(t, "evt_1"); got.status != http.StatusOK {
		t.Errorf("got %d %s, want webhooks taken all the same", got.status, got.body)
	}
}
