// Command go-nats is a consumer of Billbus's stream in Go. It uses only nats.go and
// package events. It keeps who has access to what, and notes each cancellation once; see
// package entitlement.
//
// It can be killed at any time. The durable consumer in the stream remembers which
// messages were acknowledged, and a message is acknowledged only after its effect is on
// disk. A message that is delivered again has no second effect.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/examples/entitlement"
)

// retryDelay is how long a failed message waits until it is delivered again.
const retryDelay = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	book, err := entitlement.Open(setting("FOLDER", "go-nats-data"))
	if err != nil {
		return err
	}
	defer func() { _ = book.Close() }()
	// By default nats.go stops reconnecting after two minutes.
	nc, err := nats.Connect(setting("NATS_URL", nats.DefaultURL), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer nc.Close()
	consumer, err := bind(ctx, nc, setting("CONSUMER", "go-nats"))
	if err != nil {
		return fmt.Errorf("binding to the consumer: %w", err)
	}
	return consume(ctx, consumer, book)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// bind creates the durable consumer if it does not exist. It does not change an existing
// one: its settings are the operator's.
func bind(ctx context.Context, nc *nats.Conn, durable string) (jetstream.Consumer, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	consumer, err := js.CreateConsumer(ctx, "BILLBUS", jetstream.ConsumerConfig{
		Durable:       durable,
		FilterSubject: events.SubjectSubscriptions,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       30 * time.Second,
		MaxDeliver:    -1, // after the last delivery a message would be lost silently
	})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return js.Consumer(ctx, "BILLBUS", durable)
	}
	return consumer, err
}

func consume(ctx context.Context, consumer jetstream.Consumer, book *entitlement.Book) error {
	// Messages that are fetched ahead must be processed within the ack wait. Otherwise
	// they are delivered again.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(32))
	if err != nil {
		return fmt.Errorf("pulling messages: %w", err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil { // for instance, the consumer was deleted
			return fmt.Errorf("waiting for messages: %w", err)
		}
		if err := settle(ctx, msg, book.Apply); err != nil {
			log.Print("answering the server failed, it delivers the message again: ", err)
		}
	}
}

// settle puts a message into effect, and acknowledges it or asks for it again.
func settle(ctx context.Context, msg jetstream.Msg, apply func(events.Message) error) error {
	m, err := events.Decode(msg.Data())
	if err != nil {
		// It will not be readable the next time either.
		log.Printf("skipping a message on %s: %v", msg.Subject(), err)
		return msg.TermWithReason("not readable")
	}
	if err := apply(m); err != nil {
		log.Printf("%s failed, trying again: %v", m.ID, err)
		return msg.NakWithDelay(retryDelay)
	}
	log.Print(m.ID, " ", m.Type, " ", m.Subject)
	return msg.DoubleAck(ctx)
}
