package natsbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Plan returns how the streams differ from the settings. It changes nothing.
func (b *Bus) Plan(ctx context.Context, settings StreamSettings) ([]Drift, error) {
	drifts, _, err := b.ensureStreams(ctx, settings, ProvisionCheck)
	return drifts, err
}

// Alter creates and alters the streams until they match the settings. Nothing else
// alters what exists.
func (b *Bus) Alter(ctx context.Context, settings StreamSettings) error {
	for _, want := range settings.streams() {
		if err := b.alterStream(ctx, want); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) alterStream(ctx context.Context, want jetstream.StreamConfig) error {
	info, err := b.streamInfo(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.createStream(ctx, want)
		return err
	}
	if err != nil {
		return err
	}
	have := info.Config
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
