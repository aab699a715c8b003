package bridge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const apiKey = "sk_test_hunter2"

// thin returns a thin event about a subscription, with more members.
func thin(id, sub, more string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"v2.core.event","type":"v1.customer.subscription.updated","created":"2026-01-02T03:04:00.123Z",
"livemode":false,"related_object":{"id":%q,"type":"subscription","url":"https://evil.example/v1/subscriptions/sub_1"}%s}`, id, sub, more)
}

// resolving starts a bridge with an API key.
func resolving(t *testing.T, a *kit.StripeAPI, more ...string) *running {
	t.Helper()
	return started(t, append(withKey(a), more...)...)
}

func withKey(a *kit.StripeAPI) []string {
	return []string{"STRIPE_API_KEY=" + apiKey, "STRIPE_API_BASE=" + a.URL}
}

// resolved waits until n messages have had an outcome.
func (r *running) resolved(t *testing.T, outcome string, n int) {
	t.Helper()
	kit.Eventually(t, fmt.Sprintf("%d of outcome %s; log:\n%s", n, outcome, r.log), func() bool {
		return r.metric(t, fmt.Sprintf("billbus_resolutions_total{outcome=%q} %d", outcome, n))
	})
}

// settled waits until the resolver has nothing left to do. It compares with the stream,
// because a consumer learns about a new message a moment after its publisher.
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

func TestThinEventAndItsSnapshotEventAreStoredOnce(t *testing.T) {
	t.Parallel()
	for name, account := range map[string]string{"platform": "", "connected account": "acct_1"} {
		t.Run(name, func(t *testing.T) {
			a := kit.NewStripeAPI(t)
			// The API does not have to include the account in its answer.
			a.On("/v1/events/evt_full", kit.StripeObject(string(event("evt_full"))))
			r := resolving(t, a, "WEBHOOK_ACCOUNTS=any")
			more, full := `,"snapshot_event":"evt_full"`, string(event("evt_full"))
			if account != "" {
				more += `,"context":"` + account + `"`
				full = strings.Replace(full, `"object": "event"`, `"object": "event", "account": "`+account+`"`, 1)
			}
			r.accept(t, thin("evt_thin", "sub_1", more))
			r.resolved(t, "event", 1)
			r.accept(t, []byte(full))
			r.settled(t)
			if got := r.stored(t); got != 2 {
				t.Errorf("got %d messages, want the thin one and its event once", got)
			}
			first, _ := r.message(t, 1)
			got, id := r.message(t, 2)
			if first.Type != "stripe.v1.customer.subscription.updated" || first.ID != "evt_thin" {
				t.Errorf("got %s %s first", first.Type, first.ID)
			}
			if got.Type != "subscription.updated" || got.Data.Origin != events.OriginThin || got.StripeEndpoint != "" ||
				got.StripeAccount != account || id != events.MessageID(account, "evt_full") || len(got.Data.EventSHA256) != 64 {
				t.Errorf("got %+v under %s", got, id)
			}
			if got := a.Asked(); len(got) != 1 || got[0] != strings.TrimSpace("/v1/events/evt_full "+account) {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestThinEventAfterItsSnapshotEvent(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On("/v1/events/evt_full", kit.StripeObject(string(event("evt_full"))))
	r := resolving(t, a)
	r.accept(t, event("evt_full"))
	r.accept(t, thin("evt_thin", "sub_1", `,"snapshot_event":"evt_full"`))
	r.resolved(t, "event", 1)
	if got := r.stored(t); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}
}

func TestThinEventWithoutSnapshotEventIsResolvedToASnapshot(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{"names none": "", "names a missing one": `,"snapshot_event":"evt_gone"`} {
		t.Run(name, func(t *testing.T) {
			a := kit.NewStripeAPI(t)
			a.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription","status":"active","livemode":false}`))
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

