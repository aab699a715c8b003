package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
)

// maxResolving limits how many messages are resolved at once. A few are enough to
// use the rate at which Stripe's API is called.
const maxResolving = 4

// resolver reads from Stripe what messages of the stream leave out. It has a
// consumer of its own, so no webhook waits for Stripe. A nil resolver does nothing:
// it is that of a bridge without an API key.
type resolver struct {
	client *stripeapi.Client
	router *natsbus.Router
}

func (r *resolver) run(ctx context.Context) error {
	if r == nil {
		return nil
	}
	return r.router.Run(ctx)
}

func (r *resolver) close() {
	if r != nil {
		r.client.Close()
	}
}

func (b *Bridge) resolves() bool { return b.cfg.StripeAPI.Key.IsSet() || len(b.cfg.StripeAPI.Keys) > 0 }

func (b *Bridge) apiKeys() stripeapi.Keys { return apiKeys(b.cfg) }

func apiKeys(cfg config.Bridge) stripeapi.Keys {
	api := cfg.StripeAPI
	keys := stripeapi.Keys{Own: onlyAccount(cfg.Webhook.Secrets), Accounts: map[string]string{}}
	if api.Key.IsSet() {
		keys.Main = api.Key.Reveal()
	}
	for _, pair := range api.Keys {
		keys.Accounts[pair.Account] = pair.Key.Reveal()
	}
	return keys
}

// onlyAccount returns the account that all secrets name. A key whose account is not
// said is then taken to be of that one. It returns "" if they differ.
func onlyAccount(secrets []config.NamedSecret) string {
	for _, s := range secrets {
		if s.Account != secrets[0].Account {
			return ""
		}
	}
	if len(secrets) == 0 {
		return ""
	}
	return secrets[0].Account
}

// consumer returns the durable consumer that the bridge needs.
func (b *Bridge) consumer() natsbus.Consumer {
	if !b.resolves() {
		return natsbus.Consumer{}
	}
	return natsbus.ResolverConsumer()
}

func (b *Bridge) newResolver() (*resolver, error) {
	client := newClient(b.cfg, b.deps.Now)
	resolve, err := handlers.NewResolve(handlers.ResolveConfig{
		Reader: stripeReader{client, b.normalizer, b.deps.Now}, HasKey: b.apiKeys().Has, SnapshotEvent: normalize.SnapshotEvent,
		Resolved: b.bus.NewBucket(natsbus.ResolvedBucket), Publisher: b.publisher, MaxMessage: b.bus.MaxMessage,
		Now: b.deps.Now, Metrics: b.deps.Metrics, Log: b.deps.Log,
	})
	if err != nil {
		return nil, err
	}
	router, err := b.bus.NewRouter(natsbus.SubscriberConfig{
		Stream: b.cfg.Stream.Name, Consumer: natsbus.ResolverConsumer().Name, MaxInFlight: maxResolving,
		CloseTimeout: b.cfg.ShutdownTimeout, DeadLetter: b.bus.NewDeadLetters(b.deps.Now).Keep, Missing: b.streams.Wake,
		// During a pause that Stripe has asked for, a message could only fail again.
		Delay: func(deliveries uint64) time.Duration {
			return max(natsbus.RedeliveryDelay(deliveries), client.Paused())
		},
	}, resolve.Handle)
	return &resolver{client, router}, err
}

func newClient(cfg config.Bridge, now func() time.Time) *stripeapi.Client {
	return newClientAt(cfg, 0, now)
}

// newClientAt returns a client with a rate of its own, in calls a second; 0 is the usual one.
func newClientAt(cfg config.Bridge, rate int, now func() time.Time) *stripeapi.Client {
	api := cfg.StripeAPI
	return stripeapi.New(stripeapi.Config{Keys: apiKeys(cfg), Base: api.Base, Version: api.Version, Rate: rate, Now: now})
}

// stripeReader turns what it reads from Stripe's API into messages.
type stripeReader struct {
	client     *stripeapi.Client
	normalizer *normalize.Normalizer
	now        func() time.Time
}

// Event implements handlers.Reader.
func (r stripeReader) Event(ctx context.Context, about events.Message, id string) (events.Message, bool, error) {
	answer, err := r.client.Event(ctx, owner(about), id)
	if err != nil {
		return missing(err)
	}
	msg, err := r.normalizer.Event(answer.Raw, normalize.Receipt{
		Account: about.StripeAccount, Origin: events.OriginThin, ReceivedAt: r.now(),
	})
	return understood(resolving(msg, true), err, "reading event "+events.SafeID(id))
}

// Snapshot implements handlers.Reader.
func (r stripeReader) Snapshot(ctx context.Context, about events.Message, reason events.Reason) (events.Message, bool, error) {
	read, id := r.client.Subscription, about.Subject
	if list := about.Data.Entitlements; list != nil {
		read, id = r.client.Entitlements, list.CustomerID
	}
	answer, err := read(ctx, owner(about), id)
	if err != nil {
		return missing(err)
	}
	if about.Data.Entitlements != nil && answer.At.Before(about.Time) {
		answer.At = about.Time // whatever the clocks say, it was read after the event
	}
	msg, err := r.normalizer.Snapshot(answer.Raw, normalize.Reading{
		Account: about.StripeAccount, Livemode: about.Livemode, APIVersion: answer.Version, At: answer.At,
		Origin: events.OriginThin, Reason: reason, BecauseOf: about.ID, ReceivedAt: r.now(),
	})
	return understood(msg, err, "reading "+events.SafeID(id))
}

func owner(about events.Message) stripeapi.Owner {
	return stripeapi.Owner{Account: about.StripeAccount, Context: normalize.Context(about.Data.Event), Livemode: about.Livemode}
}

// missing returns no error for an object that Stripe does not have.
func missing(err error) (events.Message, bool, error) {
	if errors.Is(err, stripeapi.ErrMissing) {
		err = nil
	}
	return events.Message{}, false, err
}

func understood(msg events.Message, err error, doing string) (events.Message, bool, error) {
	if err != nil {
		return msg, false, fault.New(fault.Transient, fault.UnexpectedAnswer, fmt.Errorf("%s: %w", doing, err))
	}
	return msg, true, nil
}

// maxWarned bounds the memory of accounts about which a warning was logged.
const maxWarned = 1000

// warnUnresolved returns a function that logs a warning for the first message that
// leaves out something which the bridge never reads: one in all for a bridge without
// an API key, otherwise one for each account without a key.
func (b *Bridge) warnUnresolved() func(events.Message) {
	keys, resolves := b.apiKeys(), b.resolves()
	var mu sync.Mutex
	warned := map[string]bool{}
	first := func(account string) bool {
		mu.Lock()
		defer mu.Unlock()
		if warned[account] || len(warned) >= maxWarned {
			return false
		}
		warned[account] = true
		return true
	}
	return func(msg events.Message) {
		account := msg.StripeAccount
		switch {
		case handlers.Unresolved(msg) == "":
		case !resolves && first(""):
			b.deps.Log.Warn("Stripe sends thin events, or only some items of a subscription or entitlements of a customer; set STRIPE_API_KEY to read the rest from Stripe",
				handlers.Describe(msg)...)
		case resolves && !keys.Has(account) && first(account):
			b.deps.Log.Warn("Stripe sends thin events, or only some items of a subscription or entitlements of a customer, and there is no key for the account; "+
				"add one to STRIPE_API_KEYS to read the rest from Stripe", append(handlers.Describe(msg), "account", msg.Account())...)
		}
	}
}
