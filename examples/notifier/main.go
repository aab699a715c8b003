// Command notifier tells customers what they should know: that a cancellation is
// scheduled, that a subscription has ended, that a trial will end, that a payment failed.
// It prints a line for each, where yours would send a mail.
//
// It needs no database. Which event was noticed is in a key-value bucket of its own: the
// first message of an event claims it, and only that message is answered with a notice. So
// an event that Stripe or the bridge repeats is noticed once.
//
// If the process is killed after a notice was sent and before its message was
// acknowledged, the message is delivered again and the notice is sent again: it is better
// to send a mail twice than never. Pass the key of the notice to the mail service, so that
// it can recognize the second one.
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

const (
	retryDelay = 5 * time.Second
	// remember is longer than Stripe can send an event again.
	remember = 40 * 24 * time.Hour
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
	// maxAge keeps old events from being noticed that Billbus gets or admits later, as
	// `bridge backfill` does. 0 means no limit.
	maxAge time.Duration
}

func run(ctx context.Context) error {
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
	claims, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, TTL: remember})
	if errors.Is(err, jetstream.ErrBucketExists) { // with settings of the operator
		claims, err = js.KeyValue(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("opening the bucket: %w", err)
	}
	consumer, err := bind(ctx, js, name)
	if err != nil {
		return fmt.Errorf("binding to the consumer: %w", err)
	}
	return (&notifier{claims, maxAge}).consume(ctx, consumer)
}

// bind creates the durable consumer if it does not exist. It gets only what happens from
// then on, and no snapshots, which show what is and not what happened.
func bind(ctx context.Context, js jetstream.JetStream, durable string) (jetstream.Consumer, error) {
	consumer, err := js.CreateConsumer(ctx, "BILLBUS", jetstream.ConsumerConfig{
		Durable:        durable,
		FilterSubjects: []string{"subscription.updated", "subscription.canceled", "subscription.trial_will_end", "stripe.invoice.payment_failed"},
		DeliverPolicy:  jetstream.DeliverNewPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        30 * time.Second, // more than sending a mail can take
		MaxDeliver:     -1,
	})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return js.Consumer(ctx, "BILLBUS", durable)
	}
	return consumer, err
}

func (n *notifier) consume(ctx context.Context, consumer jetstream.Consumer) error {
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
		return msg.NakWithDelay(retryDelay)
	}
	return msg.DoubleAck(ctx)
}

// claim reports whether this message is the one of its event that is to be noticed. It is
// so again when the message is delivered again, which means that it is not certain that
// the notice was sent.
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
	if invoice := m.Data.Invoice; invoice != nil {
		return fmt.Sprintf("payment failed: invoice %s of customer %s", invoice.ID, invoice.CustomerID)
	}
	sub := m.Data.Subscription
	switch {
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
