package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ProvisionMode says whether a program creates what it needs in JetStream.
type ProvisionMode string

// The provision modes.
const (
	ProvisionCreate ProvisionMode = "create" // creates what is missing, alters nothing
	ProvisionCheck  ProvisionMode = "check"  // creates nothing
	// ProvisionConsumer creates the consumer, and waits for the streams. A stream is
	// created by one kind of program only: otherwise the first one to start decides how
	// many replicas it has.
	ProvisionConsumer ProvisionMode = "consumer"
)

// WithoutStreams returns the mode of a program that does not own the streams.
func (m ProvisionMode) WithoutStreams() ProvisionMode {
	if m == ProvisionCreate {
		return ProvisionConsumer
	}
	return m
}

// jetstreamAPI is the prefix of the subjects of JetStream's API.
const jetstreamAPI = "$JS.API."

const (
	recheckInterval = 30 * time.Second
	retryInterval   = time.Second
	// passTimeout is short, because a request that was lost when a leader died is never
	// answered, and the finding of the pass stays until then.
	passTimeout = 3 * time.Second
)

// Error codes of the server for which [cure] says what to do.
// See https://github.com/nats-io/nats-server/blob/main/server/errors.json
const (
	errNoPeers         = 10005 // no suitable peers for placement
	errDuplicateWindow = 10052 // stream invalid config: duplicate window above max age
	errSubjectOverlap  = 10065 // subjects overlap with an existing stream
	errReplicas        = 10074 // replicas > 1 not supported in non-clustered mode
)

// Provisioner creates what is missing in JetStream, reports drift, and knows whether
// the streams and the consumer are ready.
type Provisioner struct {
	// Recreated, if not nil, is called when a stream was deleted and exists again: its
	// messages and its consumers are gone. Set it before Run.
	Recreated func(stream string)
	// Drifted, if not nil, is called after every pass that could compare everything, with
	// the number of differences from the settings, those that only give a warning
	// included. Set it before Run.
	Drifted func(differences int)

	bus      *Bus
	mode     ProvisionMode
	settings StreamSettings
	consumer Consumer
	wake     chan struct{}
	first    sync.Once
	passed   chan struct{} // closed after the first pass
	// Only passes use these: when the streams were created, and whether there was a consumer.
	since       map[string]time.Time
	hadConsumer bool

	mu sync.Mutex
	// Why the streams and the consumer are not ready. Both are the same error while
	// the streams are missing, because there is no consumer then.
	streamErr, consumerErr error
	logged                 string
}

var errUnchecked = errors.New("streams not checked yet")

// NewProvisioner returns a provisioner of the streams and of the durable consumer
// that the program needs. [Provisioner.Run] does the work.
func (b *Bus) NewProvisioner(mode ProvisionMode, settings StreamSettings, consumer Consumer) *Provisioner {
	return &Provisioner{
		bus: b, mode: mode, settings: settings, consumer: consumer,
		wake: make(chan struct{}, 1), passed: make(chan struct{}), since: map[string]time.Time{}, streamErr: errUnchecked, consumerErr: errUnchecked,
	}
}

// Run provisions at start, after every reconnect and every 30 seconds until ctx is
// done. While something is not ready it tries again every second.
func (p *Provisioner) Run(ctx context.Context) {
	p.bus.OnConnect(p.Wake)
	for ctx.Err() == nil {
		select {
		case <-p.wake: // this pass does it
		default:
		}
		wait := recheckInterval
		if p.pass(ctx) != nil {
			wait = retryInterval
		}
		p.first.Do(func() { close(p.passed) })
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-time.After(wait):
		}
	}
}

// WaitFirst waits until Run has tried once, or ctx is done. What is used before that may
// only have to be created.
func (p *Provisioner) WaitFirst(ctx context.Context) {
	select {
	case <-p.passed:
	case <-ctx.Done():
	}
}

// Wake makes Run check again at once, for instance after a publish found no stream.
func (p *Provisioner) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// found returns what the latest pass found.
func (p *Provisioner) found() (streams, consumer error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streamErr, p.consumerErr
}

