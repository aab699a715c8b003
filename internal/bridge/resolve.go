package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
)

// maxResolving is how many messages ask Stripe at once. A few are enough to keep
// the pace that the API is called at.
const maxResolving = 4

// resolver reads from Stripe what messages of the stream leave out. It has a
// consumer of its own, so that no webhook ever waits for Stripe. The nil
// resolver, of a bridge without an API key, does nothing.
type resolver struct {
	client *stripeapi.Client
	router *message.Router
}

// consumer is what the bridge needs in the stream.
func (b *Bridge) consumer() natsbus.Consumer {
	if !b.cfg.StripeAPI.Key.IsSet() {
		return natsbus.Consumer{}
	}
	return natsbus.ResolverConsumer()
}

// resolve makes the resolver, if there is a key to read from Stripe with.
func (b *Bridge) resolve(normalizer *normalize.Normalizer) error {
	api := b.cfg.StripeAPI
	if !api.Key.IsSet() {
		return nil
	}
	client, err := stripeapi.New(stripeapi.Config{Key: api.Key.Reveal(), Base: api.Base, Version: api.Version, Now: b.deps.Now})
	if err != nil {
		return err
	}
	resolve, err := handlers.NewResolve(handlers.ResolveConfig{
		Reader: stripeReader{client, normalizer, b.deps.Now}, SnapshotEvent: normalize.SnapshotEvent,
		Publisher: b.publisher, MaxMessage: b.bus.MaxMessage, Now: b.deps.Now, Metrics: b.deps.Metrics, Log: b.deps.Log,
	})
	if err != nil {
		return err
	}
	router, err := b.route(resolve, client)
	b.resolver = &resolver{client, router}
	return err
}

func (b *Bridge) route(resolve *handlers.Resolve, client *stripeapi.Client) (*message.Router, error) {
	sub, err := b.bus.NewSubscriber(natsbus.SubscriberConfig{
		Stream: b.cfg.Stream.Name, Consumer: natsbus.ResolverConsumer().Name, MaxInFlight: maxResolving,
		// What does not end in time is handed back.
		CloseTimeout: b.cfg.ShutdownTimeout * 3 / 4,
		DeadLetter:   b.bus.NewDeadLetters(b.deps.Now).Keep,
		// Coming back during a pause that Stripe asked for would be for nothing.
		Delay: func(kind fault.Kind, deliveries uint64) time.Duration {
			return max(natsbus.RedeliveryDelay(kind, deliveries), client.Paused())
		},
		Log: b.deps.Log,
	})
	if err != nil {
		return nil, err
	}
	return natsbus.NewRouter("resolve", sub, resolve.Handle, b.cfg.ShutdownTimeout)
}

func (r *resolver) run(ctx context.Context) error {
	if r == nil {
		return nil
	}
	return natsbus.Consume(ctx, r.router)
}

func (r *resolver) close() {
	if r != nil {
		r.client.Close()
	}
}

// hint says once that messages leave something out which nobody asks for.
func (b *Bridge) hint() func(events.Message) {
	if b.cfg.StripeAPI.Key.IsSet() {
		return func(events.Message) {}
	}
	var once sync.Once
	return func(msg events.Message) {
		if handlers.Unresolved(msg) == "" {
			return
		}
		once.Do(func() {
			b.deps.Log.Warn("Stripe sends thin events or lists only some items of a subscription; what they leave out stays unknown until STRIPE_API_KEY is set",
				"event_id", events.SafeID(msg.ID), "subject", msg.Type)
		})
	}
}

// stripeReader makes messages of what it reads from Stripe's API.
type stripeReader struct {
	client     *stripeapi.Client
	normalizer *normalize.Normalizer
	now        func() time.Time
}

func (r stripeReader) Event(ctx context.Context, about events.Message, id string) (events.Message, bool, error) {
	answer, err := r.client.Event(ctx, owner(about), id)
	if err != nil {
		return unread(err)
	}
	msg, err := r.normalizer.Event(answer.Raw, normalize.Receipt{
		Account: about.StripeAccount, Origin: events.OriginThin, ReceivedAt: r.now(),
	})
	return msg, err == nil, notStripes("reading event "+events.SafeID(id), err)
}

func (r stripeReader) Snapshot(ctx context.Context, about events.Message, reason events.Reason) (events.Message, bool, error) {
	answer, err := r.client.Subscription(ctx, owner(about), about.Subject)
	if err != nil {
		return unread(err)
	}
	msg, err := r.normalizer.Snapshot(answer.Raw, normalize.Reading{
		Account: about.StripeAccount, Livemode: about.Livemode, APIVersion: answer.Version, At: answer.At,
		Origin: events.OriginThin, Reason: reason, ReceivedAt: r.now(),
	})
	return msg, err == nil, notStripes("reading subscription "+events.SafeID(about.Subject), err)
}

func owner(about events.Message) stripeapi.Owner {
	return stripeapi.Owner{Account: about.StripeAccount, Livemode: about.Livemode}
}

// unread tells what is not there from what could not be read.
func unread(err error) (events.Message, bool, error) {
	if errors.Is(err, stripeapi.ErrMissing) {
		return events.Message{}, false, nil
	}
	return events.Message{}, false, err
}

// notStripes is the fault of an answer that was read and cannot be understood.
func notStripes(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Transient, fault.UnexpectedAnswer, fmt.Errorf("%s: %w", doing, err))
}
