package natsbus

import (
	"context"
	"time"
)

// SetBind makes s look up the durable consumer of each topic with bind.
func (s *Subscriber) SetBind(bind func(ctx context.Context, topic string) (string, error)) {
	s.bind = bind
}

// At returns when the server counted.
func (p Pending) At() time.Time { return p.at }

// Quorum is quorum.
var Quorum = quorum
