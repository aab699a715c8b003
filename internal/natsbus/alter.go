package natsbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// WaitConnected waits until the connection stands, for commands that have
// nothing to do without it.
func (b *Bus) WaitConnected(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.Check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// Plan lists how the streams differ from the settings, without touching them.
func (b *Bus) Plan(ctx context.Context, settings StreamSettings) ([]Drift, error) {
	var all []Drift
	for _, want := range []jetstream.StreamConfig{settings.config(), settings.deadLetters()} {
		have, err := b.streamConfig(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			all = append(all, missingStream(want.Name))
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, streamDrift(have, want)...)
	}
	return all, nil
}

// Alter creates and alters the streams so that no drift is left. It is the only
// code that alters what exists.
func (b *Bus) Alter(ctx context.Context, settings StreamSettings) error {
	for _, want := range []jetstream.StreamConfig{settings.config(), settings.deadLetters()} {
		if err := b.alterStream(ctx, want); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) alterStream(ctx context.Context, want jetstream.StreamConfig) error {
	have, err := b.streamConfig(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.createStream(ctx, want, b.log)
		return err
	}
	if err != nil {
		return err
	}
	if len(streamDrift(have, want)) == 0 {
		return nil
	}
	if _, err := b.js.UpdateStream(ctx, merged(have, want)); err != nil {
		if have.Storage != want.Storage || have.Retention != want.Retention {
			err = fmt.Errorf("%w: storage and retention of an existing stream cannot be altered; copy it to a new one", err)
		}
		return fmt.Errorf("altering stream %s: %w", want.Name, cure(err))
	}
	return nil
}