func joined(streams, consumer error) error {
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
		return p.finish(err, err, nil)
	}
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	start := time.Now()
	drifts, found, err := p.bus.ensureStreams(ctx, p.settings, p.mode)
	p.noticeRecreated(found)
	warns, streams := judge(drifts, p.bus.unanswered(start, jetstreamAPI, err))
	if p.consumer.Name == "" {
		p.report(drifts, err)
		return p.finish(streams, nil, warns)
	}
	if err != nil || missing(drifts) {
		p.report(drifts, err)
		return p.finish(streams, streams, warns)
	}
	of, err := p.ensureConsumerAndBucket(ctx)
	p.report(append(drifts, of...), err)
	more, consumer := judge(of, p.bus.unanswered(start, jetstreamAPI, err))
	return p.finish(streams, consumer, append(warns, more...))
}

// noticeRecreated reports a stream that is another one than in the pass before. A main
// stream that had to be created although its dead letters exist was deleted while this
// program did not run.
func (p *Provisioner) noticeRecreated(found []foundStream) {
	for i, s := range found {
		before, known := p.since[s.name]
		p.since[s.name] = s.since
		orphans := i == 0 && s.isNew && len(found) > 1 && s.since.After(found[1].since)
		if known && !before.Equal(s.since) || !known && orphans {
			p.bus.log.Error("a stream was deleted and has been created again: its messages and its consumers are gone", "stream", s.name)
			if p.Recreated != nil {
				p.Recreated(s.name)
			}
		}
	}
}

// report leaves out a pass that could not compare everything.
func (p *Provisioner) report(drifts []Drift, err error) {
	if p.Drifted != nil && err == nil {
		p.Drifted(len(drifts))
	}
}

// judge returns an error for a failure and for fatal drift, and warnings for the
// rest.
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

func (p *Provisioner) finish(streams, consumer error, warns []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streamErr, p.consumerErr = streams, consumer
	err := joined(streams, consumer)
	p.logOnce(err, warns)
	return err
}

// logOnce logs the result of a pass if it differs from the one before. While NATS hangs,
// each error has a port of its own.
func (p *Provisioner) logOnce(err error, warns []string) {
	finding := fmt.Sprint(warns)
	if err != nil {
		finding += p.bus.kind(err)
	}
	if finding == p.logged {
		return
	}
	p.logged = finding
	for _, warn := range warns {
		p.bus.log.Warn("JetStream differs from the settings", "drift", warn)
	}
	if err != nil {
		p.bus.log.Warn("streams or consumer are not ready", "error", err)
		return
	}
	p.bus.log.Info("streams are ready", "stream", p.settings.Name, "consumer", p.consumer.Name)
}

// foundStream is a stream that exists after a pass.
type foundStream struct {
	name  string
	since time.Time
	isNew bool // this pass has created it
}

func (b *Bus) ensureStreams(ctx context.Context, settings StreamSettings, mode ProvisionMode) (all []Drift, found []foundStream, err error) {
	for _, want := range settings.streams() {
		drifts, stream, err := b.ensureStream(ctx, want, mode)
		if err != nil {
			return nil, found, err
		}
		all = append(all, drifts...)
		if !missing(drifts) {
			found = append(found, stream)
		}
	}
	return all, found, nil
}

func missing(drifts []Drift) bool {
	return slices.ContainsFunc(drifts, func(d Drift) bool { return d.Field == "" })
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig, mode ProvisionMode) ([]Drift, foundStream, error) {
	isNew := false
	info, err := b.streamInfo(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if mode != ProvisionCreate {
			return []Drift{missingStream(want.Name)}, foundStream{}, nil
		}
		isNew = true
		info, err = b.createStream(ctx, want)
	}
	if err != nil {
		return nil, foundStream{}, err
	}
	return streamDrift(info.Config, want), foundStream{want.Name, info.Created, isNew}, nil
}

