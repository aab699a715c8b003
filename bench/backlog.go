package main

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/test/kit"
)

// publishers is how many messages are published at once.
const publishers = 64

// backlog is the data of a NATS server whose stream has messages. Each measurement gets a
// copy.
type backlog struct {
	dir    string
	events int
}

type outgoing struct {
	subject string
	message *message.Message
}

// fill publishes events as the bridge does.
func (b *bench) fill(t *kit.Trial, bodies [][]byte) *backlog {
	node := b.nats(t, t.Dir, "default")
	pub, err := node.open(t).NewPublisher(stream, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	normalizer, err := normalize.New(normalize.Options{
		Livemode: normalize.Any, Accounts: []string{normalize.Platform}, UserIDKeys: []string{"user_id"}, ClientReference: "api",
	})
	if err != nil {
		t.Fatal(err)
	}
	// The subscription of an event decides who publishes it: so the order of its events is
	// kept.
	queues, work := make([]chan outgoing, publishers), sync.WaitGroup{}
	for i := range queues {
		queues[i] = make(chan outgoing, 1)
		work.Go(func() { publish(t, pub, queues[i]) })
	}
	for _, body := range bodies {
		msg, err := normalizer.Event(body, normalize.Receipt{Endpoint: "bench", Origin: events.OriginWebhook, ReceivedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		out, err := handlers.NewMessage(msg)
		if err != nil {
			t.Fatal(err)
		}
		queues[hash(msg.Subject)%publishers] <- outgoing{msg.Type, out}
	}
	for _, queue := range queues {
		close(queue)
	}
	work.Wait()
	if got := node.stored(t); got != len(bodies) {
		t.Fatalf("the stream has %d messages, want %d", got, len(bodies))
	}
	_ = node.Terminate(t) // its status is that of the signal
	return &backlog{filepath.Join(t.Dir, "node1"), len(bodies)}
}

func publish(t *kit.Trial, pub *natsbus.Publisher, queue <-chan outgoing) {
	for out := range queue {
		if err := pub.Publish(out.subject, out.message); err != nil {
			t.Error(err)
		}
	}
}

func hash(text string) (sum uint32) {
	for _, c := range []byte(text) {
		sum = sum*31 + uint32(c)
	}
	return sum
}

// copied starts a NATS server with the backlog.
func (b *bench) copied(t *kit.Trial, from *backlog) *natsServer {
	if err := os.CopyFS(filepath.Join(t.Dir, "node1"), os.DirFS(from.dir)); err != nil {
		t.Fatal(err)
	}
	return b.nats(t, t.Dir, "default")
}
