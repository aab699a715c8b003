package handlers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	normalizing "github.com/billbus/billbus/internal/normalize"
)

// rereading is a handler whose collaborators write down what they are asked to do.
type rereading struct {
	stored *events.Message // nil if the database does not have the event
	again  events.Message
	failed string // what fails: "publish" or "commit"
	done   []string
}

func (r *rereading) step(name string) error {
	if r.failed == name {
		return errors.New("failed on purpose")
	}
	r.done = append(r.done, name)
	return nil
}

func (r *rereading) Publish(subject string, messages ...*message.Message) error {
	r.done = append(r.done, subject+" "+messages[0].UUID)
	return r.step("publish")
}

func (r *rereading) Close() error { return nil }

// handle handles a message that came through a second endpoint.
func (r *rereading) handle(t *testing.T, was events.Message) error {
	t.Helper()
	h, err := handlers.NewReread(handlers.RereadConfig{
		Read: func(events.Message) (events.Message, error) {
			again := r.again
			again.Data.RereadAt = again.Time.Add(time.Hour)
			return again, nil
		},
		Differences: normalizing.Differences,
		Find: func(context.Context, string) (events.Message, error) {
			if r.stored == nil {
				return events.Message{}, fault.New(fault.Transient, fault.AuditMissing, errors.New("none"))
			}
			return *r.stored, nil
		},
		Commit: func(msg *message.Message) error {
			m, err := events.Decode(msg.Payload)
			if err != nil {
				t.Error(err)
			}
			if err := r.step("commit"); err != nil {
				return err
			}
			r.done = append(r.done, "of "+m.Type)
			return nil
		},
		Publisher: r, MaxMessage: func() int { return 0 },
		Report: func(result handlers.Rereading) {
			if result.Admitted {
				r.done = append(r.done, "admitted")
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := events.Encode(was)
	if err != nil {
		t.Fatal(err)
	}
	return h.Handle(message.NewMessage(was.MessageID()+"@second", payload))
}

func TestReread(t *testing.T) {
	t.Parallel()
	admitted, ignored := subscriptionMessage(), ignored(events.IgnoredLivemode)
	resent, other := admitted, admitted
	resent.Data.EventSHA256, other.Type, other.StripeType = "ab", "subscription.paused", "customer.subscription.paused"
	other.Data.Subscription = &events.Subscription{ID: admitted.Data.Subscription.ID, Status: "paused"}
	bare := events.Message{
		SpecVersion: admitted.SpecVersion, ID: admitted.ID, Source: admitted.Source, Time: admitted.Time, DataContentType: admitted.DataContentType,
		Type: events.StripeSubject(admitted.StripeType), StripeType: admitted.StripeType, Livemode: admitted.Livemode,
		Data: events.Data{SchemaVersion: 1, Origin: admitted.Data.Origin, ReceivedAt: admitted.Data.ReceivedAt},
	}
	in := func(version string, m events.Message) events.Message {
		m.StripeAPIVersion, m.Data.EventSHA256 = version, version
		return m
	}
	oldStored, newStored := in("2018-11-08", admitted), in("2026-06-24.dahlia", admitted)
	published := []string{"subscription.updated evt_1@second", "publish"}
	for name, tt := range map[string]struct {
		was, again events.Message
		stored     *events.Message
		failed     string
		want       []string
	}{
		"admitted now":                               {ignored, admitted, &ignored, "", append(published, "commit", "of "+admitted.Type, "admitted")},
		"admitted now, and not stored yet":           {ignored, admitted, nil, "", append(published, "commit", "of "+admitted.Type, "admitted")},
		"stored as admitted before":                  {ignored, admitted, &admitted, "", append(published, "commit", "of "+ignored.Type)},
		"ignored still":                              {ignored, ignored, &ignored, "", []string{"commit", "of " + ignored.Type}},
		"would be ignored now":                       {admitted, ignored, &admitted, "", []string{"commit", "of " + admitted.Type}},
		"another delivery is stored, in other bytes": {admitted, other, &resent, "", []string{"commit", "of " + admitted.Type}},
		"says something else":                        {admitted, other, &admitted, "", []string{"commit", "of " + other.Type}},
		"shows no subscription any more":             {admitted, bare, &admitted, "", []string{"commit", "of " + admitted.Type}},
		"a newer version is stored":                  {in("2018-11-08", admitted), in("2018-11-08", other), &newStored, "", []string{"commit", "of " + admitted.Type}},
		"an older version is stored":                 {in("2026-06-24.dahlia", admitted), in("2026-06-24.dahlia", other), &oldStored, "", []string{"commit", "of " + other.Type}},
		"admitted now, an older version was before":  {in("2026-06-24.dahlia", ignored), in("2026-06-24.dahlia", admitted), &oldStored, "", append(published, "commit", "of "+admitted.Type)},
		"read as before":                             {admitted, admitted, &admitted, "", []string{"commit", "of " + admitted.Type}},
		"nothing is stored that is not published":    {ignored, admitted, &ignored, "publish", published[:1]},
		"nothing is reported that is not stored":     {ignored, admitted, &ignored, "commit", published},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &rereading{stored: tt.stored, again: tt.again, failed: tt.failed}
			if err := r.handle(t, tt.was); (err != nil) != (tt.failed != "") {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(tt.want, r.done); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A link has nothing that could be read again, and was never too large.
func TestRereadOfWhatStripeDidNotSend(t *testing.T) {
	t.Parallel()
	for origin, want := range map[events.Origin]bool{events.OriginLink: false, events.OriginWebhook: true} {
		var got handlers.Rereading
		h, err := handlers.NewReread(handlers.RereadConfig{
			Read:        func(events.Message) (events.Message, error) { return events.Message{}, normalizing.ErrOmitted },
			Differences: normalizing.Differences,
			Find:        func(context.Context, string) (events.Message, error) { return events.Message{}, nil },
			Commit:      func(*message.Message) error { return nil },
			Publisher:   &rereading{}, MaxMessage: func() int { return 0 },
			Report: func(result handlers.Rereading) { got = result },
		})
		if err != nil {
			t.Fatal(err)
		}
		was := subscriptionMessage()
		was.Data.Origin = origin
		payload, err := events.Encode(was)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Handle(message.NewMessage(was.MessageID(), payload)); err != nil || got.Omitted != want {
			t.Errorf("%s: got omitted %v, %v", origin, got.Omitted, err)
		}
	}
}
