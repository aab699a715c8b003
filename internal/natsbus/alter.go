package natsbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Plan returns how the streams and consumers differ from the settings. It changes nothing.
func (b *Bus) Plan(ctx context.Context, settings StreamSettings, consumers ...Consumer) (all []Drift, err error) {
	err = b.call(ctx, func(ctx context.Context) error {
		all, _, err = b.ensureStreams(ctx, settings, ProvisionCheck)
		for i := 0; i < len(consumers) && err == nil; i++ {
			var drifts []Drift
			drifts, err = b.NewProvisioner(ProvisionCheck, settings, consumers[i]).ensureConsumerAndBucket(ctx)
			all = append(all, drifts...)
		}
		return err
	})
	return all, err
}

// Alter creates and alters the streams until they match the settings. Nothing else alters
// what exists. It also creates consumers, and says what to do about one that differs.
func (b *Bus) Alter(ctx context.Context, settings StreamSettings, consumers ...Consumer) error {
	return b.call(ctx, func(ctx context.Context) error {
		for _, want := range settings.streams() {
			if err := b.alterStream(ctx, want); err != nil {
				return err
			}
		}
		for _, c := range consumers {
			drifts, err := b.NewProvisioner(ProvisionCreate, settings, c).ensureConsumerAndBucket(ctx)
			if _, err = judge(drifts, err); err != nil {
				return err
			}
		}
		return nil
	})
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
