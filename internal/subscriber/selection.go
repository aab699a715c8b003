package subscriber

import (
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
)

// selection says which messages a replay applies.
type selection struct {
	subscriptions []string // ids of Stripe, or keys of records; empty for all
	account       string   // "" for all
}

func selectionOf(r config.Replay) selection { return selection{r.Subscriptions, r.Account} }

func (s selection) all() bool { return len(s.subscriptions) == 0 && s.account == "" }

// String is the same for the same selection.
func (s selection) String() string {
	parts := slices.Sorted(slices.Values(s.subscriptions))
	if s.account != "" {
		parts = append(parts, "account "+s.account)
	}
	return strings.Join(parts, " ")
}

// only returns a handler that leaves out what is not selected. A message that cannot be
// read is not left out, so it is counted as one.
func (s selection) only(handle message.NoPublishHandlerFunc, skip func()) message.NoPublishHandlerFunc {
	if s.all() {
		return handle
	}
	return func(msg *message.Message) error {
		if m, err := events.Decode(msg.Payload); err == nil && !s.has(m) {
			skip()
			return nil
		}
		return handle(msg)
	}
}

func (s selection) has(m events.Message) bool {
	account := m.StripeAccount
	if account == "" {
		account = events.Platform
	}
	if s.account != "" && s.account != account {
		return false
	}
	return len(s.subscriptions) == 0 || slices.ContainsFunc(named(m), func(id string) bool {
		return slices.Contains(s.subscriptions, id) || slices.Contains(s.subscriptions, events.Key(m.Livemode, m.StripeAccount, id))
	})
}

// named returns the ids of the subscriptions that a message names, among others.
func named(m events.Message) []string {
	refs := normalize.References(m.Data.Event)
	ids := append(refs.NamedIDs, refs.SubscriptionID)
	if sub := m.Data.Subscription; sub != nil {
		ids = append(ids, sub.ID)
	}
	if session := m.Data.CheckoutSession; session != nil {
		ids = append(ids, session.SubscriptionID)
	}
	return ids
}
