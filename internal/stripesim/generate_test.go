package stripesim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripesim"
)

// enough is shared, since generating it takes a while. Everything happens in it, in every
// rendering.
var enough = sync.OnceValue(func() stripesim.History {
	return stripesim.Generate(stripesim.Config{Seed: 13, Subscriptions: 700, Ties: 0.3, UserIDs: true})
})

func normalizer(t *testing.T) *normalize.Normalizer {
	t.Helper()
	n, err := normalize.New(normalize.Options{
		Livemode: "any", Accounts: []string{"platform"}, UserIDKeys: []string{"user_id", "userId"}, ClientReference: "api",
		RedactKeys: []string{"hosted_invoice_url", "invoice_pdf", "receipt_url"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bySubscription groups a history, keeping its order.
func bySubscription(h stripesim.History) map[string][]stripesim.Delivery {
	groups := map[string][]stripesim.Delivery{}
	for _, d := range h.Deliveries {
		groups[d.SubscriptionID] = append(groups[d.SubscriptionID], d)
	}
	return groups
}

func isSubscription(d stripesim.Delivery) bool {
	return strings.HasPrefix(d.Type, "customer.subscription.")
}

type rendered struct {
	ID         string
	Object     string
	APIVersion string `json:"api_version"`
	Created    int64
	Livemode   bool
	Type       string
	Request    any
	Data       struct {
		Object   map[string]any
		Previous map[string]any `json:"previous_attributes"`
	}
}

func parse(t *testing.T, d stripesim.Delivery) rendered {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(d.Body))
	dec.UseNumber()
	var r rendered
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("%s %s: %v", d.ID, d.Type, err)
	}
	return r
}

func TestSameSeedSameHistory(t *testing.T) {
	t.Parallel()
	cfg := stripesim.Config{Seed: 1, Subscriptions: 40, Ties: 0.5}
	first, again := stripesim.Generate(cfg), stripesim.Generate(cfg)
	if !reflect.DeepEqual(first, again) {
		t.Error("got two histories for one seed")
	}
	ids := map[string]bool{}
	for _, d := range first.Deliveries {
		ids[d.ID] = true
	}
	cfg.Seed = 2
	for _, d := range stripesim.Generate(cfg).Deliveries {
		if ids[d.ID] {
			t.Errorf("%s occurs for two seeds", d.ID)
		}
	}
	if len(ids) != len(first.Deliveries) {
		t.Errorf("got %d ids of %d events", len(ids), len(first.Deliveries))
	}
}

func TestSubscriptionDoesNotDependOnTheNumberOfOthers(t *testing.T) {
	t.Parallel()
	few := stripesim.Generate(stripesim.Config{Seed: 3, Subscriptions: 5, Ties: 0.5})
	more := stripesim.Generate(stripesim.Config{Seed: 3, Subscriptions: 60, Ties: 0.5})
	for key, truth := range few.Truth {
		if diff := cmp.Diff(truth, more.Truth[key]); diff != "" {
			t.Errorf("%s (-few +more):\n%s", key, diff)
		}
	}
}

// TestEventsNormalizeToTheTruth reads two thousand histories as a webhook does. Their end
// has to be the truth.
func TestEventsNormalizeToTheTruth(t *testing.T) {
	t.Parallel()
	n := normalizer(t)
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			cfg := stripesim.Config{Seed: 100 + seed, Subscriptions: 200, Ties: 0.3, UserIDs: seed > 0, Livemode: seed > 7}
			checkTruth(t, n, cfg, stripesim.Generate(cfg))
		})
	}
}

