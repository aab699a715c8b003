package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ProvisionMode says what a program may do about what it needs in JetStream.
type ProvisionMode string

// The provision modes.
const (
	ProvisionCreate ProvisionMode = "create" // create what is missing, alter nothing
	ProvisionCheck  ProvisionMode = "check"  // create nothing
)

const (
	recheckInterval = 30 * time.Second
	retryInterval   = time.Second
)

// Error codes of the server that have a cure worth naming.
// See https://github.com/nats-io/nats-server/blob/main/server/errors.json
const (
	errDuplicateWindow = 10052 // stream invalid config: duplicate window above max age
	errSubjectOverlap  = 10065 // subjects overlap with an existing stream
)

// Provisioner creates what is missing in JetStream, reports drift, and knows
// whether the program can do its job.
type Provisioner struct {
	bus      *Bus
	mode     ProvisionMode
	settings StreamSettings
	consumer Consumer
	log      *slog.Logger
	wake     chan struct{}

	mu sync.Mutex
	// What keeps the program from its job; nil: ready. Without streams there is
	// no consumer either, and both are the same error.
	streamState, consumerState error
	logged                     string
}

var errUnchecked = errors.New("streams not checked yet")

// NewProvisioner prepares; [Provisioner.Run] does the work. consumer is the
// durable consumer that the program needs.
func NewProvisioner(bus *Bus, mode ProvisionMode, settings StreamSettings, consumer Consumer, log *slog.Logger) *Provisioner {
	return &Provisioner{
		bus: bus, mode: mode, settings: settings, consumer: consumer, log: log,
		wake: make(chan struct{}, 1), streamState: errUnchecked, consumerState: errUnchecked,
	}
}

// Run provisions at start, after every reconnect and from time to time, until
// ctx is done.
func (p *Provisioner) Run(ctx context.Context) {
	p.bus.OnConnect(p.Wake)
	for ctx.Err() == nil {
		wait := recheckInterval
		if p.pass(ctx) != nil {
			wait = retryInterval
		}
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-time.After(wait):
		}
	}
}

// Wake asks for another pass at once, for instance after a publish found no
// stream.
func (p *Provisioner) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Check reports why the streams, or the consumer, are not ready.
func (p *Provisioner) Check(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return both(p.streamState, p.consumerState)
}

// CheckStreams reports why the streams are not ready.
func (p *Provisioner) CheckStreams(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streamState
}

// CheckConsumer reports why the consumer is not ready.
func (p *Provisioner) CheckConsumer(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.consumerState
}

func both(streams, consumer error) error {
	switch {
	case streams == nil:
		return consumer
	case consumer == nil || errors.Is(consumer, streams):
		return streams
	}
	return fmt.Errorf("%w; %w", streams, consumer)
}

func (p *Provisioner) pass(ctx context.Context) error {
	if err := p.bus.Check(ctx); err != nil {
		return p.record(err, err, nil)
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	drifts, err := p.ensureStreams(ctx)
	warns, streams := judge(drifts, err)
	if p.consumer.Name == "" {
		return p.record(streams, nil, warns)
	}
	if err != nil || missing(drifts) {
		return p.record(streams, streams, warns)
	}
	drifts, err = p.ensureConsumer(ctx)
	more, consumer := judge(drifts, err)
	return p.record(streams, consumer, append(warns, more...))
}

// judge makes one error of a failure and of the drift that keeps the program
// from its job, and warnings of the other drift.
func judge(drifts []Drift, err error) (warns []string, fatal error) {
	for _, d := range drifts {
		switch {
		case !d.Fatal:
			warns = append(warns, d.String())
		case err == nil:
			err = fmt.Errorf("%s: %s", d, d.Cure)
		default:
			err = fmt.Errorf("%w; %s: %s", err, d, d.Cure)
		}
	}
	return warns, err
}

func (p *Provisioner) record(streams, consumer error, warns []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streamState, p.consumerState = streams, consumer
	err := both(streams, consumer)
	p.logOnce(err, warns)
	return err
}

// logOnce logs a finding when it is new: passes repeat.
func (p *Provisioner) logOnce(err error, warns []string) {
	finding := fmt.Sprint(err, warns)
	if finding == p.logged {
		return
	}
	p.logged = finding
	for _, warn := range warns {
		p.log.Warn("JetStream differs from the settings", "drift", warn)
	}
	if err != nil {
		p.log.Warn("streams or consumer are not ready", "error", err)
		return
	}
	p.log.Info("streams are ready", "stream", p.settings.Name, "consumer", p.consumer.Name)
}

func (p *Provisioner) ensureStreams(ctx context.Context) ([]Drift, error) {
	var all []Drift
	for _, want := range p.streams() {
		drifts, err := p.ensureStream(ctx, want)
		if err != nil {
			return nil, err
		}
		all = append(all, drifts...)
	}
	return all, nil
}

func missing(drifts []Drift) bool {
	for _, d := range drifts {
		if d.Field == "" {
			return true
		}
	}
	return false
}

func (p *Provisioner) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{p.settings.config(), p.settings.deadLetters()}
}

func (p *Provisioner) ensureStream(ctx context.Context, want jetstream.StreamConfig) ([]Drift, error) {
	have, err := p.bus.streamConfig(ctx, want.Name)
	if err == nil {
		return streamDrift(have, want), nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, err
	}
	if p.mode == ProvisionCheck {
		return []Drift{missingStream(want.Name)}, nil
	}
	return p.bus.createStream(ctx, want, p.log)
}

func (b *Bus) streamConfig(ctx context.Context, name string) (jetstream.StreamConfig, error) {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return jetstream.StreamConfig{}, fmt.Errorf("looking up stream %s: %w", name, err)
	}
	return stream.CachedInfo().Config, nil
}

func (b *Bus) createStream(ctx context.Context, want jetstream.StreamConfig, log *slog.Logger) ([]Drift, error) {
	_, err := b.js.CreateStream(ctx, want)
	switch {
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // a sibling was first, with other settings
		have, err := b.streamConfig(ctx, want.Name)
		return streamDrift(have, want), err
	case err != nil:
		return nil, fmt.Errorf("creating stream %s: %w", want.Name, cure(err))
	}
	log.Info("created stream", "stream", want.Name, "subjects", want.Subjects)
	return nil, nil
}

func cure(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case errSubjectOverlap:
		return fmt.Errorf("%w: another stream of this account already holds one of its subjects; remove it there, or use another account", err)
	case errDuplicateWindow:
		return fmt.Errorf("%w: set STREAM_DUPLICATE_WINDOW to at most STREAM_MAX_AGE", err)
	}
	return err
}

func (p *Provisioner) ensureConsumer(ctx context.Context) ([]Drift, error) {
	name := p.consumer.Name
	consumer, err := p.bus.js.Consumer(ctx, p.settings.Name, name)
	if err == nil {
		return consumerDrift(p.settings.Name, consumer.CachedInfo().Config, p.consumer), nil
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("looking up consumer %s: %w", name, err)
	}
	if p.mode == ProvisionCheck {
		return []Drift{{Object: "consumer " + name, Fatal: true, Cure: p.consumer.cureMissing()}}, nil
	}
	_, err = p.bus.js.CreateConsumer(ctx, p.settings.Name, p.consumer.config())
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return nil, fmt.Errorf("creating consumer %s: %w", name, err)
	}
	p.log.Info("created consumer", "stream", p.settings.Name, "consumer", name)
	return nil, nil
}
