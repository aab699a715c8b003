package ops_test

import (
	"errors"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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
	m.ReadByBridge()
	m.ReadBySubscriber()
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
	m.SetOldestPending(90 * time.Second)
	m.SetDeadLetters(0)
	m.SetStreamSize(5, -1)
	m.SetStreamDrift(3)
	m.SetNATSConnected(true)
	m.StreamRecreated()
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
		`billbus_oldest_pending_seconds 90`,
		`billbus_dead_letters 0`,
		`billbus_stream_bytes 5`,
		`billbus_stream_limit_bytes -1`,
		`billbus_stream_drift 3`,
		`billbus_nats_connected 1`,
		`billbus_stream_recreated_total 1`,
		`billbus_user_id_total{source="link"} 1`,
		`go_goroutines `,
		`process_start_time_seconds `,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("got no line %q", want)
		}
	}
}

func TestCountersBeginAtZero(t *testing.T) {
	t.Parallel()
	got := scrape(t, ops.NewMetrics())
	for _, want := range []string{
		`billbus_webhooks_total{outcome="unavailable"} 0`,
		`billbus_webhook_rejections_total{reason="no_match"} 0`,
		`billbus_webhooks_ignored_total{reason="livemode"} 0`,
		`billbus_stream_recreated_total 0`,
		`billbus_secret_reloads_failed_total 0`,
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("got no line %q", want)
		}
	}
}

func TestGaugesOfAProgramAreUnknownUntilTheyAreRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := ops.NewMetrics()
		if strings.Contains(scrape(t, m), "billbus_gaps") {
			t.Error("got a gauge that this program does not read")
		}
		m.ReadBySubscriber()
		time.Sleep(7 * time.Second)
		m.SetDeadLetters(2)
		time.Sleep(20 * time.Second)
		got := scrape(t, m)
		for _, want := range []string{
			"billbus_gaps NaN", `billbus_gauge_age_seconds{gauge="billbus_gaps"} 27`,
			"billbus_dead_letters 2", `billbus_gauge_age_seconds{gauge="billbus_dead_letters"} 20`,
		} {
			if !strings.Contains(got, "\n"+want+"\n") {
				t.Errorf("got no line %q", want)
			}
		}
	})
}

func TestSecretsHaveASeriesWhileTheyAreInUse(t *testing.T) {
	t.Parallel()
	m := ops.NewMetrics()
	secrets := func(want ...string) {
		t.Helper()
		got := regexp.MustCompile(`(?m)^billbus_secret_(?:verifications_total|file_ignored).* .*$`).FindAllString(scrape(t, m), -1)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("series (-want +got):\n%s", diff)
		}
	}
	m.SecretsLoaded([]string{"old", "main"}, nil)
	m.SecretVerified("main")
	secrets("billbus_secret_file_ignored 0", `billbus_secret_verifications_total{secret="main"} 1`, `billbus_secret_verifications_total{secret="old"} 0`)
	m.SecretsLoaded(nil, errors.New("no such file"))
	secrets("billbus_secret_file_ignored 1", `billbus_secret_verifications_total{secret="main"} 1`, `billbus_secret_verifications_total{secret="old"} 0`)
	m.SecretsLoaded([]string{"main"}, nil)
	secrets("billbus_secret_file_ignored 0", `billbus_secret_verifications_total{secret="main"} 1`)
	if got := scrape(t, m); !strings.Contains(got, "\nbillbus_secret_reloads_failed_total 1\n") {
		t.Error("the failed reload was not counted")
	}
}