func checkTruth(t *testing.T, n *normalize.Normalizer, cfg stripesim.Config, h stripesim.History) {
	t.Helper()
	last := map[string]events.Message{}
	facts := map[string][]ordering.Fact{}
	states := map[string]*events.Subscription{}
	for _, d := range h.Deliveries {
		m := normalized(t, n, d)
		if m.Livemode != cfg.Livemode {
			t.Errorf("%s is of mode %s", d.ID, m.Mode())
		}
		if fact, ok := ordering.FactOf(m); ok {
			last[m.SubscriptionKey()], states[m.ID] = m, m.Data.Subscription
			facts[m.SubscriptionKey()] = append(facts[m.SubscriptionKey()], fact)
		}
	}
	if len(last) != cfg.Subscriptions || len(h.Truth) != cfg.Subscriptions {
		t.Fatalf("got %d states and %d truths, want %d", len(last), len(h.Truth), cfg.Subscriptions)
	}
	for key, truth := range h.Truth {
		got, want := *last[key].Data.Subscription, truth.Subscription
		if last[key].ID != truth.LastEventID || encode(t, got) != encode(t, want) {
			t.Errorf("%s in %s (-want +got):\n%s", key, last[key].StripeAPIVersion, cmp.Diff(want, got))
		}
		verdict := ordering.Fold(facts[key])
		// It can be another event of the same state.
		if verdict.Ordering != ordering.Determined || encode(t, states[verdict.Winner.EventID]) != encode(t, want) {
			t.Errorf("%s in %s ends with %s, but %s", key, last[key].StripeAPIVersion, truth.LastEventID, verdict.Explanation)
		}
	}
}

// normalized returns the message of an event, which must have no warnings.
func normalized(t *testing.T, n *normalize.Normalizer, d stripesim.Delivery) events.Message {
	t.Helper()
	m, err := n.Event(d.Body, normalize.Receipt{Origin: events.OriginWebhook, ReceivedAt: d.Created})
	if err != nil || len(m.Data.Warnings) > 0 {
		t.Fatalf("%s %s: %v, %v\n%s", d.ID, d.Type, err, m.Data.Warnings, d.Body)
	}
	if m.ID != d.ID || m.StripeType != d.Type || !m.Time.Equal(d.Created) || m.StripeAPIVersion != d.APIVersion {
		t.Errorf("got %s %s %s, want %s %s %s", m.ID, m.StripeType, m.Time, d.ID, d.Type, d.Created)
	}
	want := d.SubscriptionID
	if d.Type == "customer.created" {
		want = ""
	}
	if refs := normalize.References(m.Data.Event); refs.SubscriptionID != want {
		t.Errorf("%s %s names subscription %q, want %q", d.ID, d.Type, refs.SubscriptionID, want)
	}
	return m
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTruthListsTheEventsInTrueOrder(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 5, Subscriptions: 200, Ties: 0.3})
	for id, deliveries := range bySubscription(h) {
		var want []stripesim.EventRef
		for _, d := range deliveries {
			want = append(want, stripesim.EventRef{ID: d.ID, Type: d.Type})
		}
		if diff := cmp.Diff(want, h.Truth["test:platform:"+id].Events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

// TestPreviousAttributes restores them on the object, which gives the object of the event
// before.
func TestPreviousAttributes(t *testing.T) {
	t.Parallel()
	checked := map[string]int{}
	for id, deliveries := range bySubscription(enough()) {
		var before map[string]any
		for _, d := range slices.DeleteFunc(deliveries, func(d stripesim.Delivery) bool { return !isSubscription(d) }) {
			r := parse(t, d)
			if (d.Type == "customer.subscription.updated") != (len(r.Data.Previous) > 0) {
				t.Fatalf("%s of %s has previous_attributes %v", d.Type, id, r.Data.Previous)
			}
			after := r.Data.Object
			if len(r.Data.Previous) > 0 {
				minimal(t, d, after, r.Data.Previous)
				got := withoutNulls(putBack(clone(t, after), r.Data.Previous, d.APIVersion < "2017-05-25"))
				want := withoutNulls(before)
				if d.APIVersion == "2025-01-27.acacia" && r.Data.Previous["items"] == nil {
					// The items do not say what the period was.
					withoutPeriods(got)
					withoutPeriods(want)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%s in %s (-before +put back):\n%s", id, d.APIVersion, cmp.Diff(want, got))
				}
				checked[d.APIVersion]++
			}
			before = after
		}
	}
	for _, version := range stripesim.Versions() {
		if checked[version] < 100 {
			t.Errorf("%s: only %d updates", version, checked[version])
		}
	}
}

// minimal checks that only what differs is listed.
func minimal(t *testing.T, d stripesim.Delivery, after, previous map[string]any) {
	t.Helper()
	for key, value := range previous {
		if reflect.DeepEqual(after[key], value) {
			t.Errorf("%s: previous_attributes.%s is what it is now", d.ID, key)
		}
	}
	// Elements of arrays are complete, except in old renderings.
	old := d.APIVersion < "2017-05-25"
	for _, element := range items(previous) {
		if _, whole := element["id"]; whole == old {
			t.Errorf("%s in %s: previous_attributes have the item %v", d.ID, d.APIVersion, element)
		}
	}
}

func clone(t *testing.T, o map[string]any) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(encode(t, o)))
	dec.UseNumber()
	var c map[string]any
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// putBack modifies both.
func putBack(object, previous map[string]any, elementwise bool) map[string]any {
	for key, was := range previous {
		object[key] = restored(object[key], was, elementwise)
	}
	return object
}

func restored(is, was any, elementwise bool) any {
	switch was := was.(type) {
	case map[string]any:
		if is, ok := is.(map[string]any); ok {
			return putBack(is, was, elementwise)
		}
	case []any:
		is, ok := is.([]any)
		for i := 0; ok && elementwise && i < min(len(is), len(was)); i++ {
			was[i] = restored(is[i], was[i], true)
		}
	}
	return was
}

// withoutNulls removes nulls, so null and absent are the same.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := map[string]any{}
		for key, value := range v {
			if value != nil {
				o[key] = withoutNulls(value)
			}
		}
		return o
	case []any:
		l := make([]any, len(v))
		for i := range v {
			l[i] = withoutNulls(v[i])
		}
		return l
	}
	return v
}

