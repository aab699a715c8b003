package cases_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/test/kit"
)

// TestTruncatedItems sends events that list ten of more items, and answers what the bridge
// reads because of them: what the API shows after the first event, and after the second.
func TestTruncatedItems(t *testing.T) {
	t.Parallel()
	random, api := seeded(t), kit.NewStripeAPI(t)
	a := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=any", "STRIPE_API_KEY=sk_test_cases", "STRIPE_API_BASE="+api.URL)
	a.consumers = []string{"billbus-resolver", "billbus-subscriber"}
	for _, name := range []string{"twelve-items", "metadata-of-thirteen-items", "item-added-beyond-the-tenth"} {
		orders := loadStory(t, name).orders(random)
		for i, o := range orders {
			t.Run(name+"/"+o.String(), func(t *testing.T) {
				s := newTruncated(t, o)
				s.serve(t, api, 2)
				if i == 0 { // as written: the API shows each state in its time
					s.serve(t, api, 1)
				}
				s.play(t, a, func() { s.serve(t, api, 2) })
				check(t, a.content(t), orders[i:i+1])
			})
		}
	}
	for _, name := range []string{"read-before-nine-remained", "read-before-the-cancellation"} {
		o := loadStory(t, name).orders(random)[:1]
		t.Run(name, func(t *testing.T) {
			newTruncated(t, o[0]).overtake(t, a, api)
			check(t, a.content(t), o)
		})
	}
	o := loadStory(t, "key-removed-after-twelve-items").orders(random)[:1]
	t.Run(o[0].name, func(t *testing.T) {
		s := newTruncated(t, o[0])
		s.later = 5 // not in the second of the snapshot, with which its ten items cannot be compared
		s.serve(t, api, 1)
		s.play(t, a, func() { a.restart(t, "WEBHOOK_LIVEMODE=any") })
		check(t, a.content(t), o)
	})
}

// restart starts standalone again, with other settings.
func (a *alone) restart(t *testing.T, settings ...string) {
	t.Helper()
	a.stop(t)
	own := len(a.process.Env) - len(a.settings)
	a.process.Env, a.settings = append(a.process.Env[:own:own], settings...), settings
	a.consumers = []string{"billbus-subscriber"}
	a.start(t)
}

// truncated is a story of two events about a subscription whose items are cut off, an hour ago.
type truncated struct {
	order
	sub   string
	shift int64
	later int64 // seconds from now until the second event
}

func newTruncated(t *testing.T, o order) truncated {
	t.Helper()
	if len(o.events) != 2 {
		t.Fatalf("%s has %d events, want 2", o.name, len(o.events))
	}
	const began = 1795000000
	return truncated{order: o, sub: o.rename.Replace("sub_" + o.word), shift: time.Now().Unix() - 3600 - began}
}

var (
	stamp   = regexp.MustCompile(`\b1[78]\d{8}\b`)
	created = regexp.MustCompile(`(?m)^ "created": \d+`)
)

// text returns a file of the story with its own ids and times.
func (s truncated) text(raw []byte) []byte {
	return stamp.ReplaceAllFunc(s.renamedBytes(raw), func(digits []byte) []byte {
		n, _ := strconv.ParseInt(string(digits), 10, 64)
		return strconv.AppendInt(nil, n+s.shift, 10)
	})
}

// event returns the n-th event of the order. The second event of the story is created now or
// later.
func (s truncated) event(n int) []byte {
	body := s.text(s.events[s.sequence[n]])
	if s.sequence[n] == 0 {
		return body
	}
	return created.ReplaceAll(body, fmt.Appendf(nil, ` "created": %d`, time.Now().Unix()+s.later))
}

// serve makes the API show the state after an event.
func (s truncated) serve(t *testing.T, api *kit.StripeAPI, after int) {
	t.Helper()
	s.serveAfter(t, api, after, nil)
}

// serveAfter answers after wait is closed. Like Stripe's, the API includes ten items in a
// subscription, and stamps its answers when it answers.
func (s truncated) serveAfter(t *testing.T, api *kit.StripeAPI, after int, wait <-chan struct{}) {
	t.Helper()
	var subscription, items map[string]any
	if err := json.Unmarshal(s.text(file(t, s.name, fmt.Sprintf("api-%d.json", after))), &subscription); err != nil {
		t.Fatal(err)
	}
	items = subscription["items"].(map[string]any)
	all := items["data"].([]any)
	list, _ := json.Marshal(map[string]any{"object": "list", "data": all, "has_more": false})
	items["data"], items["has_more"] = all[:min(10, len(all))], len(all) > 10
	object, _ := json.Marshal(subscription)
	answer := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if wait != nil {
				select {
				case <-wait:
				case <-r.Context().Done():
				}
			}
			w.Header().Set("Stripe-Version", "2025-09-30.clover")
			_, _ = w.Write(body)
		}
	}
	api.On("/v1/subscriptions/"+s.sub, answer(object))
	api.On("/v1/subscription_items?limit=100&subscription="+s.sub, answer(list))
}

// play sends both events, and calls between after the first has been settled. From then on the
// record must never have fewer items.
func (s truncated) play(t *testing.T, a *alone, between func()) {
	t.Helper()
	a.accept(t, s.event(0))
	a.settle(t)
	between()
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx, t, a.database(t).Collection("subscriptions")) })
	a.accept(t, s.event(1))
	a.settle(t)
	stop()
	watching.Wait()
}

// watch reads the record until ctx is done.
func (s truncated) watch(ctx context.Context, t *testing.T, records *mongo.Collection) {
	most, polls := 0, 0
	for ; ctx.Err() == nil; polls++ {
		var record struct{ Items []bson.Raw }
		if err := records.FindOne(ctx, bson.D{{Key: "subscription_id", Value: s.sub}}).Decode(&record); err != nil {
			continue
		}
		if len(record.Items) < most {
			t.Errorf("the record had %d items, and then %d", most, len(record.Items))
			return
		}
		most = len(record.Items)
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
	if polls == 0 {
		t.Error("the record was never read")
	}
}

// overtake sends the second event while the bridge reads the subscription because of the
// first. The answer shows the state before the second event, and has a later stamp.
func (s truncated) overtake(t *testing.T, a *alone, api *kit.StripeAPI) {
	t.Helper()
	answer := make(chan struct{})
	s.serveAfter(t, api, 1, answer)
	a.accept(t, s.event(0))
	kit.Eventually(t, "the bridge reads the subscription", func() bool {
		return slices.Contains(api.Asked(), "/v1/subscriptions/"+s.sub)
	})
	a.accept(t, s.event(1))
	a.settleOf(t, "billbus-subscriber")
	close(answer)
	a.settle(t)
}
