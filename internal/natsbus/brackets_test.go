package natsbus_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit/natstest"
)

// The types of Accounts v2 have brackets. NATS does not know them, so a dot between
// them separates tokens.
func TestSubjectsWithBrackets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	types := []string{
		"v2.core.account.created", "v2.core.account[configuration.customer].updated",
		"v2.core.account[configuration.customer].capability_status_updated", "v2.core.account[requirements].updated",
	}
	for i, stripeType := range types {
		if err := r.pub.Publish(events.StripeSubject(stripeType), newMessage(fmt.Sprintf("evt_%d", i), stripeType)); err != nil {
			t.Fatalf("%s: %v", stripeType, err)
		}
	}
	for filter, want := range map[string][]string{
		"stripe.v2.core.account[configuration.customer].updated": types[1:2],
		"stripe.v2.core.account[configuration.customer].*":       types[1:3],
		"stripe.v2.core.account[configuration.>":                 types[1:3],
		"stripe.v2.core.*.*.updated":                             types[1:2],
		"stripe.v2.core.account[requirements].*":                 types[3:],
		"stripe.v2.core.*.updated":                               types[3:],
		"stripe.v2.core.*.created":                               types[:1],
		"stripe.v2.>":                                            types,
		"stripe.>":                                               types,
	} {
		if got := r.filtered(t, filter); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", filter, got, want)
		}
	}
}

// filtered returns the payloads that a consumer with a filter gets.
func (r *rig) filtered(t *testing.T, filter string) []string {
	t.Helper()
	c, err := r.js.OrderedConsumer(t.Context(), "BILLBUS", jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		t.Fatal(err)
	}
	var payloads []string
	for range natstest.Count(t, r.js, "BILLBUS") {
		msg, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		payloads = append(payloads, string(msg.Data()))
		if meta, err := msg.Metadata(); err != nil || meta.NumPending == 0 {
			break
		}
	}
	return payloads
}

// A dead letter's subject is made of the original one.
func TestDeadLetterOfASubjectWithBrackets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	subject := events.StripeSubject("v2.core.account[configuration.customer].updated")
	if err := r.pub.Publish(subject, newMessage("evt_1", "x")); err != nil {
		t.Fatal(err)
	}
	r.consume(t, r.config(), func(*message.Message) error { return fault.New(fault.Permanent, "bad", errors.New("bad")) })
	r.settled(t)
	if got, want := natstest.Message(t, r.js, natsbus.DeadLetterStream, 1).Subject, "billbus.dlq."+subject; got != want {
		t.Errorf("got a letter on %s, want %s", got, want)
	}
}