// withoutPeriods removes the periods of the items.
func withoutPeriods(subscription any) {
	for _, item := range items(subscription.(map[string]any)) {
		delete(item, "current_period_start")
		delete(item, "current_period_end")
	}
}

func TestEverythingHappens(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, deliveries := range bySubscription(enough()) {
		for _, d := range deliveries {
			for _, what := range happened(parse(t, d)) {
				seen[what]++
			}
		}
	}
	for _, want := range []string{
		"customer.created", "checkout.session.completed", "checkout with client_reference_id",
		"invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_failed",
		"customer.subscription.created", "customer.subscription.deleted", "customer.subscription.trial_will_end",
		"customer.subscription.paused", "customer.subscription.resumed",
		"created incomplete", "created trialing",
		"incomplete to active", "incomplete to incomplete_expired", "trialing to active", "trialing to paused", "paused to active",
		"active to past_due", "past_due to active", "past_due to unpaid", "unpaid to active",
		"renewed", "plan changed", "interval changed", "quantity changed", "item added", "item removed", "trial extended",
		"cancel_at_period_end scheduled", "cancel_at_period_end unscheduled", "cancel_at_period_end executed",
		"cancel_at scheduled", "cancel_at moved", "cancel_at unscheduled", "cancel_at executed",
		"canceled at once", "canceled at once though scheduled", "canceled for failed payment", "canceled during trial", "changed after the end", "feedback given",
		"collection paused", "collection resumed", "metadata changed", "payment method changed", "discount granted", "discount ended",
	} {
		if seen[want] < 5 {
			t.Errorf("%s: got %d times", want, seen[want])
		}
	}
}

