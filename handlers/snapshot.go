package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

// Bucket keeps values that are replaced on a condition. Its errors are marked (see
// [fault.New]).
type Bucket interface {
	// Get returns the value of a key and its revision. The revision is 0 if there is
	// no value.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Put replaces the value of a key that still has the given revision, and returns
	// the new one. It reports false if the key has another revision.
	Put(ctx context.Context, key string, value []byte, revision uint64) (next uint64, ok bool, err error)
}

// maxCollisions bounds how often a subscription is read again because another message
// about it was resolved meanwhile.
const maxCollisions = 5

// resolved is the last snapshot of a subscription that was read because of a message.
type resolved struct {
	// Published is false if the stream may not have the message.
	Published bool `json:"published"`
	// Message is the message as it is published.
	Message json.RawMessage `json:"message"`

	key      string
	revision uint64
	message  events.Message // without an id if there is none
}

// snapshot reads the subscription of a message and publishes it.
//
// What was kept is read before Stripe is asked, and replaced only if it is still the
// same afterwards. So the snapshots of a subscription follow each other, and each says
// what is different from the one before. A snapshot is kept before it is published: if
// the process dies in between, the next one publishes the same.
func (h *Resolve) snapshot(ctx context.Context, about events.Message, reason events.Reason, traceparent string) (resolution, error) {
	for range maxCollisions {
		last, err := h.lastSnapshot(ctx, about, traceparent)
		if err != nil {
			return resolution{}, err
		}
		if last.message.ID != "" && last.message.Data.BecauseOf == about.ID {
			return resolution{"snapshot", last.message.ID}, nil
		}
		done, ok, err := h.follow(ctx, last, about, reason, traceparent)
		if ok || err != nil {
			return done, err
		}
	}
	return resolution{}, fault.New(fault.Transient, fault.BucketFailed, errors.New("other messages about the subscription are being resolved"))
}

// lastSnapshot returns the last snapshot of a message's subscription, after it was
// published. A value that cannot be read counts as none.
func (h *Resolve) lastSnapshot(ctx context.Context, about events.Message, traceparent string) (resolved, error) {
	last := resolved{key: resolvedKey(about)}
	value, revision, err := h.cfg.Resolved.Get(ctx, last.key)
	if err != nil {
		return last, err
	}
	last.revision = revision
	if revision == 0 || json.Unmarshal(value, &last) != nil {
		return last, nil
	}
	msg, err := events.Decode(last.Message)
	if err != nil || msg.Data.Subscription == nil {
		return last, nil
	}
	last.message = msg
	if last.Published {
		return last, nil
	}
	return h.publishKept(ctx, last, traceparent)
}

func resolvedKey(about events.Message) string {
	return strings.ReplaceAll(events.Key(about.Livemode, about.StripeAccount, about.Subject), ":", ".")
}

// follow reads the subscription, and keeps and publishes what follows the last snapshot.
// It reports false if another message about it was resolved meanwhile.
func (h *Resolve) follow(ctx context.Context, last resolved, about events.Message, reason events.Reason, traceparent string) (resolution, bool, error) {
	msg, found, err := h.readAfter(ctx, last.message, about, reason)
	switch {
	case err != nil:
		return resolution{}, false, err
	case !found:
		return resolution{outcome: "missing"}, true, nil
	case msg.Data.Ignored != "":
		return resolution{outcome: "ignored"}, true, nil
	}
	compareSnapshot(&msg.Data, about, last.message.Data.Subscription)
	if _, last.Message, err = encodeWithin(msg, h.cfg.MaxMessage()); err != nil {
		return resolution{}, false, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	last.message, last.Published = msg, false
	ok, err := h.keep(ctx, &last)
	if err != nil || !ok {
		return resolution{}, false, err
	}
	failpoint.At("snapshot:kept")
	_, err = h.publishKept(ctx, last, traceparent)
	return resolution{"snapshot", msg.ID}, err == nil, err
}

// readAfter reads the subscription. If it is different from the last snapshot, although it
// was read in the same second, it is read once more in the next one: moments are seconds,
// so nobody could say which of the two is later.
func (h *Resolve) readAfter(ctx context.Context, last, about events.Message, reason events.Reason) (events.Message, bool, error) {
	msg, found, err := h.cfg.Reader.Snapshot(ctx, about, reason)
	if !found || err != nil || last.ID == "" || msg.Data.Subscription == nil || msg.Time.After(last.Time) ||
		events.Diff(last.Data.Subscription, msg.Data.Subscription) == nil {
		return msg, found, err
	}
	select {
	case <-time.After(time.Second):
		return h.cfg.Reader.Snapshot(ctx, about, reason)
	case <-ctx.Done():
		return msg, false, fault.New(fault.Transient, fault.Canceled, ctx.Err())
	}
}

// publishKept publishes the message that is kept, and marks it. If the mark is lost, the
// message is published again, and the stream drops it.
func (h *Resolve) publishKept(ctx context.Context, kept resolved, traceparent string) (resolved, error) {
	if err := h.publish(kept.message, traceparent); err != nil {
		return kept, err
	}
	failpoint.At("snapshot:published")
	kept.Published = true
	_, err := h.keep(ctx, &kept)
	return kept, err
}

func (h *Resolve) keep(ctx context.Context, r *resolved) (ok bool, err error) {
	var value bytes.Buffer
	enc := json.NewEncoder(&value)
	enc.SetEscapeHTML(false) // it could make the value too large
	if err := enc.Encode(r); err != nil {
		return false, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	next, ok, err := h.cfg.Resolved.Put(ctx, r.key, value.Bytes(), r.revision)
	if ok {
		r.revision = next
	}
	return ok, err
}

// compareSnapshot says what a snapshot shows that was not reported before. last is the
// state in the snapshot before it, or nil.
func compareSnapshot(data *events.Data, about events.Message, last *events.Subscription) {
	before := last
	if about.Data.Subscription != nil {
		before = beforeCutOff(data.Subscription, about.Data, last)
	}
	if before == nil {
		return
	}
	if data.Previous = events.Diff(before, data.Subscription); data.Previous != nil {
		data.Changes = events.Changes(events.StripeTypeUpdated, before, data.Subscription)
	}
}

// beforeCutOff returns the subscription in a snapshot with the items as they were when
// the event happened that lists only some of them; nil if it is not known. What the
// event shows itself does not count as different.
func beforeCutOff(now *events.Subscription, event events.Data, last *events.Subscription) *events.Subscription {
	known, reported := last, false
	if was := event.Previous.Before(event.Subscription); !was.ItemsTruncated {
		known, reported = was, true // the event compares its own items with a complete list
	}
	if known == nil {
		return nil
	}
	before := *now
	before.Items = nil
	for _, item := range now.Items {
		was, isKnown := find(known.Items, item.ID)
		_, isListed := find(event.Subscription.Items, item.ID)
		switch {
		case isListed && (isKnown || reported):
			before.Items = append(before.Items, item)
		case isKnown:
			before.Items = append(before.Items, was)
		}
	}
	for _, item := range known.Items {
		if _, still := find(now.Items, item.ID); !still {
			before.Items = append(before.Items, item)
		}
	}
	return &before
}

func find(items []events.Item, id string) (events.Item, bool) {
	i := slices.IndexFunc(items, func(item events.Item) bool { return item.ID == id })
	if i < 0 {
		return events.Item{}, false
	}
	return items[i], true
}
