package natsbus_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit/natstest"
)

// TestPubSub runs watermill's own suite on the publisher and the subscriber. They
// declare consumer groups (a group is a durable consumer) and persistence. They do not
// declare:
//   - order and exactly-once delivery, which they do not promise because the state
//     does not depend on them;
//   - old messages for a new subscriber: the suite expects them within one group, but a
//     durable consumer continues where it was;
//   - preserved contexts, because a message leaves the process;
//   - a command that restarts the server: TestSubscriberSurvivesServerRestart does that.
func TestPubSub(t *testing.T) {
	url := natstest.Start(t).URL()
	tests.TestPubSub(t,
		tests.Features{
			ConsumerGroups: true, Persistent: true,
			GenerateTopicFunc: func(c tests.TestContext) string { return "wm." + string(c.TestID) },
			ForceShort:        testing.Short(),
		},
		func(t *testing.T) (message.Publisher, message.Subscriber) { return pair(t, url, "all") },
		func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
			return pair(t, url, group)
		},
	)
}

// topics creates a stream for each topic: the suite publishes the same messages to
// many topics, and one stream would store each id once.
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

func (c topics) bind(ctx context.Context, topic string) (string, error) {
	stream, err := c.stream(ctx, topic)
	if err != nil {
		return "", err
	}
	_, err = c.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: token(c.group), AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, MaxAckPending: -1,
	})
	return stream + "." + token(c.group), err
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

// initializing adds what the suite needs of a subscriber that must exist before
// messages are published.
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
	c := topics{bus: open(t, url), js: natstest.JetStream(t, url), group: group}
	sub := c.bus.NewSubscriber(natsbus.SubscriberConfig{
		Consumer: group, MaxInFlight: 32, CloseTimeout: 200 * time.Millisecond,
		Delay:      func(uint64) time.Duration { return 10 * time.Millisecond },
		DeadLetter: func(context.Context, natsbus.Letter) error { return errors.New("no dead letters here") },
	})
	sub.SetBind(c.bind)
	return c, initializing{sub, c}
}

func token(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
