// Command go-watermill is a consumer of Billbus's stream in Go, with a watermill
// router and watermill-nats. It does what go-nats does; see package entitlement.
//
// Subscribing with watermill-nats' defaults loses messages. What has to be set,
// and why, stands in subscribe and ensureConsumer.
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
	// By default nats.go gives up after 60 attempts, and the subscriber stays silent.
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

// ensureConsumer creates the durable consumer where there is none. It must not be
// left to the subscriber: what that one has created it deletes when it closes, and
// with it the memory of what was acknowledged.
func ensureConsumer(ctx context.Context, nc *nats.Conn, durable string) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	_, err = js.CreatePushConsumer(ctx, "BILLBUS", jetstream.ConsumerConfig{
		Durable: durable,
		// It knows push consumers only. In a group each message goes to one process.
		DeliverSubject: "deliver." + durable,
		DeliverGroup:   durable,
		FilterSubject:  events.SubjectSubscriptions,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		// The server pushes as many ahead; all have to be processed within the ack wait.
		MaxAckPending: 32,
	})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return nil // with settings of whoever runs this
	}
	return err
}

func subscribe(nc *nats.Conn, durable string, logger watermill.LoggerAdapter) (*wmnats.Subscriber, error) {
	return wmnats.NewSubscriberWithNatsConn(nc, wmnats.SubscriberSubscriptionConfig{
		QueueGroupPrefix: durable,
		AckWaitTimeout:   ackWait,
		// A failed message would come back at once otherwise, tens of thousands of
		// times a second.
		NakDelay:    wmnats.NewStaticDelay(5 * time.Second),
		Unmarshaler: payload{},
		JetStream: wmnats.JetStreamConfig{
			// Both name the consumer: without the former, the latter is refused.
			DurablePrefix: durable,
			SubscribeOptions: []nats.SubOpt{
				nats.Bind("BILLBUS", durable),
				// Without this it acknowledges, too, what it hands to nobody when closing.
				nats.ManualAck(),
			},
		},
	}, logger)
}

// payload takes every message: one that cannot be unmarshaled would come for ever.
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

// handle makes a message take effect. It is acknowledged when nil is returned, and
// delivered again after an error.
func handle(data []byte, book *entitlement.Book) error {
	m, err := events.Decode(data)
	if err != nil {
		// It will never be readable, and an error would bring it again.
		log.Print("leaving out a message: ", err)
		return nil
	}
	if err := book.Apply(m); err != nil {
		return err
	}
	log.Print(m.ID, " ", m.Type, " ", m.Subject)
	return nil
}
