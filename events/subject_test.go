package events_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

func TestSubjects(t *testing.T) {
	t.Parallel()
	word := func(n int) string { return strings.Repeat("x", n) }
	const prefix = "customer.subscription."
	cases := map[string]struct{ stripeType, want string }{
		"created":                {prefix + "created", "subscription.created"},
		"updated":                {prefix + "updated", "subscription.updated"},
		"deleted":                {prefix + "deleted", "subscription.canceled"},
		"paused":                 {prefix + "paused", "subscription.paused"},
		"resumed":                {prefix + "resumed", "subscription.resumed"},
		"trial_will_end":         {prefix + "trial_will_end", "subscription.trial_will_end"},
		"pending_update_applied": {prefix + "pending_update_applied", "subscription.pending_update_applied"},
		"pending_update_expired": {prefix + "pending_update_expired", "subscription.pending_update_expired"},
		"later word":             {prefix + "later-word_2", "subscription.later-word_2"},
		"canceled is taken":      {prefix + "canceled", "stripe.customer.subscription.canceled"},
		"snapshot is taken":      {prefix + "snapshot", "stripe.customer.subscription.snapshot"},
		"two words":              {prefix + "a.b", "stripe.customer.subscription.a.b"},
		"no word":                {prefix, "stripe.unknown"},
		"other":                  {"invoice.payment_failed", "stripe.invoice.payment_failed"},
		"thin":                   {"v2.core.account.created", "stripe.v2.core.account.created"},
		"brackets":               {"v2.core.account[configuration.customer].updated", "stripe.v2.core.account[configuration.customer].updated"},
		"one word in brackets":   {"v2.core.account[requirements].updated", "stripe.v2.core.account[requirements].updated"},
		"brackets at the end":    {"v2.core.account[a]", "stripe.v2.core.account[a]"},
		"brackets twice":         {"v2.a[b.c].d[e].f", "stripe.v2.a[b.c].d[e].f"},
		"word with brackets":     {prefix + "x[y]", "stripe.customer.subscription.x[y]"},
		"empty brackets":         {"v2.core.account[].updated", "stripe.unknown"},
		"brackets in brackets":   {"v2.core.account[a[b]].updated", "stripe.unknown"},
		"brackets of a dot":      {"v2.core.account[.].updated", "stripe.unknown"},
		"dot before the bracket": {"v2.core.account[a.].updated", "stripe.unknown"},
		"not closed":             {"v2.core.account[a.updated", "stripe.unknown"},
		"not opened":             {"v2.core.account]a.updated", "stripe.unknown"},
		"closed first":           {"v2.core.account]a[.updated", "stripe.unknown"},
		"word after brackets":    {"v2.core.account[a]b.updated", "stripe.unknown"},
		"brackets without word":  {"v2.core.[a].updated", "stripe.unknown"},
		"brackets only":          {"[a]", "stripe.unknown"},
		"final line break":       {"invoice.paid\n", "stripe.unknown"},
		"wildcard in brackets":   {"v2.core.account[*].updated", "stripe.unknown"},
		"adjacent brackets":      {"v2.core.account[a][b].updated", "stripe.unknown"},
		"prefix inside":          {"x.customer.subscription.updated", "stripe.x.customer.subscription.updated"},
		"empty":                  {"", "stripe.unknown"},
		"wildcard":               {"invoice.*", "stripe.unknown"},
		"full wildcard":          {"invoice.>", "stripe.unknown"},
		"wildcard word":          {prefix + "*", "stripe.unknown"},
		"full wildcard word":     {prefix + ">", "stripe.unknown"},
		"space":                  {"invoice paid", "stripe.unknown"},
		"line break":             {"invoice\r\nPUB x", "stripe.unknown"},
		"control character":      {prefix + "up\x00dated", "stripe.unknown"},
		"not UTF-8":              {prefix + "\xff", "stripe.unknown"},
		"not ASCII":              {"invoice.é", "stripe.unknown"},
		"leading dot":            {".invoice", "stripe.unknown"},
		"trailing dot":           {"invoice.", "stripe.unknown"},
		"two dots":               {"invoice..paid", "stripe.unknown"},
		"255 characters":         {prefix + word(242), "subscription." + word(242)},
		"256 characters":         {prefix + word(243), "stripe.unknown"},
		"255 characters, other":  {word(248), "stripe." + word(248)},
		"256 characters, other":  {word(249), "stripe.unknown"},
		"5 kB":                   {prefix + word(5000), "stripe.unknown"},
	}
	for name, tt := range cases {
		got, ok := events.SubscriptionSubject(tt.stripeType)
		if !ok {
			if got != "" {
				t.Errorf("%s: got %q and false, want nothing", name, got)
			}
			got = events.StripeSubject(tt.stripeType)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestStreamSubjects(t *testing.T) {
	t.Parallel()
	want := []string{"subscription.*", "stripe.>", "billbus.user.linked", "access.*"}
	if diff := cmp.Diff(want, events.StreamSubjects()); diff != "" {
		t.Errorf("StreamSubjects (-want +got):\n%s", diff)
	}
	events.StreamSubjects()[0] = "altered"
	if diff := cmp.Diff(want, events.StreamSubjects()); diff != "" {
		t.Errorf("a caller altered the list for all (-want +got):\n%s", diff)
	}
}
