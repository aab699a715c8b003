package bridge

import (
	"context"
	"hash/maphash"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/natsbus"
)

const (
	// maxStored bounds the memory for what the stream has, to some 50 MB. What is not in it
	// is published again, which does no harm.
	maxStored = 2_000_000
	// clockSkew is how much earlier the stream can have stored an event than Stripe created
	// it, going by their clocks.
	clockSkew = time.Hour
	// storedPage is how many messages are read at once.
	storedPage = 1000
)

// storedIDs are the message ids that the stream has, as hashes of eight bytes. For two of
// two million to be equal by accident is a matter of one in ten million.
type storedIDs struct {
	seed maphash.Seed
	ids  map[uint64]struct{}
}

// storedSince says which messages to read: all that the stream has stored since a time.
func storedSince(stream, consumer string, since time.Time) natsbus.ReplayConfig {
	return natsbus.ReplayConfig{Stream: stream, Consumer: consumer, Time: since.Add(-clockSkew)}
}

// readStored reads the ids of messages in the stream. It does not depend on the duplicate
// window; what arrives while it reads, and after, is in that window.
func readStored(ctx context.Context, bus *natsbus.Bus, which natsbus.ReplayConfig) (*storedIDs, error) {
	stored := &storedIDs{maphash.MakeSeed(), map[uint64]struct{}{}}
	which.Restart, which.HeadersOnly = true, true
	messages, err := bus.OpenReplay(ctx, which)
	if err != nil {
		return nil, err
	}
	for {
		batch, err := messages.Next(ctx, storedPage)
		if err != nil {
			return nil, err
		}
		if len(batch) == 0 {
			return stored, messages.Remove(ctx)
		}
		for _, msg := range batch {
			stored.add(msg.UUID)
		}
		if err := messages.Done(ctx); err != nil {
			return nil, err
		}
	}
}

// add takes an event that only a second endpoint has delivered for the event.
func (s *storedIDs) add(messageID string) {
	id, _, _ := strings.Cut(messageID, "@")
	if len(s.ids) < maxStored {
		s.ids[maphash.String(s.seed, id)] = struct{}{}
	}
}

func (s *storedIDs) contains(messageID string) bool {
	_, ok := s.ids[maphash.String(s.seed, messageID)]
	return ok
}