// happened describes an event in words, from its JSON alone.
func happened(r rendered) []string {
	o, p := r.Data.Object, r.Data.Previous
	what := []string{r.Type}
	add := func(word string, holds bool) {
		if holds {
			what = append(what, word)
		}
	}
	had := func(key string) bool { _, ok := p[key]; return ok }
	reason := func(word string) bool {
		details, _ := o["cancellation_details"].(map[string]any)
		return details["reason"] == word
	}
	status := fmt.Sprint(o["status"])
	switch r.Type {
	case "checkout.session.completed":
		add("checkout with client_reference_id", o["client_reference_id"] != nil)
	case "customer.subscription.created":
		add("created "+status, true)
	case "customer.subscription.deleted":
		add("cancel_at_period_end executed", o["cancel_at_period_end"] == true)
		add("cancel_at executed", o["cancel_at_period_end"] == false && o["cancel_at"] != nil)
		add("canceled at once", o["canceled_at"] == o["ended_at"] && reason("cancellation_requested"))
		add("canceled at once though scheduled", o["cancel_at_period_end"] == false && o["cancel_at"] == nil && o["canceled_at"] != o["ended_at"])
		add("canceled for failed payment", reason("payment_failed"))
		add("canceled during trial", o["trial_end"] != nil && number(o["ended_at"]) < number(o["trial_end"]))
	case "customer.subscription.updated":
		add(fmt.Sprintf("%v to %s", p["status"], status), had("status"))
		start := items(o)[0]["current_period_start"]
		if start == nil {
			start = o["current_period_start"]
		}
		renewed := had("current_period_end") || len(items(p)) > 0 && items(p)[0]["current_period_end"] != items(o)[0]["current_period_end"] && len(items(p)) == len(items(o))
		add("renewed", renewed && !had("status") && !had("trial_end") && number(start) > 0 && !had("billing_cycle_anchor"))
		plan, _ := p["plan"].(map[string]any)
		add("plan changed", plan["id"] != nil)
		add("interval changed", plan["interval"] != nil)
		add("quantity changed", had("quantity") && p["quantity"] != nil && o["quantity"] != nil)
		add("item added", len(items(p)) > 0 && len(items(p)) < len(items(o)))
		add("item removed", len(items(p)) > len(items(o)))
		add("trial extended", had("trial_end") && p["trial_end"] != nil && status == "trialing")
		add("cancel_at_period_end scheduled", p["cancel_at_period_end"] == false)
		add("cancel_at_period_end unscheduled", p["cancel_at_period_end"] == true)
		alone := had("cancel_at") && !had("cancel_at_period_end")
		add("cancel_at scheduled", alone && p["cancel_at"] == nil)
		add("cancel_at moved", alone && p["cancel_at"] != nil && o["cancel_at"] != nil)
		add("cancel_at unscheduled", alone && o["cancel_at"] == nil)
		add("changed after the end", o["ended_at"] != nil && !had("status"))
		details, _ := p["cancellation_details"].(map[string]any)
		_, feedback := details["feedback"]
		add("feedback given", feedback && details["feedback"] == nil)
		add("collection paused", had("pause_collection") && p["pause_collection"] == nil)
		add("collection resumed", had("pause_collection") && o["pause_collection"] == nil)
		add("metadata changed", had("metadata"))
		add("payment method changed", had("default_payment_method") && p["default_payment_method"] != nil)
		discounted := fmt.Sprint(o["discount"], o["discounts"]) != "<nil> <nil>" && o["discount"] != nil || fmt.Sprint(o["discounts"]) != "[]" && o["discounts"] != nil
		add("discount granted", (had("discount") || had("discounts")) && discounted)
		add("discount ended", (had("discount") || had("discounts")) && !discounted)
	}
	return what
}

// items returns the elements of items.data; one empty item if there are none.
func items(o map[string]any) []map[string]any {
	page, ok := o["items"].(map[string]any)
	if !ok && o["object"] != nil {
		return []map[string]any{{}}
	}
	var list []map[string]any
	data, _ := page["data"].([]any)
	for _, each := range data {
		list = append(list, each.(map[string]any))
	}
	return list
}

func number(v any) int64 {
	n, _ := v.(json.Number)
	i, _ := n.Int64()
	return i
}

func TestStamps(t *testing.T) {
	t.Parallel()
	calm := stripesim.Config{Seed: 9, Subscriptions: 800}
	h := stripesim.Generate(calm)
	for id, deliveries := range bySubscription(h) {
		if h.Truth["test:platform:"+id].Tied {
			t.Errorf("%s is tied", id)
		}
		var last time.Time
		for _, d := range deliveries {
			if isSubscription(d) {
				if d.Created.Before(last.Add(3 * time.Second)) {
					t.Errorf("%s: two events within %s", id, d.Created.Sub(last))
				}
				last = d.Created
			}
			if limit := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC); d.Created.After(limit) {
				t.Errorf("%s: an event at %s", id, d.Created)
			}
		}
	}
	if !slices.IsSortedFunc(h.Deliveries, func(a, b stripesim.Delivery) int {
		return int(a.Created.Sub(b.Created)/time.Second) / 7 // created events are stamped up to 6 s late
	}) {
		t.Error("the history is out of order")
	}
}

