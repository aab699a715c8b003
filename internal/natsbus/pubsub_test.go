package natsbus_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
)

// TestPubSub runs watermill's own suite against the pair. Declared features:
// consumer groups (a group is a durable consumer) and persistence. Not declared:
// order and exactly-once, which the pair does not promise because state does not
// depend on them; old messages for a new subscriber, which the suite expects
// within one group, while here a durable consumer goes on where it stood;
// preserved contexts, since a message leaves the process; a command that
// restarts the server, which TestSubscriberSurvivesServerRestart does itself.
func TestPubSub(t *testing.T) {
	srv := startServer(t)
	tests.TestPubSub(t,
		tests.Features{
			ConsumerGroups: true, Persistent: true,
			GenerateTopicFunc: func(c tests.TestContext) string { return "wm." + string(c.TestID) },
			ForceShort:        testing.Short(),
		},
		func(t *testing.T) (message.Publisher, message.Subscriber) { return pair(t, srv.URL(), "all") },
		func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
			return pair(t, srv.URL(), group)
		},
	)
}

// topics makes a stream for each topic: the suite publishes the same messages
// to many topics, and one stream would store each id once.
type topics struct {
	bus   *natsbus.Bus
	js    jetstream.JetStream
	group string
}

func (c topics) stream(ctx context.Context, topic string) (string, error) {
	name := token(topic)
	_, err := c.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: name, Subjects: []string{topic}, Storage: jetstream.MemoryStorage,
	})
	return name, err
}

func (c topics) bind(ctx context.Context, topic string) (jetstream.Consumer, error) {
	stream, err := c.stream(ctx, topic)
	if err != nil {
		return nil, err
	}
	return c.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: token(c.group), AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, MaxAckPending: -1,
	})
}

func (c topics) Publish(topic string, messages ...*message.Message) error {
	stream, err := c.stream(context.Background(), topic)
	if err != nil {
		return err
	}
	pub, err := c.bus.NewPublisher(stream, 10*time.Second)
	if err != nil {
		return err
	}
	return pub.Publish(topic, messages...)
}

func (c topics) Close() error { return nil }

// initializing adds what the suite asks of a subscriber that has to exist
// before messages are published.
type initializing struct {
	*natsbus.Subscriber
	topics
}

func (s initializing) SubscribeInitialize(topic string) error {
	_, err := s.bind(context.Background(), topic)
	return err
}

func (s initializing) Close() error { return s.Subscriber.Close() }

func pair(t *testing.T, url, group string) (message.Publisher, message.Subscriber) {
	t.Helper()
	c := topics{bus: open(t, url), js: jetStream(t, url), group: group}
	sub, err := c.bus.NewSubscriber(natsbus.SubscriberConfig{
		Stream: "by topic", Consumer: group, Bind: c.bind, MaxInFlight: 32, CloseTimeout: 200 * time.Millisecond,
		Delay:      func(fault.Kind, uint64) time.Duration { return 10 * time.Millisecond },
		DeadLetter: func(context.Context, natsbus.Letter) error { return errors.New("no dead letters here") },
		Log:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, initializing{sub, c}
}

func token(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
