// Package bridge assembles the ingress: it receives webhooks and publishes messages.
//
// It is separate from cmd/bridge because standalone runs the same assembly, together
// with the subscriber, in one process.
package bridge

import (
	"context"
	"errors"
	"fmt"
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
	// maxConcurrent limits the messages that are encoded and published at once. Each
	// may take a few megabytes.
	maxConcurrent = 256
	reloadEvery   = time.Second
)

// Deps are what it shares with other parts of the process, and how they reach it.
type Deps struct {
	ops.Deps
	Hangup <-chan os.Signal // a signal makes it read the secrets again
}

// Bridge is an ingress that listens, and serves when Run is called.
type Bridge struct {
	cfg        config.Bridge
	deps       Deps
	listener   net.Listener
	verifier   *stripehook.Verifier
	normalizer *normalize.Normalizer
	bus        *natsbus.Bus
	streams    *natsbus.Provisioner
	publisher  *watchedPublisher
	webhook    *handlers.Webhook
	resolver   *resolver // nil without an API key
	healer     *healer   // nil without an interval
}

// Open checks what can be checked, takes the port, and starts to connect to NATS
// without waiting for it. Run closes what Open has opened; if Run is never called,
// Close does.
func Open(cfg config.Bridge, deps Deps) (*Bridge, error) {
	b := &Bridge{cfg: cfg, deps: deps}
	var err error
	if b.verifier, err = stripehook.New(keys(cfg.Webhook.Secrets), cfg.Webhook.Tolerance, deps.Now); err != nil {
		return nil, fmt.Errorf("STRIPE_WEBHOOK_SECRETS: %w", err)
	}
	if b.normalizer, err = newNormalizer(cfg, b.verifier.Names); err != nil {
		return nil, err
	}
	if b.listener, err = ops.Listen("LISTEN_ADDR", cfg.Webhook.Addr); err != nil {
		return nil, err
	}
	b.listener = ops.Limit(b.listener, cfg.Webhook.MaxConnections)
	if err := b.connect(); err != nil {
		return nil, errors.Join(err, b.listener.Close())
	}
	b.addChecks()
	b.deps.Metrics.ReadByBridge()
	b.secretsLoaded(keys(cfg.Webhook.Secrets), nil)
	return b, nil
}

func newNormalizer(cfg config.Bridge, named func(account string) bool) (*normalize.Normalizer, error) {
	return normalize.New(normalize.Options{
		Livemode: cfg.Webhook.Livemode, Accounts: cfg.Webhook.Accounts, Named: named,
		RedactKeys: cfg.Webhook.RedactKeys, UserIDKeys: cfg.Webhook.UserIDKeys, ClientReference: cfg.Webhook.ClientReference,
	})
}

func (b *Bridge) connect() (err error) {
	if b.bus, err = natsbus.Open(natsbus.Auth(b.cfg.NATS), "billbus-bridge", b.deps.Log); err != nil {
		return err
	}
	if err = b.assemble(); err != nil {
		b.bus.Close()
		return err
	}
	b.bus.OnConnect(b.warnSmallPayload())
	return nil
}

func (b *Bridge) assemble() error {
	b.streams = b.bus.NewProvisioner(natsbus.ProvisionMode(b.cfg.Provision), natsbus.StreamSettings(b.cfg.Stream), b.consumer())
	b.streams.Drifted, b.streams.Recreated = b.deps.Metrics.SetStreamDrift, func(string) { b.deps.Metrics.StreamRecreated() }
	publisher, err := b.bus.NewPublisher(b.cfg.Stream.Name, b.cfg.Webhook.PublishTimeout)
	if err != nil {
		return err
	}
	b.publisher = &watchedPublisher{next: publisher, now: b.deps.Now, missing: b.streams.Wake}
	renderings := &renderings{endpoints: b.verifier.Endpoints, seen: map[string]versions{}}
	b.webhook, err = handlers.NewWebhook(handlers.WebhookConfig{
		Path: b.cfg.Webhook.Path, MaxBytes: b.cfg.Webhook.MaxBytes, BodyBudget: b.cfg.Webhook.BodyBudget, MaxConcurrent: maxConcurrent,
		Verifier: b.verifier, Verified: ops.Trust, Normalizer: webhookEvents{b.normalizer, b.warnUnresolved(), b.apiKeys().Has}, SecondEndpoint: renderings.second,
		Publisher: b.publisher, MaxMessage: b.bus.MaxMessage,
		Now: b.deps.Now, Metrics: b.webhookMetrics(), Log: b.deps.Log,
	})
	if err != nil || !b.resolves() {
		return err
	}
	if b.resolver, err = b.newResolver(); err != nil || b.cfg.BackfillInterval == 0 {
		return err
	}
	b.healer, err = b.newHealer()
	return err
}

