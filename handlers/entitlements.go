package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

// lastList is the newest list of a customer's entitlements, from an event or read from
// Stripe.
type lastList struct {
	EventID      string              `json:"event_id"`
	Moment       time.Time           `json:"moment"`
	Entitlements events.Entitlements `json:"entitlements"`

	key      string
	revision uint64
}

// listsEntitlements reports whether a message is an event that lists what a customer may
// use.
func listsEntitlements(msg events.Message) bool {
	return msg.Data.Ignored == "" && msg.StripeType != "" && msg.Data.Entitlements != nil && msg.Data.Entitlements.CustomerID != ""
}

// entitlements reads all entitlements of a customer, and publishes them, if an event
// lists only some of them, or others than an event of the same second.
//
// Nobody can say which of two such events is later. So the newest list of each customer is
// kept, and replaced only if it is still the one that was compared: of two events that are
// handled at once, one sees the other.
func (h *Resolve) entitlements(ctx context.Context, about events.Message, traceparent string) (resolution, error) {
	for range maxCollisions {
		last, err := h.lastList(ctx, about)
		if err != nil {
			return resolution{}, err
		}
		now := lastList{about.ID, about.Time, *about.Data.Entitlements, last.key, last.revision}
		reason := last.unresolved(now)
		if now.Moment.After(last.Moment) {
			if ok, err := h.keepList(ctx, now); err != nil {
				return resolution{}, err
			} else if !ok {
				continue
			}
		}
		if reason == "" {
			return resolution{}, nil
		}
		failpoint.At("list:kept")
		return h.completeList(ctx, about, reason, traceparent)
	}
	return resolution{}, fault.New(fault.Transient, fault.BucketFailed, errors.New("other messages about the customer are being resolved"))
}

// unresolved returns why all entitlements have to be read after an event, or "". What is
// older than the last list does not matter.
func (last lastList) unresolved(event lastList) events.Reason {
	switch {
	case event.Moment.Before(last.Moment):
		return ""
	case event.Entitlements.Truncated:
		return events.ReasonEntitlementsTruncated
	case event.Moment.Equal(last.Moment) && last.disagrees(event):
		return events.ReasonSameSecond
	}
	return ""
}

func (last lastList) disagrees(event lastList) bool {
	return ordering.Entitlements([]ordering.EntitlementsFact{
		{Entitlements: last.Entitlements, EventID: last.EventID}, {Entitlements: event.Entitlements, EventID: event.EventID},
	}).Ambiguous
}

// completeList reads all entitlements, publishes them, and then keeps them. If the process
// dies in between, they are read again, which does no harm.
func (h *Resolve) completeList(ctx context.Context, about events.Message, reason events.Reason, traceparent string) (resolution, error) {
	msg, found, err := h.readList(ctx, about, reason)
	switch {
	case fault.ReasonOf(err) == fault.NoPermission:
		// A key that may read subscriptions only must go on doing that. If this waited, it
		// would hold up everything else.
		return resolution{}, fault.New(fault.Permanent, fault.NoPermission, err)
	case err != nil:
		return resolution{}, err
	case !found:
		return resolution{outcome: "missing"}, nil
	case msg.Data.Ignored != "":
		return resolution{outcome: "ignored"}, nil
	}
	if err := h.publish(msg, traceparent); err != nil {
		return resolution{}, err
	}
	failpoint.At("list:published")
	for range maxCollisions {
		last, err := h.lastList(ctx, about)
		if err != nil || !msg.Time.After(last.Moment) {
			return resolution{"snapshot", msg.ID}, err
		}
		ok, err := h.keepList(ctx, lastList{msg.ID, msg.Time, *msg.Data.Entitlements, last.key, last.revision})
		if ok || err != nil {
			return resolution{"snapshot", msg.ID}, err
		}
	}
	return resolution{"snapshot", msg.ID}, nil
}

// readList reads all entitlements. Moments are seconds, so if Stripe answers in the second
// of the event, it is asked once more in the next one: then the list that counts is later
// than every event about a change that it shows.
func (h *Resolve) readList(ctx context.Context, about events.Message, reason events.Reason) (events.Message, bool, error) {
	msg, found, err := h.cfg.Reader.Snapshot(ctx, about, reason)
	if err != nil || !found || msg.Time.After(about.Time) {
		return msg, found, err
	}
	select {
	case <-time.After(time.Second):
		return h.cfg.Reader.Snapshot(ctx, about, reason)
	case <-ctx.Done():
		return msg, false, fault.New(fault.Transient, fault.Canceled, ctx.Err())
	}
}

// lastList returns the newest list of the customer of an event. A value that cannot be
// read counts as none.
func (h *Resolve) lastList(ctx context.Context, about events.Message) (lastList, error) {
	key := "entitlements." + strings.ReplaceAll(events.Key(about.Livemode, about.StripeAccount, about.Data.Entitlements.CustomerID), ":", ".")
	value, revision, err := h.cfg.Resolved.Get(ctx, key)
	last := lastList{}
	if err == nil && revision > 0 && json.Unmarshal(value, &last) != nil {
		last = lastList{}
	}
	last.key, last.revision = key, revision
	return last, err
}

func (h *Resolve) keepList(ctx context.Context, list lastList) (ok bool, err error) {
	value, err := json.Marshal(list)
	if err != nil {
		return false, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	_, ok, err = h.cfg.Resolved.Put(ctx, list.key, value, list.revision)
	return ok, err
}
