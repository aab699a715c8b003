package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "whsec_main_0123456789"

// running is a bridge that serves, and what a test observes of it.
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

func run(t *testing.T, cfg config.Bridge) *running {
	t.Helper()
	r := &running{natsURL: cfg.NATS.URL, log: &kit.Buffer{}, hangup: make(chan os.Signal, 1)}
	deps := ops.NewDeps(slog.New(slog.NewJSONHandler(r.log, nil)))
	r.health, r.metrics = deps.Health, deps.Metrics
	b, err := bridge.Open(cfg, bridge.Deps{Deps: deps, Hangup: r.hangup})
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

// started runs a bridge on a server of its own, and waits until it is ready.
func started(t *testing.T, more ...string) *running {
	t.Helper()
	return startedOn(t, natstest.Start(t).URL(), more...)
}

// startedOn runs a bridge on a given server, and waits until it is ready.
func startedOn(t *testing.T, natsURL string, more ...string) *running {
	t.Helper()
	r := run(t, settings(t, natsURL, more...))
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
	return natstest.Stream(t, natstest.JetStream(t, r.natsURL), "BILLBUS")
}

func (r *running) stored(t *testing.T) uint64 {
	t.Helper()
	return r.stream(t).CachedInfo().State.Msgs
}

// raw returns a message of the stream as the server stores it.
func (r *running) raw(t *testing.T, sequence uint64) *jetstream.RawStreamMsg {
	t.Helper()
	return natstest.Message(t, natstest.JetStream(t, r.natsURL), "BILLBUS", sequence)
}

// message returns a message of the stream, and its Nats-Msg-Id.
func (r *running) message(t *testing.T, sequence uint64) (events.Message, string) {
	t.Helper()
	raw := r.raw(t, sequence)
	m, err := events.Decode(raw.Data)
	if err != nil || m.Type != raw.Subject {
		t.Fatalf("got %v on %s", err, raw.Subject)
	}
	return m, raw.Header.Get("Nats-Msg-Id")
}

// event returns a Stripe event about the subscription sub_1.
func event(id string) []byte {
	return fmt.Appendf(nil, `{
  "id": %q, "object": "event", "type": "customer.subscription.updated", "created": 1760000000, "livemode": false,
  "api_version": "2025-09-30.clover", "data": {"object": {"id": "sub_1", "object": "subscription", "status": "active",
  "customer": "cus_1", "metadata": {"note": "private@example.com"}}}
}`, id)
}

// sign returns a signature of now.
func sign(body []byte, secret string) string { return kit.Sign(body, secret, time.Now()) }

func (r *running) post(t *testing.T, body []byte, signature string) kit.Response {
	t.Helper()
	resp, err := kit.Post(r.url, body, signature)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// postSigned posts a body with a valid signature.
func (r *running) postSigned(t *testing.T, body []byte) kit.Response {
	t.Helper()
	return r.post(t, body, sign(body, secret))
}

// accept posts a body that must be accepted.
func (r *running) accept(t *testing.T, body []byte) {
	t.Helper()
	if got := r.postSigned(t, body); got.Status != http.StatusOK {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
}

// command is a command of the bridge that reads Stripe's API or a file.
type command struct {
	name     string
	settings func(*config.Bridge) config.Settings
	run      func(context.Context, config.Bridge, bridge.Console, func() time.Time, *slog.Logger) error
	now      func() time.Time
	stdin    string
	env      map[string]string
	flags    []string
}

// of returns the command with further arguments. Those like A=b are variables.
func (c command) of(args ...string) command {
	c.env, c.flags = maps.Clone(c.env), slices.Clone(c.flags)
	for _, arg := range args {
		if key, value, ok := strings.Cut(arg, "="); ok && !strings.HasPrefix(arg, "--") {
			c.env[key] = value
			continue
		}
		c.flags = append(c.flags, arg)
	}
	return c
}

// execute runs the command, and returns what it prints. Nothing that it writes contains a key.
func (c command) execute(ctx context.Context) (out string, err error) {
	var cfg config.Bridge
	if err := c.settings(&cfg).Load(c.name, kit.Flags(c.flags...), func(key string) string { return c.env[key] }); err != nil {
		return "", err
	}
	var stdout, status bytes.Buffer
	console := bridge.Console{Stdin: strings.NewReader(c.stdin), Stdout: &stdout, Stderr: &status}
	err = c.run(ctx, cfg, console, c.now, slog.New(slog.NewJSONHandler(&status, nil)))
	if all := stdout.String() + status.String() + fmt.Sprint(err); strings.Contains(all, "hunter2") {
		return "", fmt.Errorf("a key or an answer was printed: %s", all)
	}
	return stdout.String(), err
}

// readsStripe are the variables of a command that reads Stripe's API.
func readsStripe(natsURL, base string) map[string]string {
	return map[string]string{"NATS_URL": natsURL, "WEBHOOK_LIVEMODE": "test", "STRIPE_API_KEY": apiKey, "STRIPE_API_BASE": base}
}
