// Command notifier notifies customers once of each scheduled cancellation, ended
// subscription, trial that will end, and failed payment. It prints a line where yours
// would send a mail.
//
// Instead of a database it has a key-value bucket. The first message of an event claims
// the event there, and only that message leads to a notice. So it does not matter how often
// Stripe sends the event.
//
// If it is killed after a notice was sent and before the message was acknowledged, the
// message is delivered again and the notice is sent again: better twice than never. Give
// the key of the notice to your mail service, which can then recognize the second one.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

type notifier struct {
	claims jetstream.KeyValue
	maxAge time.Duration // 0 means no limit
}

func run(ctx context.Context) error {
	// Billbus can get, or admit, old events later: `bridge backfill` finds those of 30 days.
	maxAge, err := time.ParseDuration(cmp.Or(os.Getenv("MAX_AGE"), "72h"))
	if err != nil {
		return fmt.Errorf("MAX_AGE: %w", err)
	}
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	name := cmp.Or(os.Getenv("CONSUMER"), "notifier")
	// Stripe can send an event again for 30 days.
	claims, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, TTL: 40 * 24 * time.Hour})
	if errors.Is(err, jetstream.ErrBucketExists) { // with settings of the operator
		claims, err = js.KeyValue(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("opening the bucket: %w", err)
	}
	return (&notifier{claims, maxAge}).consume(ctx, js, name)
}

// bind creates the durable consumer if it does not exist. It gets only what happens from
// then on, and no snapshots, which show what is and not what happened.
func bind(ctx context.Context, js jetstream.JetStream, durable string) (jetstream.Consumer, error) {
	consumer, err := js.CreateConsumer(ctx, "BILLBUS", jetstream.ConsumerConfig{
		Durable:        durable,
		FilterSubjects: []string{"subscription.updated", "subscription.canceled", "subscription.trial_will_end", "stripe.invoice.payment_failed"},
		DeliverPolicy:  jetstream.DeliverNewPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        30 * time.Second, // must be more than sending a mail takes
		MaxDeliver:     -1,               // after the last delivery a message would be lost silently
	})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return js.Consumer(ctx, "BILLBUS", durable)
	}
	return consumer, err
}

func (n *notifier) consume(ctx context.Context, js jetstream.JetStream, durable string) error {
	consumer, err := bind(ctx, js, durable)
	if err != nil {
		return fmt.Errorf("binding to the consumer: %w", err)
	}
	// One at a time: a message that waits here for others could exceed its ack wait.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("pulling messages: %w", err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for messages: %w", err)
		}
		if err := n.settle(ctx, msg); err != nil {
			log.Print("answering the server failed, it delivers the message again: ", err)
		}
	}
}

func (n *notifier) settle(ctx context.Context, msg jetstream.Msg) error {
	m, err := events.Decode(msg.Data())
	if err != nil {
		log.Printf("skipping a message on %s: %v", msg.Subject(), err)
		return msg.TermWithReason("not readable")
	}
	text := notice(m)
	if text == "" || n.maxAge > 0 && time.Since(m.Time) > n.maxAge {
		return msg.Ack()
	}
	key := strings.ReplaceAll(m.Key(), ":", ".")
	mine, err := n.claim(ctx, key, msg)
	if err == nil && mine {
		_, err = fmt.Println("notice", key, text)
	}
	if err != nil {
		log.Printf("%s failed, trying again: %v", m.ID, err)
		return msg.NakWithDelay(5 * time.Second)
	}
	return msg.DoubleAck(ctx)
}

// claim reports whether a message is the one of its event that leads to a notice. It still
// is when it is delivered again: then it is not certain that the notice was sent.
func (n *notifier) claim(ctx context.Context, key string, msg jetstream.Msg) (bool, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return false, err
	}
	self := strconv.FormatUint(meta.Sequence.Stream, 10)
	_, err = n.claims.Create(ctx, key, []byte(self))
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return err == nil, err
	}
	entry, err := n.claims.Get(ctx, key)
	return err == nil && string(entry.Value()) == self, err
}

// notice returns what to tell the customer, or "". An event that was not admitted, for
// instance one of another mode, has neither a subscription nor an invoice.
func notice(m events.Message) string {
	sub, invoice := m.Data.Subscription, m.Data.Invoice
	switch {
	case m.Type == "stripe.invoice.payment_failed" && invoice != nil:
		return fmt.Sprintf("payment failed: invoice %s of customer %s", invoice.ID, invoice.CustomerID)
	case sub == nil:
		return ""
	case m.Type == "subscription.canceled":
		return fmt.Sprintf("ended: subscription %s of customer %s", sub.ID, sub.CustomerID)
	case m.Type == "subscription.trial_will_end":
		return fmt.Sprintf("trial ends %s: subscription %s of customer %s", sub.TrialEnd.Format(time.DateOnly), sub.ID, sub.CustomerID)
	case slices.Contains(m.Data.Changes, events.ChangeCancelScheduled):
		return fmt.Sprintf("will end %s: subscription %s of customer %s", sub.EndsAt.Format(time.DateOnly), sub.ID, sub.CustomerID)
	}
	return ""
}
