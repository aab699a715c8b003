package natsbus

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
)

// NewRouter is watermill's: it runs the handler, one goroutine for each message
// that sub hands over. It gets no logger, because it logs the errors of
// handlers, each of which has had its one line already.
func NewRouter(name string, sub *Subscriber, handle message.NoPublishHandlerFunc, timeout time.Duration) (*message.Router, error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: timeout}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	// The topic means nothing: the durable consumer says what is taken.
	router.AddConsumerHandler(name, ">", sub, Outcome(handle))
	return router, nil
}

// Consume runs the router until ctx is done and everything in flight has ended.
func Consume(ctx context.Context, router *message.Router) error {
	stop := context.AfterFunc(ctx, func() { _ = router.Close() })
	defer stop()
	return router.Run(context.WithoutCancel(ctx))
}
