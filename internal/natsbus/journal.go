package natsbus

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Journal finds out whether a message is in a stream that may have forgotten its id: a
// stream recognizes ids only within its duplicate window.
type Journal struct {
	bus             *Bus
	stream, subject string

	mu   sync.Mutex
	seed maphash.Seed
	ids  map[uint64]struct{} // hashes of the ids of all messages up to last
	last uint64              // sequence
	// read is when the messages up to last were all that there were.
	read time.Time
}

// fetchSize is how many headers are read at a time.
const fetchSize = 1000

// NewJournal returns the journal of the messages on a subject of a stream.
func (b *Bus) NewJournal(stream, subject string) *Journal {
	return &Journal{bus: b, stream: stream, subject: subject, seed: maphash.MakeSeed(), ids: map[uint64]struct{}{}}
}

// Sent reports whether the message with an id, which was to be published at some time, is
// in the stream. It is false if the stream would recognize the id: then the message can be
// published again. It is true if the stream no longer has messages of that time: a message
// that has expired must not come a second time.
func (j *Journal) Sent(ctx context.Context, id string, at time.Time) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	info, err := j.bus.streamInfo(ctx, j.stream)
	if err != nil {
		return false, err
	}
	// Half of the window is left for clocks that differ, and for publishing.
	recognized := func(since time.Time) bool { return time.Since(since) < info.Config.Duplicates/2 }
	switch {
	case recognized(at):
		return false, nil
	case info.State.Msgs == 0 || info.State.FirstTime.After(at):
		return true, nil
	}
	if !recognized(j.read) {
		if err := j.readOn(ctx); err != nil {
			return false, fmt.Errorf("reading the ids of messages: %w", err)
		}
	}
	_, sent := j.ids[maphash.String(j.seed, id)]
	return sent, nil
}

// readOn reads the headers of the messages that were added since the last time. The server
// removes its consumer after a minute: the right to delete it would be one to delete any.
func (j *Journal) readOn(ctx context.Context) error {
	began := time.Now()
	consumer, err := j.bus.js.CreateConsumer(ctx, j.stream, jetstream.ConsumerConfig{
		Description: "looks for messages that may have been published", FilterSubject: j.subject, HeadersOnly: true,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: j.last + 1,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute, MemoryStorage: true,
	})
	if err != nil {
		return err
	}
	for left := int(consumer.CachedInfo().NumPending); left > 0; {
		n, err := j.fetch(ctx, consumer, min(left, fetchSize))
		if err != nil {
			return err
		}
		left -= n
	}
	j.read = began
	return nil
}

func (j *Journal) fetch(ctx context.Context, consumer jetstream.Consumer, n int) (fetched int, err error) {
	batch, err := consumer.Fetch(n, jetstream.FetchContext(ctx))
	if err != nil {
		return 0, err
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return fetched, err
		}
		j.ids[maphash.String(j.seed, msg.Headers().Get(nats.MsgIdHdr))] = struct{}{}
		j.last = meta.Sequence.Stream
		fetched++
	}
	if err := batch.Error(); err != nil {
		return fetched, err
	}
	if fetched == 0 {
		return 0, ctx.Err()
	}
	return fetched, nil
}
