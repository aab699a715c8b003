package natsbus

import (
	"context"
	"time"
)

// SetBind makes s look up the durable consumer of each topic with bind.
func (s *Subscriber) SetBind(bind func(ctx context.Context, topic string) (string, error)) {
	s.bind = bind
}

// Pull asks a consumer for a message, and does not wait for it.
func (b *Bus) Pull(ctx context.Context, consumer string) error {
	p, err := b.pull(ctx, consumer, 1, 0)
	if err == nil {
		p.close()
	}
	return err
}

// Subscriptions returns how many there are.
func (b *Bus) Subscriptions() int { return b.nc.NumSubscriptions() }

// At returns when the server counted.
func (p Pending) At() time.Time { return p.at }

// Quorum is quorum.
var Quorum = quorum

// PullLate asks a consumer for n messages, and reads them when ready has returned.
func (b *Bus) PullLate(ctx context.Context, consumer string, n int, ready func()) (got int, err error) {
	p, err := b.pull(ctx, consumer, n, 0)
	if err != nil {
		return 0, err
	}
	defer p.close()
	ready()
	for p.next() != nil {
		got++
	}
	return got, p.err
}