func (b *Bridge) updateGauges(ctx context.Context) {
	ops.Every(ctx, ops.GaugeInterval, func() {
		b.deps.Metrics.SetNATSConnected(b.bus.Check(ctx) == nil)
		if bytes, limit, err := b.bus.StreamSize(ctx, b.cfg.Stream.Name); err == nil {
			b.deps.Metrics.SetStreamSize(bytes, limit)
		}
	})
}

func (b *Bridge) addChecks() {
	b.deps.Health.Check("nats", b.bus.Check)
	b.deps.Health.Check("streams", b.streams.CheckStreams)
	b.deps.Health.Check("publish", b.checkPublish)
	if b.resolver != nil {
		b.deps.Health.Check("resolver", b.streams.CheckConsumer)
	}
}

// checkPublish asks the server, too: without webhooks nothing is published.
func (b *Bridge) checkPublish(ctx context.Context) error {
	if err := b.publisher.Check(ctx); err != nil {
		return err
	}
	return b.streams.CheckPublish(ctx)
}

// Addr returns the address of the ingress.
func (b *Bridge) Addr() net.Addr { return b.listener.Addr() }

// Run serves until ctx is done. Then it takes no more webhooks, resolves no more
// messages, finishes what is in flight, and closes the connection.
func (b *Bridge) Run(ctx context.Context) error {
	defer b.bus.Close()
	defer b.resolver.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { b.streams.Run(ctx); return nil })
	group.Go(func() error { b.watchSecrets(ctx); return nil })
	group.Go(func() error { b.updateGauges(ctx); return nil })
	group.Go(func() error { return b.bus.WaitClosed(ctx) })
	group.Go(func() error { return b.resolver.run(ctx) })
	group.Go(func() error { return b.healer.run(ctx) })
	group.Go(func() error {
		return ops.Serve(ctx, b.listener, b.webhook, b.cfg.ShutdownTimeout, b.deps.Log)
	})
	return group.Wait()
}

// Close closes what Open has opened.
func (b *Bridge) Close() error {
	b.resolver.close()
	b.bus.Close()
	return b.listener.Close()
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
	stripehook.Watch(ctx, read, b.verifier, reloadEvery, b.deps.Hangup, b.secretsLoaded, b.deps.Log)
}

func (b *Bridge) secretsLoaded(keys []stripehook.Key, err error) {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Name
	}
	b.deps.Metrics.SecretsLoaded(names, err)
}

func keys(secrets []config.NamedSecret) []stripehook.Key {
	list := make([]stripehook.Key, len(secrets))
	for i, s := range secrets {
		list[i] = stripehook.Key{Name: s.Name, Endpoint: s.Endpoint(), Account: s.Account, Secret: s.Value.Reveal()}
	}
	return list
}

// webhookEvents turns the bodies of webhooks into messages.
type webhookEvents struct {
	normalizer *normalize.Normalizer
	notice     func(events.Message)      // is called with every message
	reads      func(account string) bool // whether the bridge reads what messages of an account leave out
}

func (w webhookEvents) Normalize(body []byte, endpoint, account string, receivedAt time.Time) (events.Message, error) {
	msg, err := w.normalizer.Event(body, normalize.Receipt{
		Endpoint: endpoint, Account: account, Origin: events.OriginWebhook, ReceivedAt: receivedAt,
	})
	if err != nil {
		return msg, err
	}
	w.notice(msg)
	return resolving(msg, w.reads(msg.StripeAccount)), nil
}

// resolving marks an event that lists only some items, if the rest is going to be read.
func resolving(msg events.Message, resolves bool) events.Message {
	if reason := handlers.Unresolved(msg); resolves && reason == events.ReasonItemsTruncated {
		msg.Data.Resolving = reason
	}
	return msg
}

func (b *Bridge) webhookMetrics() handlers.WebhookMetrics {
	return &ignoredWarnings{
		WebhookMetrics: b.deps.Metrics, log: b.deps.Log, now: b.deps.Now, reasons: fault.Repeats{Every: ignoredInterval},
	}
}
