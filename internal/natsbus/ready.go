package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// probeTimeout is shorter than the time that a readiness check may take. The check
	// can then still say what does not answer.
	probeTimeout = 1500 * time.Millisecond
	// quietAfter is how long a replica may be silent. They exchange a heartbeat every
	// second; the server itself notices a lost quorum only after ten.
	quietAfter = 4 * time.Second

	errStreamMismatch = 10060 // expected stream does not match

	// A probe is a message that the server refuses because it expects this stream.
	// It is not stored, and its answer proves that the stream can be reached, has a
	// leader, has storage, and that this program may publish.
	noStream        = "billbus-probe"
	deadLetterProbe = deadLetterPrefix + "billbus.probe"
	accessProbe     = "access.probe"
	// noMessage is the end of the subject of an acknowledgement of a message that the
	// stream cannot have.
	noMessage = ".1.9223372036854775807.1.0.0"
)

// publishProbes returns a subject for each filter of the stream to which the bridge
// publishes.
func publishProbes() []string { return []string{"subscription.probe", "stripe.billbus.probe"} }

// CheckStreams returns why the streams are not ready: what the latest pass found, or
// that the main one is gone, or has no leader or no quorum.
func (p *Provisioner) CheckStreams(ctx context.Context) error {
	streams, _ := p.found()
	return p.check(ctx, streams, func(ctx context.Context) error {
		_, err := p.streamNow(ctx)
		return err
	})
}

// CheckPublish returns why a message cannot be published now: the stream does not
// answer, is full, or the server does not permit it. Nothing is stored to find out.
func (p *Provisioner) CheckPublish(ctx context.Context) error {
	return p.check(ctx, nil, func(ctx context.Context) error {
		info, err := p.streamNow(ctx)
		if err == nil {
			err = room(info)
		}
		for _, subject := range publishProbes() {
			if err == nil {
				err = p.bus.mayPublish(ctx, subject)
			}
		}
		return err
	})
}

// CheckConsumer returns why the consumer is not ready: what the latest pass found, or
// that it is gone, has no leader or no quorum, or that the server does not permit to
// pull, to acknowledge or to keep a dead letter.
func (p *Provisioner) CheckConsumer(ctx context.Context) error {
	_, consumer := p.found()
	return p.check(ctx, consumer, p.consumeNow)
}

// Check returns why the streams or the consumer are not ready, or nil if they are.
func (p *Provisioner) Check(ctx context.Context) error {
	return p.check(ctx, joined(p.found()), p.consumeNow)
}

// check asks the server only if the latest pass found nothing.
func (p *Provisioner) check(ctx context.Context, found error, ask func(context.Context) error) error {
	if err := p.bus.Check(ctx); err != nil {
		return err
	}
	if found != nil {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := ask(ctx)
	if isMissing(err) {
		p.Wake()
	}
	return err
}

// isMissing reports whether an error can mean that a stream or a consumer was deleted.
func isMissing(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, nats.ErrNoResponders)
}

func (p *Provisioner) streamNow(ctx context.Context) (*jetstream.StreamInfo, error) {
	start := time.Now()
	info, err := p.bus.streamInfo(ctx, p.settings.Name)
	if err != nil {
		return nil, p.bus.unanswered(start, jetstreamAPI, err)
	}
	return info, quorum("stream "+p.settings.Name, info.Cluster)
}

func (p *Provisioner) consumeNow(ctx context.Context) error {
	if p.consumer.Name == "" {
		return nil
	}
	start, name := time.Now(), p.settings.Name+"."+p.consumer.Name
	consumer, err := p.bus.js.Consumer(ctx, p.settings.Name, p.consumer.Name)
	if err != nil {
		return p.bus.unanswered(start, jetstreamAPI, fmt.Errorf("looking up consumer %s: %w", p.consumer.Name, err))
	}
	if err := quorum("consumer "+p.consumer.Name, consumer.CachedInfo().Cluster); err != nil {
		return err
	}
	// A pull that cannot be read is refused, and so takes no message.
	if _, err := p.bus.ask(ctx, &nats.Msg{Subject: jetstreamAPI + "CONSUMER.MSG.NEXT." + name, Data: []byte("{")}); err != nil {
		return err
	}
	if _, err := p.bus.ask(ctx, &nats.Msg{Subject: "$JS.ACK." + name + noMessage, Data: []byte("+WPI")}); err != nil {
		return err
	}
	for _, subject := range p.consumer.probes {
		if err := p.bus.mayPublish(ctx, subject); err != nil {
			return err
		}
	}
	return nil
}

// mayPublish returns why nothing can be published on a subject of a stream.
func (b *Bus) mayPublish(ctx context.Context, subject string) error {
	answer, err := b.ask(ctx, &nats.Msg{Subject: subject, Header: nats.Header{nats.ExpectedStreamHdr: {noStream}}})
	if err != nil {
		return err
	}
	var refusal struct{ Error *jetstream.APIError }
	if err := json.Unmarshal(answer.Data, &refusal); err != nil || refusal.Error == nil {
		return fmt.Errorf("publishing to %s: the server's answer cannot be understood", subject)
	}
	if refusal.Error.ErrorCode != errStreamMismatch {
		return fmt.Errorf("publishing to %s: %w", subject, refusal.Error)
	}
	return nil
}

// ask sends a request and says why no answer comes.
func (b *Bus) ask(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	start := time.Now()
	answer, err := b.nc.RequestMsgWithContext(ctx, msg)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("nothing answers on %s: its stream or consumer does not exist, or has no leader: %w", msg.Subject, err)
	case err != nil:
		return nil, b.unanswered(start, msg.Subject, fmt.Errorf("no answer on %s: %w", msg.Subject, err))
	}
	return answer, nil
}

// quorum returns why the replicas cannot agree on anything. It needs no answer of the
// replicas: their leader says how long ago it heard from them. For a replica that it has
// not heard from since it leads, it says 0, and knows no better whether that one is up.
func quorum(object string, cluster *jetstream.ClusterInfo) error {
	if cluster == nil {
		return nil // a single server
	}
	if cluster.Leader == "" {
		return fmt.Errorf("%s has no leader: see which NATS servers are down", object)
	}
	up, all := 1, 1+len(cluster.Replicas)
	for _, replica := range cluster.Replicas {
		if !replica.Offline && 0 < replica.Active && replica.Active < quietAfter {
			up++
		}
	}
	if up <= all/2 {
		return fmt.Errorf("%s has no quorum: %d of %d replicas are up: see which NATS servers are down", object, up, all)
	}
	return nil
}

// room returns why a stream does not take another message of the size that its
// messages have.
func room(info *jetstream.StreamInfo) error {
	limit, state := info.Config, info.State
	size := state.Bytes / max(state.Msgs, 1)
	if limit.MaxBytes > 0 && state.Bytes+size > uint64(limit.MaxBytes) {
		return fmt.Errorf("stream %s is full: %d messages have %d of %d bytes: raise STREAM_MAX_BYTES and run `bridge provision`",
			limit.Name, state.Msgs, state.Bytes, limit.MaxBytes)
	}
	if limit.MaxMsgs > 0 && state.Msgs >= uint64(limit.MaxMsgs) {
		return fmt.Errorf("stream %s is full: it has %d messages, and takes no more: run `bridge provision`, which removes that limit", limit.Name, state.Msgs)
	}
	return nil
}