func TestTies(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 9, Subscriptions: 400, Ties: 1})
	simultaneous, late, tied := 0, 0, 0
	for id, deliveries := range bySubscription(h) {
		stamps := map[int64]int{}
		var last time.Time
		for _, d := range slices.DeleteFunc(deliveries, func(d stripesim.Delivery) bool { return !isSubscription(d) }) {
			stamps[d.Created.Unix()]++
			if d.Created.Before(last) {
				late++
			}
			last = d.Created
		}
		if slices.Max(slices.Collect(maps.Values(stamps))) > 1 {
			simultaneous++
		}
		if h.Truth["test:platform:"+id].Tied {
			tied++
		}
	}
	if simultaneous < 380 || tied < 150 || late < 3 || h.Tied() != tied {
		t.Errorf("of 400: %d with several events in a second, %d tied (%d), %d stamps that go back", simultaneous, tied, h.Tied(), late)
	}
}

func TestUserIDs(t *testing.T) {
	t.Parallel()
	for _, wanted := range []bool{true, false} {
		h := stripesim.Generate(stripesim.Config{Seed: 4, Subscriptions: 100, UserIDs: wanted})
		named := 0
		for _, truth := range h.Truth {
			if truth.Subscription.UserID != "" {
				named++
			}
		}
		if wanted != (named > 20) || named > 80 {
			t.Errorf("UserIDs %v: %d of 100 subscriptions name one", wanted, named)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	few := stripesim.Generate(stripesim.Config{Seed: 4, Subscriptions: 30})
	versions := map[string]bool{}
	for _, d := range few.Deliveries {
		versions[d.APIVersion] = true
	}
	if len(versions) != len(stripesim.Versions()) {
		t.Errorf("got %d versions in 30 subscriptions, want %d", len(versions), len(stripesim.Versions()))
	}
	for _, version := range stripesim.Versions() {
		one := stripesim.Generate(stripesim.Config{Seed: 4, Subscriptions: 30, APIVersions: []string{version}})
		for _, d := range one.Deliveries {
			if got := parse(t, d).APIVersion; got != version || d.APIVersion != version {
				t.Fatalf("got %s, want %s", got, version)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("want a panic for an unknown version")
		}
	}()
	stripesim.Generate(stripesim.Config{APIVersions: []string{"1999-12-31"}})
}

// TestLayout checks that the bytes look like Stripe's.
func TestLayout(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 6, Subscriptions: 40})
	for _, d := range h.Deliveries {
		var indented bytes.Buffer
		if err := json.Indent(&indented, d.Body, "", "  "); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(indented.String(), string(d.Body)); diff != "" {
			t.Fatalf("%s (-indented +got):\n%s", d.Type, diff)
		}
		head := "{\n  \"id\": \"" + d.ID + "\",\n  \"object\": \"event\",\n  \"api_version\": \"" + d.APIVersion + "\",\n  \"created\": "
		tail := ",\n  \"type\": \"" + d.Type + "\"\n}"
		if body := string(d.Body); !strings.HasPrefix(body, head) || !strings.HasSuffix(body, tail) {
			t.Errorf("got %s", body)
		}
	}
}

func TestWriteTruth(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 8, Subscriptions: 20, Ties: 0.5})
	var out bytes.Buffer
	if err := h.WriteTruth(&out); err != nil {
		t.Fatal(err)
	}
	var file struct{ Subscriptions map[string]stripesim.Truth }
	if err := json.Unmarshal(out.Bytes(), &file); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h.Truth, file.Subscriptions); diff != "" {
		t.Errorf("truth (-want +got):\n%s", diff)
	}
}
