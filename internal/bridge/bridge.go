// Package bridge assembles the ingress: webhooks in, messages out.
//
// It stands apart from cmd/bridge because standalone runs the same assembly
// beside the subscriber, in one process.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/stripehook"
)

const (
	// maxConcurrent bounds the messages that are encoded and published at once,
	// each of which may hold a few megabytes.
	maxConcurrent = 256
	reloadEvery   = time.Second
)

// Deps are what the process shares between its parts.
type Deps struct {
	Log     *slog.Logger
	Metrics *ops.Metrics
	Health  *ops.Health
	Now     func() time.Time
	Hangup  <-chan os.Signal // asks for the secrets to be read again
	// Rejected is told why a webhook was rejected; may be nil.
	Rejected func(reason fault.Reason)
}

// Bridge is an ingress that listens but does not serve yet.
type Bridge struct {
	cfg       config.Bridge
	deps      Deps
	listener  net.Listener
	verifier  *stripehook.Verifier
	bus       *natsbus.Bus
	streams   *natsbus.Provisioner
	publisher *watchedPublisher
	webhook   *handlers.Webhook
	resolver  *resolver // nil without an API key
}

// Open checks everything that can be checked, takes the port, and starts to
// connect to NATS without waiting for it. What is opened is closed by Run, or by
// Close if Run is never called.
func Open(cfg config.Bridge, deps Deps) (*Bridge, error) {
	verifier, err := stripehook.New(keys(cfg.Webhook.Secrets), cfg.Webhook.Tolerance, deps.Now)
	if err != nil {
		return nil, fmt.Errorf("STRIPE_WEBHOOK_SECRETS: %w", err)
	}
	normalizer, err := normalize.New(normalize.Options{
		Livemode: cfg.Webhook.Livemode, Accounts: cfg.Webhook.Accounts,
		RedactKeys: cfg.Webhook.RedactKeys, UserIDKeys: cfg.Webhook.UserIDKeys, ClientReference: cfg.Webhook.ClientReference,
	})
	if err != nil {
		return nil, err
	}
	listener, err := ops.Listen("LISTEN_ADDR", cfg.Webhook.Addr)
	if err != nil {
		return nil, err
	}
	b := &Bridge{cfg: cfg, deps: deps, listener: listener, verifier: verifier}
	if err := b.connect(normalizer); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	b.checks()
	return b, nil
}

func (b *Bridge) connect(normalizer *normalize.Normalizer) error {
	bus, err := natsbus.Open(natsbus.Auth(b.cfg.NATS), "billbus-bridge", b.deps.Log)
	if err != nil {
		return err
	}
	publisher, err := bus.NewPublisher(b.cfg.Stream.Name, b.cfg.Webhook.PublishTimeout)
	if err != nil {
		bus.Close()
		return err
	}
	b.bus = bus
	b.streams = natsbus.NewProvisioner(bus, natsbus.ProvisionMode(b.cfg.Provision), natsbus.StreamSettings(b.cfg.Stream), b.consumer(), b.deps.Log)
	b.publisher = &watchedPublisher{next: publisher, now: b.deps.Now, missing: b.streams.Wake}
	if err := errors.Join(b.receive(normalizer), b.resolve(normalizer)); err != nil {
		bus.Close()
		return err
	}
	return nil
}

// receive makes the handler of webhooks.
func (b *Bridge) receive(normalizer *normalize.Normalizer) (err error) {
	b.webhook, err = handlers.NewWebhook(handlers.WebhookConfig{
		Path: b.cfg.Webhook.Path, MaxBytes: b.cfg.Webhook.MaxBytes, MaxConcurrent: maxConcurrent,
		Verifier: b.verifier, Normalizer: webhookEvents{normalizer, b.hint()}, Publisher: b.publisher, MaxMessage: b.bus.MaxMessage,
		Now: b.deps.Now, Metrics: b.metrics(), Log: b.deps.Log,
	})
	return err
}

func (b *Bridge) metrics() handlers.WebhookMetrics {
	if b.deps.Rejected == nil {
		return b.deps.Metrics
	}
	return rejections{b.deps.Metrics, b.deps.Rejected}
}

// rejections tells somebody else, too, why a webhook was rejected.
type rejections struct {
	*ops.Metrics
	tell func(reason fault.Reason)
}

func (r rejections) WebhookRejected(reason fault.Reason) {
	r.Metrics.WebhookRejected(reason)
	r.tell(reason)
}

func (b *Bridge) checks() {
	b.deps.Health.Check("nats", b.bus.Check)
	b.deps.Health.Check("streams", b.streams.CheckStreams)
	b.deps.Health.Check("publish", b.publisher.Check)
	if b.resolver != nil {
		b.deps.Health.Check("resolver", b.streams.CheckConsumer)
	}
}

// Addr is where the ingress listens.
func (b *Bridge) Addr() net.Addr { return b.listener.Addr() }

// Close gives up what Open took.
func (b *Bridge) Close() error {
	b.resolver.close()
	b.bus.Close()
	return b.listener.Close()
}

// Run serves until ctx is done: then it stops taking webhooks and resolving
// messages, finishes what is in flight, and closes the connection.
func (b *Bridge) Run(ctx context.Context) error {
	defer b.bus.Close()
	defer b.resolver.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { b.streams.Run(ctx); return nil })
	group.Go(func() error { b.watchSecrets(ctx); return nil })
	group.Go(func() error { return b.bus.WaitClosed(ctx) })
	group.Go(func() error { return b.resolver.run(ctx) })
	group.Go(func() error {
		return ops.Serve(ctx, b.listener, b.webhook, b.cfg.ShutdownTimeout, b.deps.Log)
	})
	return group.Wait()
}

func (b *Bridge) watchSecrets(ctx context.Context) {
	file := b.cfg.Webhook.SecretsFile
	if file == "" {
		return
	}
	read := func() ([]stripehook.Key, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, errors.New("STRIPE_WEBHOOK_SECRETS_FILE cannot be read")
		}
		secrets, err := config.ParseWebhookSecrets(string(text))
		return keys(secrets), err
	}
	stripehook.Watch(ctx, read, b.verifier, reloadEvery, b.deps.Hangup, b.deps.Log)
}

// webhookEvents makes messages of what Stripe posts.
type webhookEvents struct {
	normalizer *normalize.Normalizer
	made       func(events.Message) // is shown every message
}

func (w webhookEvents) Normalize(body []byte, endpoint string, receivedAt time.Time) (events.Message, error) {
	msg, err := w.normalizer.Event(body, normalize.Receipt{
		Endpoint: endpoint, Origin: events.OriginWebhook, ReceivedAt: receivedAt,
	})
	if err == nil {
		w.made(msg)
	}
	return msg, err
}

func keys(secrets []config.NamedSecret) []stripehook.Key {
	list := make([]stripehook.Key, len(secrets))
	for i, s := range secrets {
		list[i] = stripehook.Key{Name: s.Name, Secret: s.Value.Reveal()}
	}
	return list
}
