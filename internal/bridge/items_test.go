package bridge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// twelve returns a subscription with twelve items, as Stripe's API returns it. quantity
// is that of the last one.
func twelve(sub string, quantity int) string { return listing(sub, 12, quantity, false) }

// listing returns a subscription that lists some items.
func listing(sub string, items, quantity int, more bool) string {
	var list []string
	for i := 1; i <= items; i++ {
		n := 1
		if i == 12 {
			n = quantity
		}
		list = append(list, fmt.Sprintf(`{"id":"si_%02d","object":"subscription_item","quantity":%d,"price":{"id":"price_%02d"}}`, i, n, i))
	}
	return fmt.Sprintf(`{"id":%q,"object":"subscription","status":"active","livemode":false,"customer":"cus_1","items":{"object":"list","data":[%s],"has_more":%v}}`,
		sub, strings.Join(list, ","), more)
}

// cutOff returns an event that lists ten items.
func cutOff(id, sub string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.subscription.updated","created":1760000000,"livemode":false,
"api_version":"2025-09-30.clover","data":{"object":%s}}`, id, listing(sub, 10, 0, true))
}

// answered answers like Stripe's API, with the present time.
func answered(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Stripe-Version", "2025-09-30.clover")
		_, _ = fmt.Fprint(w, body)
	}
}

// snapshots returns the snapshots of a subscription in the stream.
func (r *running) snapshots(t *testing.T, sub string) []events.Message {
	t.Helper()
	var found []events.Message
	for sequence := range r.stored(t) {
		if m, _ := r.message(t, sequence+1); m.Type == events.SubjectSnapshot && m.Subject == sub {
			found = append(found, m)
		}
	}
	return found
}

func TestChangeBeyondTheTenthItemComesWithTheSnapshot(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On("/v1/subscriptions/sub_1", answered(twelve("sub_1", 1)))
	r := resolving(t, a)
	r.accept(t, cutOff("evt_1", "sub_1"))
	r.resolved(t, "snapshot", 1)
	a.On("/v1/subscriptions/sub_1", answered(twelve("sub_1", 7)))
	r.accept(t, cutOff("evt_2", "sub_1"))
	r.resolved(t, "snapshot", 2)
	// An event that is delivered again is done.
	r.settled(t)
	got := r.snapshots(t, "sub_1")
	if len(got) != 2 {
		t.Fatalf("got %d snapshots, want 2", len(got))
	}
	if first := got[0].Data; first.BecauseOf != "evt_1" || first.Changes != nil || first.Previous != nil {
		t.Errorf("got the first because of %q with %v", first.BecauseOf, first.Changes)
	}
	if m, _ := r.message(t, 1); m.Data.Resolving != events.ReasonItemsTruncated {
		t.Errorf("got resolving %q in the event", m.Data.Resolving)
	}
	second := got[1].Data
	if diff := cmp.Diff([]events.Change{events.ChangeQuantity}, second.Changes); diff != "" || second.BecauseOf != "evt_2" {
		t.Errorf("because of %q, changes (-want +got):\n%s", second.BecauseOf, diff)
	}
	before := second.Previous.Before(second.Subscription)
	if len(before.Items) != 12 || *before.Items[11].Quantity != 1 || *second.Subscription.Items[11].Quantity != 7 {
		t.Errorf("got %d items before, %+v", len(before.Items), second.Previous)
	}
}

func TestOnlyEventsWithAKeyAreResolving(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	r := started(t, "STRIPE_API_BASE="+a.URL, "STRIPE_API_KEYS=acct_1="+apiKey, "WEBHOOK_ACCOUNTS=any")
	for i, want := range []events.Reason{events.ReasonItemsTruncated, ""} {
		account := fmt.Sprintf(`{"account":"acct_%d",`, i+1)
		r.accept(t, append([]byte(account), cutOff("evt_1", "sub_1")[1:]...))
		if m, _ := r.message(t, uint64(i+1)); m.Data.Resolving != want {
			t.Errorf("%s: got resolving %q, want %q", m.StripeAccount, m.Data.Resolving, want)
		}
	}
}

// Two bridges share the work. Each change of the last item is reported once.
func TestTwoBridgesReportEachChangeOnce(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	srv := natstest.Start(t)
	one := startedOn(t, srv.URL(), withKey(a)...)
	two := startedOn(t, srv.URL(), withKey(a)...)
	const changes = 5
	for n := range changes + 1 {
		a.On("/v1/subscriptions/sub_1", answered(twelve("sub_1", n)))
		for i, r := range []*running{one, two, one} {
			r.accept(t, cutOff(fmt.Sprintf("evt_%d_%d", n, i), "sub_1"))
		}
		one.settled(t)
	}
	var got []int64
	for _, m := range one.snapshots(t, "sub_1") {
		if len(m.Data.Changes) > 0 {
			got = append(got, *m.Data.Subscription.Items[11].Quantity)
		}
	}
	if diff := cmp.Diff([]int64{1, 2, 3, 4, 5}, got); diff != "" {
		t.Errorf("quantities in snapshots with changes (-want +got):\n%s", diff)
	}
}
