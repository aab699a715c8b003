package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// listOf returns a subscription that lists the first n of twelve items. quantity is that
// of the last one.
func listOf(n, quantity int) string {
	var items []string
	for i := 1; i <= n; i++ {
		q := 1
		if i == 12 {
			q = quantity
		}
		items = append(items, fmt.Sprintf(`{"id":"si_%02d","object":"subscription_item","quantity":%d,"price":{"id":"price_%02d"}}`, i, q, i))
	}
	return fmt.Sprintf(`{"id":"sub_1","object":"subscription","status":"active","customer":"cus_1","livemode":false,"created":%d,`+
		`"items":{"object":"list","data":[%s],"has_more":%v}}`, epoch, strings.Join(items, ","), n < 12)
}

func listEvent(id, kind string, at time.Time, items int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.subscription.%s","created":%d,"livemode":false,"api_version":"2025-09-30.clover","data":{"object":%s}}`,
		id, kind, at.Unix(), listOf(items, 1))
}

// answered answers like Stripe's API, with the present time.
func answered(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Stripe-Version", "2025-09-30.clover")
		_, _ = fmt.Fprint(w, body)
	}
}

type listRecord struct {
	Items []struct {
		Quantity int64 `bson:"quantity"`
	} `bson:"items"`
	ItemsTruncated bool `bson:"items_truncated"`
	Version        struct {
		EventID string `bson:"event_id"`
	} `bson:"version"`
}

// watchItems collects the lengths of the lists that the record has had, until it is
// called.
func (a *alone) watchItems(t *testing.T) (stop func() []int) {
	t.Helper()
	var lengths []int
	var work sync.WaitGroup
	ending, db := make(chan struct{}), a.database(t)
	end := sync.OnceFunc(func() { close(ending); work.Wait() })
	t.Cleanup(end)
	work.Go(func() {
		for {
			for _, doc := range records[listRecord](t, db) {
				lengths = append(lengths, len(doc.Items))
			}
			select {
			case <-ending:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() []int {
		end()
		slices.Sort(lengths)
		return slices.Compact(lengths)
	}
}

func TestTwelveItems(t *testing.T) {
	t.Parallel()
	api := kit.NewStripeAPI(t)
	api.On("/v1/subscriptions/sub_1", answered(listOf(12, 1)))
	dir := t.TempDir()
	a := runStandalone(t, dir, "STRIPE_API_KEY=sk_test_hunter2", "STRIPE_API_BASE="+api.URL)
	lengths := a.watchItems(t)
	accept(t, a.webhookURL, listEvent("evt_1", "created", time.Unix(epoch, 0), 10))
	db := a.database(t)
	kit.Eventually(t, "the record has twelve items", func() bool {
		found := records[listRecord](t, db)
		return len(found) == 1 && len(found[0].Items) == 12 && !found[0].ItemsTruncated
	})
	api.On("/v1/subscriptions/sub_1", answered(listOf(12, 7)))
	accept(t, a.webhookURL, listEvent("evt_2", "updated", time.Now(), 10))
	changes := map[string][]events.Change{}
	for _, m := range consumeAll(t, natstest.JetStream(t, a.natsURL), 4) { // waits for the second snapshot
		changes[m.Data.BecauseOf] = m.Data.Changes
	}
	if diff := cmp.Diff([]events.Change{events.ChangeQuantity}, changes["evt_2"]); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	a.drained(t)
	if got := lengths(); !slices.Equal(got, []int{12}) {
		t.Errorf("the record had %v items, want always 12", got)
	}
	// Without a key, those that cannot be seen stay.
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	b := runStandalone(t, dir)
	accept(t, b.webhookURL, listEvent("evt_3", "updated", time.Now().Add(time.Minute), 10))
	b.drained(t)
	got := records[listRecord](t, b.database(t))[0]
	if got.Version.EventID != "evt_3" || len(got.Items) != 12 || got.Items[11].Quantity != 7 || !got.ItemsTruncated {
		t.Errorf("got %+v", got)
	}
}
