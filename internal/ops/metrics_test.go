package ops_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/ops"
)

func scrape(t *testing.T, m *ops.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	return w.Body.String()
}

func TestMetricsCountUnderTheirNames(t *testing.T) {
	t.Parallel()
	m := ops.NewMetrics()
	m.WebhookDone("stored", 4*time.Millisecond)
	m.WebhookRejected("stale")
	m.SecretVerified("main")
	m.PublishDone(3 * time.Millisecond)
	m.ResolveDone("event")
	m.MessageDone("applied", time.Millisecond)
	m.EndpointOverlap()
	m.EventLag(90 * time.Second)
	m.EventLag(-time.Second)
	m.Redelivered()
	m.SetConsumerPending(7)
	m.SetDeadLetters(0)
	m.UserID("link")

	got := scrape(t, m)
	for _, want := range []string{
		`billbus_webhooks_total{outcome="stored"} 1`,
		`billbus_webhook_rejections_total{reason="stale"} 1`,
		`billbus_webhook_duration_seconds_bucket{le="0.005"} 1`,
		`billbus_webhook_duration_seconds_count 1`,
		`billbus_secret_verifications_total{secret="main"} 1`,
		`billbus_publish_duration_seconds_count 1`,
		`billbus_resolutions_total{outcome="event"} 1`,
		`billbus_messages_total{outcome="applied"} 1`,
		`billbus_endpoint_overlap_total 1`,
		`billbus_apply_duration_seconds_count 1`,
		`billbus_event_lag_seconds_sum 90`,
		`billbus_event_lag_seconds_count 2`,
		`billbus_consumer_redeliveries_total 1`,
		`billbus_consumer_pending 7`,
		`billbus_dead_letters 0`,
		`billbus_user_id_total{source="link"} 1`,
		`go_goroutines `,
		`process_start_time_seconds `,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("got no line %q", want)
		}
	}
}

func TestGaugesAppearOnceSet(t *testing.T) {
	t.Parallel()
	m := ops.NewMetrics()
	for _, name := range []string{"billbus_consumer_pending", "billbus_dead_letters"} {
		if strings.Contains(scrape(t, m), name) {
			t.Errorf("got %s before it was set", name)
		}
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() { m.SetConsumerPending(uint64(n)) })
	}
	wg.Wait()
	if got := scrape(t, m); !strings.Contains(got, "\nbillbus_consumer_pending ") || strings.Contains(got, "billbus_dead_letters") {
		t.Error("want the gauge that was set, and only that one")
	}
}
