package natsbus

import (
	"context"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Router calls a handler for each message of a durable consumer.
type Router struct {
	next *message.Router
}

// NewRouter subscribes as cfg says. Each message is handled in a goroutine of its
// own, at most cfg.MaxInFlight at once.
func (b *Bus) NewRouter(cfg SubscriberConfig, handle message.NoPublishHandlerFunc) (*Router, error) {
	// No logger: watermill would log the errors of handlers, which log their own.
	next, err := message.NewRouter(message.RouterConfig{CloseTimeout: cfg.CloseTimeout}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	// The subscriber ignores the topic: the durable consumer selects messages.
	next.AddConsumerHandler(cfg.Consumer, ">", b.NewSubscriber(cfg), Outcome(handle))
	return &Router{next}, nil
}

// Run handles messages until ctx is done and everything in flight has ended.
func (r *Router) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.next.Close() })
	defer stop()
	return r.next.Run(context.WithoutCancel(ctx))
}
