package subscriber

import (
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
)

func TestSelection(t *testing.T) {
	t.Parallel()
	own := kit.Event("sub_1", "evt_1", "updated", 1, "active")
	connected := own
	connected.StripeAccount, connected.Source = "acct_1", events.Source(false, "acct_1")
	session, invoice := own, own
	session.Type, invoice.Type = "stripe.checkout.session.completed", "stripe.invoice.paid"
	session.Data.Subscription, session.Data.CheckoutSession = nil, &events.CheckoutSession{SubscriptionID: "sub_1"}
	invoice.Data.Subscription, invoice.Data.Event = nil, []byte(`{"data":{"object":{"object":"invoice","id":"in_1","subscription":"sub_1"}}}`)
	for name, tt := range map[string]struct {
		selection config.Replay
		message   events.Message
		want      bool
	}{
		"everything":            {config.Replay{}, own, true},
		"its id":                {config.Replay{Subscriptions: []string{"sub_2", "sub_1"}}, own, true},
		"its key":               {config.Replay{Subscriptions: []string{kit.Key("sub_1")}}, own, true},
		"another":               {config.Replay{Subscriptions: []string{"sub_2"}}, own, false},
		"the key of an account": {config.Replay{Subscriptions: []string{kit.Key("sub_1")}}, connected, false},
		"its checkout session":  {config.Replay{Subscriptions: []string{"sub_1"}}, session, true},
		"its invoice":           {config.Replay{Subscriptions: []string{"sub_1"}}, invoice, true},
		"another's invoice":     {config.Replay{Subscriptions: []string{"sub_2"}}, invoice, false},
		"the platform":          {config.Replay{Account: "platform"}, own, true},
		"not the platform":      {config.Replay{Account: "platform"}, connected, false},
		"an account":            {config.Replay{Account: "acct_1"}, connected, true},
		"not that account":      {config.Replay{Account: "acct_1", Subscriptions: []string{"sub_1"}}, own, false},
	} {
		if got := handles(t, tt.selection, encoded(t, tt.message)); got != tt.want {
			t.Errorf("%s: applied is %t, want %t", name, got, tt.want)
		}
	}
	if !handles(t, config.Replay{Account: "acct_1"}, []byte("x")) {
		t.Error("a message that cannot be read was left out, and is not counted as such")
	}
}

// handles reports whether a message is applied, and not skipped.
func handles(t *testing.T, r config.Replay, payload []byte) bool {
	t.Helper()
	skips, failed := 0, errors.New("applied")
	err := selectionOf(r).only(func(*message.Message) error { return failed }, func() { skips++ })(message.NewMessage("", payload))
	if (err == nil) != (skips == 1) {
		t.Errorf("got %v and %d skipped", err, skips)
	}
	return err != nil
}

// A replay continues only one that applies the same messages.
func TestFromTextSaysWhatIsSelected(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]config.Replay{
		"the beginning": {},
		"sequence 7, only of sub_1 sub_2 account acct_1, reading again": {
			FromSequence: 7, Subscriptions: []string{"sub_2", "sub_1"}, Account: "acct_1", Renormalize: true,
		},
	} {
		if got := fromText(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