func (b *Bus) streamInfo(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("looking up stream %s: %w", name, err)
	}
	return stream.CachedInfo(), nil
}

func (b *Bus) createStream(ctx context.Context, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	stream, err := b.js.CreateStream(ctx, want)
	switch {
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // another process was first, with other settings
		return b.streamInfo(ctx, want.Name)
	case err != nil:
		return nil, fmt.Errorf("creating stream %s: %w", want.Name, cure(err))
	}
	b.log.Info("created stream", "stream", want.Name, "subjects", want.Subjects, "replicas", want.Replicas)
	return stream.CachedInfo(), nil
}

// cure adds what the operator can do.
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
	case errReplicas, errNoPeers:
		return fmt.Errorf("%w: set STREAM_REPLICAS to at most the number of NATS servers in the cluster", err)
	}
	return err
}

// ensureConsumerAndBucket creates the bucket first: the consumer gets messages as soon
// as it exists.
func (p *Provisioner) ensureConsumerAndBucket(ctx context.Context) ([]Drift, error) {
	bucket, err := p.ensureBucket(ctx)
	if err != nil {
		return bucket, err
	}
	consumer, err := p.ensureConsumer(ctx)
	return append(consumer, bucket...), err
}

func (p *Provisioner) ensureConsumer(ctx context.Context) ([]Drift, error) {
	name := p.consumer.Name
	consumer, err := p.bus.js.Consumer(ctx, p.settings.Name, name)
	if err == nil {
		p.hadConsumer = true
		have, err := p.update(ctx, consumer.CachedInfo().Config)
		return consumerDrift(p.settings.Name, have, p.consumer), err
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("looking up consumer %s: %w", name, err)
	}
	if p.mode == ProvisionCheck {
		return []Drift{{Object: "consumer " + name, Fatal: true, Cure: p.consumer.cureMissing()}}, nil
	}
	_, err = p.bus.js.CreateConsumer(ctx, p.settings.Name, p.consumer.config())
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return nil, fmt.Errorf("creating consumer %s: %w", name, err)
	}
	p.logCreated(name)
	return nil, nil
}

// update gives a consumer of an earlier release the filter and the ack wait of this one. What
// an operator has chosen is not ours to change.
func (p *Provisioner) update(ctx context.Context, have jetstream.ConsumerConfig) (jetstream.ConsumerConfig, error) {
	next := have
	if p.hasEarlierFilter(have) {
		next.FilterSubjects = p.consumer.subjects
	}
	if have.AckWait == earlierAckWait {
		next.AckWait = ackWait
	}
	if p.mode == ProvisionCheck || filters(next) == filters(have) && next.AckWait == have.AckWait {
		return have, nil
	}
	consumer, err := p.bus.js.UpdateConsumer(ctx, p.settings.Name, next)
	if err != nil {
		return have, fmt.Errorf("changing consumer %s: %w", have.Durable, err)
	}
	p.bus.log.Info("changed the consumer of an earlier release", "consumer", have.Durable, "filter", filters(next), "ack_wait", next.AckWait)
	return consumer.CachedInfo().Config, nil
}

// hasEarlierFilter reports whether a consumer has fewer subjects than it needs, or none and
// so gets every message.
func (p *Provisioner) hasEarlierFilter(have jetstream.ConsumerConfig) bool {
	isOther := func(subject string) bool { return !slices.Contains(p.consumer.subjects, subject) }
	return have.FilterSubject == "" && len(have.FilterSubjects) < len(p.consumer.subjects) && !slices.ContainsFunc(have.FilterSubjects, isOther)
}

func (p *Provisioner) logCreated(consumer string) {
	level, text := slog.LevelInfo, "created consumer"
	if p.hadConsumer {
		level, text = slog.LevelWarn, "the consumer was deleted; created it again: it reads the stream from its beginning, which changes no state"
	}
	p.hadConsumer = true
	p.bus.log.Log(context.Background(), level, text, "stream", p.settings.Name, "consumer", consumer)
}
