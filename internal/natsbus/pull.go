package natsbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullExpiry = 5 * time.Second
	// pullHeartbeat is how often the server says that a pull is still open. After two that
	// are missing, the pull counts as lost.
	pullHeartbeat = time.Second
	// statuses is more than the server sends to one pull: heartbeats until it expires, and
	// the reason why it ends.
	statuses = 2 * int(pullExpiry/pullHeartbeat)
)

// pull is a request for messages of a consumer. It ends when they have come, when it
// expires, or at a message that would exceed its bytes.
//
// A pull of nats.go ends at the first status of the server. But a consumer with replicas
// sends messages only once the replicas agree, and the status at once: it overtakes the last
// messages, which would then be lost until their ack wait is over. So this one goes on until
// it has as many messages as the status says, or none has come for a while.
type pull struct {
	ctx     context.Context
	sub     *nats.Subscription
	arrived chan *nats.Msg
	left    int  // messages that may still come
	closing bool // the server has ended the pull
	// cutOff is true if the next message is larger than the bytes that were left.
	cutOff bool
	err    error // why the pull ended, if it was not as intended
}

// pullRequest is a request of JetStream's API: see
// https://docs.nats.io/reference/reference-protocols/nats_api_reference
type pullRequest struct {
	Expires   time.Duration `json:"expires"`
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes,omitempty"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

// pull asks a consumer, named STREAM.CONSUMER, for at most n messages of at most limit
// bytes, or any size if limit is 0. The caller closes it.
func (b *Bus) pull(ctx context.Context, consumer string, n, limit int) (*pull, error) {
	request, err := json.Marshal(pullRequest{Expires: pullExpiry, Batch: n, MaxBytes: limit, Heartbeat: pullHeartbeat})
	if err != nil {
		return nil, fmt.Errorf("encoding a pull: %w", err)
	}
	// A channel of the right size: that of SubscribeSync takes half a megabyte.
	arrived := make(chan *nats.Msg, n+statuses)
	sub, err := b.nc.ChanSubscribe(b.nc.NewInbox(), arrived)
	if err != nil {
		return nil, fmt.Errorf("subscribing to an inbox: %w", err)
	}
	p := &pull{ctx: ctx, sub: sub, arrived: arrived, left: n}
	if err := b.nc.PublishRequest(jetstreamAPI+"CONSUMER.MSG.NEXT."+consumer, sub.Subject, request); err != nil {
		p.close()
		return nil, fmt.Errorf("pulling messages: %w", err)
	}
	return p, nil
}

// next waits for the next message. It returns nil at the end.
func (p *pull) next() *nats.Msg {
	for p.left > 0 {
		msg := p.read()
		switch {
		case msg == nil:
			return nil
		case !isStatus(msg):
			p.left--
			return msg
		}
		p.end(msg.Header.Get("Status"), msg.Header.Get("Description"), msg.Header.Get("Nats-Pending-Messages"))
	}
	return nil
}

func (p *pull) read() *nats.Msg {
	select {
	case msg := <-p.arrived: // also if ctx is done
		return msg
	default:
	}
	timeout := time.NewTimer(2 * pullHeartbeat)
	defer timeout.Stop()
	select {
	case msg := <-p.arrived:
		return msg
	case <-p.ctx.Done():
	case <-timeout.C:
		if !p.closing { // a new leader does not send what the one before has announced
			p.err = jetstream.ErrNoHeartbeat
		}
	}
	return nil
}

// end notes what a status says. pending is how many messages will not come.
func (p *pull) end(status, description, pending string) {
	description = strings.ToLower(description)
	switch {
	case status == "100": // a heartbeat
		return
	case strings.Contains(description, "exceeds maxbytes"):
		p.cutOff = true
	case status == "408" || strings.Contains(description, "batch completed"):
	case status == "503":
		p.err = fmt.Errorf("the consumer does not exist, or has no leader: %w", nats.ErrNoResponders)
	case strings.Contains(description, "consumer deleted"):
		p.err = jetstream.ErrConsumerDeleted
	default:
		p.err = fmt.Errorf("the server ended the pull: %s", description)
	}
	missing, err := strconv.Atoi(pending)
	if err != nil {
		missing = p.left
	}
	p.left, p.closing = p.left-missing, true
}

func (p *pull) close() { _ = p.sub.Unsubscribe() }

// isStatus reports whether a message is a status of the server, and not of the stream.
func isStatus(msg *nats.Msg) bool { return len(msg.Data) == 0 && msg.Header.Get("Status") != "" }
