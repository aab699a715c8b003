package bridge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
)

const (
	connectTimeout = 10 * time.Second
	publishTimeout = 5 * time.Second
	// maxTries bounds how often a command tries again: for half a minute, in which a cluster
	// elects a leader. Calls that Stripe limits make progress, only slowly.
	maxTries        = 6
	maxLimitedTries = 100
)

// Console is where a command reads and prints. Stderr shows progress.
type Console struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// openStream connects a command to NATS, and checks that its stream exists. The caller
// closes the bus.
func openStream(ctx context.Context, cfg config.Bridge, name string, log *slog.Logger) (*natsbus.Bus, *natsbus.Publisher, error) {
	bus, err := natsbus.Open(natsbus.Auth(cfg.NATS), name, log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	publisher, err := publisherOf(ctx, bus, cfg.Stream.Name)
	if err != nil {
		bus.Close()
		return nil, nil, err
	}
	return bus, publisher, nil
}

func publisherOf(ctx context.Context, bus *natsbus.Bus, stream string) (*natsbus.Publisher, error) {
	if err := bus.WaitConnected(ctx); err != nil {
		return nil, err
	}
	if _, _, err := bus.StreamSize(ctx, stream); err != nil {
		return nil, fmt.Errorf("%w: create the stream with bridge provision", err)
	}
	return bus.NewPublisher(stream, publishTimeout)
}

// patiently does something again that failed and may succeed soon. Before that it waits,
// at least for the pause that is asked for.
func patiently(ctx context.Context, pause func() time.Duration, do func() error) error {
	var limited, others uint64 // calls that Stripe limits do not use up the tries of others
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := do()
		tries, most := &others, uint64(maxTries)
		if fault.ReasonOf(err) == fault.RateLimited {
			tries, most = &limited, maxLimitedTries
		}
		if !mayPass(err) || *tries >= most {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(natsbus.RedeliveryDelay(*tries), pause())):
		}
		*tries++
	}
}

func noPause() time.Duration { return 0 }

// mayPass reports whether an error can go away without the operator.
func mayPass(err error) bool {
	forOperator := []fault.Reason{fault.KeyRefused, fault.NoPermission, fault.StripeRefused, fault.Redirected, fault.UnexpectedAnswer}
	return err != nil && fault.KindOf(err) == fault.Transient && !slices.Contains(forOperator, fault.ReasonOf(err))
}
