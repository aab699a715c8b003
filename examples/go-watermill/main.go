// Command go-watermill is a consumer of Billbus's stream in Go, with a watermill router
// and watermill-nats. It does the same as go-nats; see package entitlement.
//
// With the defaults of watermill-nats a subscriber loses messages. The comments in
// subscribe and ensureConsumer say which settings prevent that, and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/examples/entitlement"
)

const ackWait = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	book, err := entitlement.Open(setting("FOLDER", "go-watermill-data"))
	if err != nil {
		return err
	}
	defer func() { _ = book.Close() }()
	// By default nats.go gives up after 60 attempts, and the subscriber does not report it.
	nc, err := nats.Connect(setting("NATS_URL", nats.DefaultURL), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer nc.Close()
	durable := setting("CONSUMER", "go-watermill")
	if err := ensureConsumer(ctx, nc, durable); err != nil {
		return fmt.Errorf("creating the consumer: %w", err)
	}
	return route(ctx, nc, durable, book)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// ensureConsumer creates the durable consumer if it does not exist. The subscriber must
// not create it: when the subscriber closes, it deletes a consumer that it has created,
// and its acknowledgements are lost with it.
func ensureConsumer(ctx context.Context, nc *nats.Conn, durable string) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	_, err = js.CreatePushConsumer(ctx, "BILLBUS", jetstream.ConsumerConfig{
		Durable: durable,
		// watermill-nats supports only push consumers. In a group each message goes to one
		// process.
		DeliverSubject: "deliver." + durable,
		DeliverGroup:   durable,
		FilterSubject:  events.SubjectSubscriptions,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		// The server pushes this many messages ahead. All must be processed within the ack
		// wait.
		MaxAckPending: 32,
	})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return nil // its settings are the operator's
	}
	return err
}

func subscribe(nc *nats.Conn, durable string, logger watermill.LoggerAdapter) (*wmnats.Subscriber, error) {
	return wmnats.NewSubscriberWithNatsConn(nc, wmnats.SubscriberSubscriptionConfig{
		QueueGroupPrefix: durable,
		AckWaitTimeout:   ackWait,
		// Otherwise a failed message is delivered again at once, tens of thousands of times
		// a second.
		NakDelay:    wmnats.NewStaticDelay(5 * time.Second),
		Unmarshaler: payload{},
		JetStream: wmnats.JetStreamConfig{
			// Both name the consumer: without DurablePrefix, Bind is refused.
			DurablePrefix: durable,
			SubscribeOptions: []nats.SubOpt{
				nats.Bind("BILLBUS", durable),
				// Without this, a subscriber that closes acknowledges messages that no handler
				// has got.
				nats.ManualAck(),
			},
		},
	}, logger)
}

// payload accepts every message: one that cannot be unmarshaled would be delivered again
// without end.
type payload struct{}

func (payload) Unmarshal(m *nats.Msg) (*message.Message, error) {
	return message.NewMessage(m.Header.Get(nats.MsgIdHdr), m.Data), nil
}

func route(ctx context.Context, nc *nats.Conn, durable string, book *entitlement.Book) error {
	logger := watermill.NewSlogLogger(slog.Default())
	subscriber, err := subscribe(nc, durable, logger)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		return err
	}
	apply := func(msg *message.Message) error { return handle(msg.Payload, book) }
	router.AddConsumerHandler("entitlements", events.SubjectSubscriptions, subscriber, apply)
	return router.Run(ctx)
}

// handle puts a message into effect. If it returns nil, the message is acknowledged; after
// an error it is delivered again.
func handle(data []byte, book *entitlement.Book) error {
	m, err := events.Decode(data)
	if err != nil {
		// It will never be readable, and after an error it would be delivered again.
		log.Print("skipping a message: ", err)
		return nil
	}
	if err := book.Apply(m); err != nil {
		return err
	}
	log.Print(m.ID, " ", m.Type, " ", m.Subject)
	return nil
}