func TestResolvingContinuesAfterAnOutage(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	r := resolving(t, a)
	for i := range 3 {
		uri := fmt.Sprintf("/v1/subscriptions/sub_%d", i)
		a.On(uri, []http.HandlerFunc{kit.StripeError(500, ""), kit.StripeError(401, ""), kit.StripeObject("nonsense")}[i])
		r.accept(t, thin(fmt.Sprintf("evt_%d", i), fmt.Sprintf("sub_%d", i), ""))
	}
	kit.Eventually(t, "failures", func() bool { return strings.Count(r.log.String(), `"outcome":"transient"`) >= 3 })
	if !r.ready() {
		t.Error("not ready, although webhooks can be accepted")
	}
	for i := range 3 {
		a.On(fmt.Sprintf("/v1/subscriptions/sub_%d", i), kit.StripeObject(fmt.Sprintf(`{"id":"sub_%d","object":"subscription"}`, i)))
	}
	r.resolved(t, "snapshot", 3)
	if strings.Contains(r.log.String(), "hunter2") {
		t.Error("the log contains the key")
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On("/v1/subscriptions/sub_1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	a.On("/v1/subscriptions/sub_2", kit.StripeObject(`{"id":"sub_2","object":"subscription"}`))
	r := resolving(t, a)
	r.accept(t, thin("evt_1", "sub_1", ""))
	kit.Eventually(t, "the first request", func() bool { return len(a.Asked()) == 1 })
	refused := time.Now()
	a.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription"}`))
	r.accept(t, thin("evt_2", "sub_2", ""))
	r.resolved(t, "snapshot", 2)
	if took := time.Since(refused); took < 1500*time.Millisecond {
		t.Errorf("Stripe was called again after %s, want 2 s", took)
	}
	if got := a.Asked(); len(got) != 3 {
		t.Errorf("asked %q, want nothing during the pause", got)
	}
	// The first message fails once, and so does the second if it arrives during the pause.
	once := r.metric(t, `billbus_resolutions_total{outcome="transient"} 1`)
	if !once && !r.metric(t, `billbus_resolutions_total{outcome="transient"} 2`) {
		t.Error("a message was delivered again during the pause")
	}
}

func TestWebhooksDoNotWaitForStripe(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	a.On("/v1/subscriptions/sub_1", func(http.ResponseWriter, *http.Request) { <-release })
	r := resolving(t, a)
	for i := range 10 {
		r.accept(t, thin(fmt.Sprintf("evt_thin_%d", i), "sub_1", ""))
	}
	kit.Eventually(t, "requests to Stripe", func() bool { return len(a.Asked()) >= 4 })
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
		t.Errorf("stopping took %s, want messages that wait for Stripe handed back", took)
	}
}

func TestMessageOfAKilledBridgeIsResolvedByTheNext(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	srv := natstest.Start(t)
	key := withKey(a)
	first := startedOn(t, srv.URL(), key...)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	// A killed bridge leaves a message that was delivered and never acknowledged.
	plain := startedOn(t, srv.URL())
	plain.accept(t, thin("evt_thin", "sub_1", ""))
	consumer, err := plain.stream(t).Consumer(t.Context(), "billbus-resolver")
	if err != nil {
		t.Fatal(err)
	}
	quick := consumer.CachedInfo().Config
	quick.AckWait = time.Second // instead of 30 s, for the test
	if consumer, err = plain.stream(t).UpdateConsumer(t.Context(), quick); err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(10*time.Second))
	if err != nil || <-batch.Messages() == nil {
		t.Fatalf("fetching: %v, %v", err, batch.Error())
	}
	a.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription"}`))
	next := run(t, settings(t, srv.URL(), key...))
	next.resolved(t, "snapshot", 1)
	next.settled(t)
}

func TestStoppingBridgeHandsBackMessages(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	srv := natstest.Start(t)
	key := withKey(a)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	a.On("/v1/subscriptions/sub_1", func(http.ResponseWriter, *http.Request) { <-release })
	first := startedOn(t, srv.URL(), key...)
	first.accept(t, thin("evt_thin", "sub_1", ""))
	kit.Eventually(t, "requests to Stripe", func() bool { return len(a.Asked()) == 1 })
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	a.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription"}`))
	run(t, settings(t, srv.URL(), key...)).resolved(t, "snapshot", 1)
}

// No request contains an id that is not Stripe's or a URL of a payload, and none is for
// the other mode. The messages stay in the stream and do not become dead letters.
func TestUnresolvableMessagesAreRejected(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
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
	if got := a.Asked(); len(got) != 0 {
		t.Errorf("asked %q, want nothing", got)
	}
	if got := r.stored(t); got != 7 {
		t.Errorf("got %d messages, want 7", got)
	}
	for _, want := range []string{`"reason":"bad_id"`, `"reason":"wrong_mode"`} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not contain %s", want)
		}
	}
}

func TestIgnoredEventIsNotResolved(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	r := resolving(t, a)
	r.accept(t, thin("evt_1", "sub_1", `,"context":"acct_1"`))
	r.settled(t)
	if got := a.Asked(); len(got) != 0 {
		t.Errorf("asked %q, want nothing", got)
	}
}

func TestMissingAPIKeyIsLoggedOnce(t *testing.T) {
	t.Parallel()
	r := started(t)
	r.accept(t, event("evt_1"))
	if strings.Contains(r.log.String(), "STRIPE_API_KEY") {
		t.Error("got a warning for an event that leaves out nothing")
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
		t.Error("a bridge without a key has created the resolver's consumer")
	}
}

func TestMissingResolverConsumerFailsItsCheckOnly(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	startedOn(t, srv.URL())
	r := run(t, settings(t, srv.URL(), "PROVISION=check", "STRIPE_API_KEY="+apiKey))
	kit.Eventually(t, "only the check of the resolver fails", func() bool {
		checks := r.health.Ready(t.Context()).Checks
		return checks["streams"].OK && strings.Contains(checks["resolver"].Error, "consumer billbus-resolver does not exist")
	})
	if got := r.postSigned(t, event("evt_1")); got.Status != http.StatusOK {
		t.Errorf("got %d %s, want the webhook accepted", got.Status, got.Body)
	}
}
