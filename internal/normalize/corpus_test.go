package normalize_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/test/corpus"
)

// recorded is a recorded event, decoded without the code under test.
type recorded struct {
	Type     string
	Livemode any
	Data     struct{ Object json.RawMessage }
}

type recordedSubscription struct {
	ID       string
	Customer json.RawMessage
	Status   string
	Items    json.RawMessage
	Plan     *recordedPrice
}

type recordedPrice struct {
	ID         string
	Currency   string
	Amount     *int64
	UnitAmount *int64 `json:"unit_amount"`
}

func TestRecordedEvents(t *testing.T) {
	t.Parallel()
	n := normalizer(t, options())
	for i, file := range corpus.Load(t) {
		t.Run(file.Name, func(t *testing.T) {
			t.Parallel()
			for _, raw := range [][]byte{file.Raw, corpus.Fresh(file.Raw, i)} {
				m, err := n.Event(raw, receipt())
				if err != nil {
					t.Fatalf("Event: %v", err)
				}
				roundTrip(t, m)
				checkRecorded(t, raw, m)
			}
		})
	}
}

func checkRecorded(t *testing.T, raw []byte, m events.Message) {
	t.Helper()
	var event recorded
	if err := json.Unmarshal(raw, &event); err != nil {
		t.Fatal(err)
	}
	var sub recordedSubscription
	word, isSubscription := strings.CutPrefix(event.Type, "customer.subscription.")
	if isSubscription {
		if err := json.Unmarshal(event.Data.Object, &sub); err != nil {
			t.Fatal(err)
		}
	}
	if !isSubscription || sub.ID == "" {
		if want := "stripe." + event.Type; m.Type != want || m.Data.Subscription != nil {
			t.Errorf("got subject %s, want %s without a subscription", m.Type, want)
		}
		return
	}
	if want := "subscription." + strings.Replace(word, "deleted", "canceled", 1); m.Type != want {
		t.Errorf("got subject %s, want %s", m.Type, want)
	}
	checkSubscription(t, sub, m.Data.Subscription)
	if len(m.Data.Warnings) > 0 {
		t.Errorf("got warnings %q, want none", m.Data.Warnings)
	}
	refs := normalize.References(m.Data.Event)
	if refs.SubscriptionID != sub.ID || refs.CustomerID != m.Data.Subscription.CustomerID {
		t.Errorf("got references %+v, want those of %s", refs, sub.ID)
	}
}

func checkSubscription(t *testing.T, want recordedSubscription, got *events.Subscription) {
	t.Helper()
	if got.ID != want.ID || got.Status != want.Status || got.CustomerID == "" {
		t.Errorf("got %s of %q, %s, want %s, %s", got.ID, got.CustomerID, got.Status, want.ID, want.Status)
	}
	if got.CurrentPeriodStart.IsZero() || got.CurrentPeriodEnd.Before(got.CurrentPeriodStart) {
		t.Errorf("got a period from %s to %s", got.CurrentPeriodStart, got.CurrentPeriodEnd)
	}
	checkDates(t, got)
	prices := pricesOf(t, want)
	if len(prices) != len(got.Items) || len(prices) == 0 {
		t.Fatalf("got %d items, want %d", len(got.Items), len(prices))
	}
	if got.Currency == "" && prices[0].Currency != "" {
		t.Errorf("got no currency, want %s", prices[0].Currency)
	}
	for i, price := range prices {
		amount := price.UnitAmount
		if amount == nil {
			amount = price.Amount
		}
		if item := got.Items[i]; item.PriceID != price.ID || (amount != nil) != (item.UnitAmount != nil) || amount != nil && *amount != *item.UnitAmount {
			t.Errorf("item %d: got %+v, want %+v", i, item, price)
		}
	}
}

// checkDates finds dates that were made from zero values.
func checkDates(t *testing.T, s *events.Subscription) {
	t.Helper()
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, year := range []string{`"0001-`, `"1969-`, `"1970-`} {
		if strings.Contains(string(encoded), year) {
			t.Errorf("got a date that begins with %s: %s", year, encoded)
		}
	}
	if s.CurrentPeriodEnd.After(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got a period that ends at %s", s.CurrentPeriodEnd)
	}
}

// pricesOf returns the price of each item, or the plan if there are no items.
func pricesOf(t *testing.T, sub recordedSubscription) []recordedPrice {
	t.Helper()
	type item struct{ Price, Plan *recordedPrice }
	var page struct{ Data []item }
	if json.Unmarshal(sub.Items, &page) != nil {
		_ = json.Unmarshal(sub.Items, &page.Data)
	}
	var prices []recordedPrice
	for _, each := range page.Data {
		price := each.Price
		if price == nil || price.UnitAmount == nil && each.Plan != nil {
			price = each.Plan
		}
		prices = append(prices, *price)
	}
	if prices == nil && sub.Plan != nil {
		prices = []recordedPrice{*sub.Plan}
	}
	return prices
}
