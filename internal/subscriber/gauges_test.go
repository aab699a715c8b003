package subscriber

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// opened returns a subscriber that is not running, without a database.
func opened(t *testing.T, natsURL string) *Subscriber {
	t.Helper()
	env := map[string]string{"NATS_URL": natsURL, "MONGODB_URI": "mongodb://127.0.0.1:1"}
	var cfg config.Subscriber
	if err := config.SubscriberRun(&cfg).Load("subscriber", nil, func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	s, err := Open(cfg, ops.NewDeps(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// readGauges reads them once, and returns them as Prometheus does.
func (s *Subscriber) readGauges() string {
	s.readNATS(context.Background())
	w := httptest.NewRecorder()
	s.deps.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return w.Body.String()
}

func TestGaugesExistBeforeNATSIsThere(t *testing.T) {
	t.Parallel()
	got := opened(t, "nats://127.0.0.1:1").readGauges()
	for _, want := range []string{
		"billbus_nats_connected 0", "billbus_consumer_pending NaN", "billbus_oldest_pending_seconds NaN",
		"billbus_dead_letters NaN", "billbus_gaps NaN",
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("got no line %q", want)
		}
	}
}

func TestGaugesKeepTheirValuesWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	s := opened(t, server.URL())
	js := natstest.JetStream(t, server.URL())
	provision(t, s)
	publish(t, js)
	kit.Eventually(t, "the message is pending", func() bool {
		got := s.readGauges()
		return strings.Contains(got, "\nbillbus_consumer_pending 1\n") && aged.MatchString(got)
	})
	server.Close()
	kit.Eventually(t, "the connection is lost", func() bool { return s.bus.Check(t.Context()) != nil })
	got := s.readGauges()
	for _, want := range []string{"billbus_nats_connected 0", "billbus_consumer_pending 1", "billbus_dead_letters 0"} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("got no line %q", want)
		}
	}
	if !aged.MatchString(got) {
		t.Error("the age of the oldest message was lost")
	}
}

// aged matches an age that is not zero.
var aged = regexp.MustCompile(`\nbillbus_oldest_pending_seconds [0-9.e-]*[1-9]`)

// provision creates the streams and the consumer.
func provision(t *testing.T, s *Subscriber) {
	t.Helper()
	kit.Eventually(t, "there is a connection", func() bool { return s.bus.Check(t.Context()) == nil })
	if err := s.bus.Alter(t.Context(), natsbus.StreamSettings(s.cfg.Stream)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.streams.Run(ctx) }()
	kit.Eventually(t, "the consumer exists", func() bool { return s.streams.Check(ctx) == nil })
	stop()
	<-done
}

func publish(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.Publish(t.Context(), "stripe.x", nil); err != nil {
		t.Fatal(err)
	}
}
