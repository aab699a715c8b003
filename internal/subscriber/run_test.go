package subscriber

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// running starts a subscriber, and returns a function that stops it.
func (s *Subscriber) running(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// Its consumer does not exist at the first start.
func TestFirstStartFetchesOnceTheConsumerExists(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	var logged kit.Buffer
	s := openedWith(t, server.URL(), slog.New(slog.NewTextHandler(&logged, nil)))
	if err := s.bus.Alter(t.Context(), natsbus.StreamSettings(s.cfg.Stream)); err != nil {
		t.Fatal(err)
	}
	stop := s.running(t)
	js := natstest.JetStream(t, server.URL())
	kit.Eventually(t, "the subscriber pulls", func() bool {
		c, err := js.Consumer(t.Context(), s.cfg.Stream.Name, s.cfg.ConsumerName)
		return err == nil && c.CachedInfo().NumWaiting > 0
	})
	stop()
	if strings.Contains(logged.String(), "fetching messages failed") {
		t.Errorf("logged:\n%s", logged.String())
	}
}

func TestStopBeforeTheFirstPass(t *testing.T) {
	t.Parallel()
	s := opened(t, "nats://127.0.0.1:1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}
