package bridge_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "whsec_main_0123456789"

// running is a bridge that serves, and everything around it that a test asks.
type running struct {
	url     string
	natsURL string
	health  *ops.Health
	metrics *ops.Metrics
	log     *kit.Buffer
	hangup  chan os.Signal
	stop    func() error
}

func settings(t *testing.T, natsURL string, more ...string) config.Bridge {
	t.Helper()
	env := map[string]string{
		"LISTEN_ADDR": "127.0.0.1:0", "WEBHOOK_LIVEMODE": "test", "STRIPE_WEBHOOK_SECRETS": "main=" + secret, "NATS_URL": natsURL,
	}
	for _, pair := range more {
		key, value, _ := strings.Cut(pair, "=")
		env[key] = value
		if key == "STRIPE_WEBHOOK_SECRETS_FILE" {
			delete(env, "STRIPE_WEBHOOK_SECRETS")
		}
	}
	var cfg config.Bridge
	if err := config.BridgeServe(&cfg).Load("bridge", nil, func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func startNATS(t *testing.T, addr, dir string) *natsserver.Server {
	t.Helper()
	srv, err := natsserver.Start(natsserver.Config{Addr: addr, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

func run(t *testing.T, cfg config.Bridge) *running {
	t.Helper()
	r := &running{natsURL: cfg.NATS.URL, health: ops.NewHealth(), metrics: ops.NewMetrics(), log: &kit.Buffer{}, hangup: make(chan os.Signal, 1)}
	b, err := bridge.Open(cfg, bridge.Deps{
		Log: slog.New(slog.NewJSONHandler(r.log, nil)), Metrics: r.metrics, Health: r.health, Now: time.Now, Hangup: r.hangup,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + b.Addr().String() + cfg.Webhook.Path
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// started is a bridge on a server of its own that is ready.
func started(t *testing.T, more ...string) *running {
	t.Helper()
	r := run(t, settings(t, startNATS(t, "127.0.0.1:0", t.TempDir()).URL(), more...))
	kit.Eventually(t, "ready", r.ready)
	return r
}

func (r *running) ready() bool { return r.health.Ready(context.Background()).Ready }

func (r *running) metric(t *testing.T, line string) bool {
	t.Helper()
	w := httptest.NewRecorder()
	r.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return strings.Contains(w.Body.String(), line+"\n")
}

func (r *running) stream(t *testing.T) jetstream.Stream {
	t.Helper()
	nc, err := nats.Connect(r.natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func (r *running) stored(t *testing.T) uint64 {
	t.Helper()
	return r.stream(t).CachedInfo().State.Msgs
}

// event is a Stripe event as a test needs it.
func event(id string) []byte {
	return fmt.Appendf(nil, `{
  "id": %q, "object": "event", "type": "customer.subscription.updated", "created": 1760000000, "livemode": false,
  "api_version": "2025-09-30.clover", "data": {"object": {"id": "sub_1", "object": "subscription", "status": "active",
  "customer": "cus_1", "metadata": {"note": "private@example.com"}}}
}`, id)
}

func sign(body []byte, secret string, at time.Time) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), mac(body, secret, at))
}

func mac(body []byte, secret string, at time.Time) string {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(h, "%d.", at.Unix())
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

type response struct {
	status int
	body   string
	header http.Header
}

func (r *running) post(t *testing.T, body []byte, signature string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if signature != "" {
		req.Header.Set("Stripe-Signature", signature)
	}
	return do(t, req)
}

func (r *running) postEvent(t *testing.T, id string) response {
	t.Helper()
	body := event(id)
	return r.post(t, body, sign(body, secret, time.Now()))
}

func do(t *testing.T, req *http.Request) response {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{status: resp.StatusCode, body: string(text), header: resp.Header}
}
