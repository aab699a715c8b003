package mongostore_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fullEntry returns an entry with a value in every field.
func fullEntry(t *testing.T) store.Entry {
	t.Helper()
	return store.Entry{
		Message: storetest.FullMessage(t),
		References: events.References{
			ObjectID: "sub_1", SubscriptionID: "sub_1", CustomerID: "cus_1", CustomerAccountID: "acct_c",
			NamedIDs: []string{"sub_2"}, RelatedIDs: []string{"in_1"}, RequestID: "req_1", IdempotencyKey: "key_1",
		},
		Position: store.Position{StreamSequence: 1 << 40, StoredAt: now()},
	}
}

func TestCommitWritesEveryField(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		entry := fullEntry(t)
		if diff := cmp.Diff([]store.Effect{store.Applied}, commit(t, db.open(t, nil), entry)); diff != "" {
			t.Fatalf("effect (-want +got):\n%s", diff)
		}
		record := db.raw(t, mongostore.Subscriptions, "live:acct_1:sub_1")
		golden(t, "record.golden.json", record)
		has(t, record, "_id",
			"subscription_id", "user_id", "customer_id", "customer_account_id", "account_id", "livemode", "status", "access", "ends_at",
			"currency", "collection_method", "created", "start_date", "current_period_start", "current_period_end", "billing_cycle_anchor",
			"billing_mode", "trial_start", "trial_end", "trial_end_behavior", "cancel_at", "cancel_at_period_end", "canceled_at", "ended_at",
			"cancellation_details.reason", "cancellation_details.feedback", "cancellation_details.feedback_option_id", "cancellation_details.comment",
			"pause_collection.behavior", "pause_collection.resumes_at", "status_details",
			"default_payment_method_id", "default_source_id", "latest_invoice_id", "schedule_id",
			"pending_update.expires_at", "pending_update.cancel_at_period_end", "pending_update.metadata.0.k", "pending_update.discounts.0.id",
			"pending_update.subscription_items.0.price_id", "pending_update.subscription_items.0.tax_rates.0",
			"test_clock_id", "days_until_due", "billing_thresholds.amount_gte",
			"invoice_settings.account_tax_ids.0", "invoice_settings.custom_fields.0.name", "invoice_settings.issuer.account_id",
			"on_behalf_of_id", "transfer_data.destination_id", "transfer_data.amount_percent", "application_fee_percent", "default_tax_rates.1",
			"description", "metadata.0.k", "metadata.0.v",
			"discounts.0.id", "discounts.0.coupon_id", "discounts.0.promotion_code_id", "discounts.0.percent_off", "discounts.0.amount_off",
			"discounts.0.currency", "discounts.0.start", "discounts.0.end", "items_truncated",
			"items.0.id", "items.0.price_id", "items.0.product_id", "items.0.lookup_key", "items.0.nickname", "items.0.quantity",
			"items.0.unit_amount", "items.0.unit_amount_decimal", "items.0.billing_scheme", "items.0.tiers_mode", "items.0.transform_quantity",
			"items.0.currency", "items.0.interval", "items.0.interval_count", "items.0.usage_type", "items.0.meter_id", "items.0.tax_behavior",
			"items.0.created", "items.0.current_period_start", "items.0.current_period_end", "items.0.current_trial.trial_offer_id",
			"items.0.billing_thresholds.usage_gte", "items.0.tax_rates.0", "items.0.discounts.0.id", "items.0.metadata.0.k",
			"user_id_source", "version.event_id", "version.event_type", "version.event_created", "version.terminal", "version.n", "version.rule",
			"version.known.0", "ordering", "explanation", "first_seen_at", "updated_at",
		)
		isDate(t, record, "ends_at", "created", "start_date", "current_period_start", "current_period_end", "billing_cycle_anchor",
			"billing_mode.updated_at", "trial_start", "trial_end", "cancel_at", "canceled_at", "ended_at", "pause_collection.resumes_at",
			"status_details.paused.transitioned_at", "pending_update.expires_at", "pending_update.trial_end", "discounts.0.start", "discounts.0.end",
			"items.0.created", "items.0.current_period_start", "items.0.current_period_end", "items.0.current_trial.end",
			"version.event_created", "version.known.0.moment", "first_seen_at", "updated_at")
		got := map[string]string{}
		for _, pair := range decoded(t, record)["metadata"].(bson.A) {
			got[pair.(bson.M)["k"].(string)] = pair.(bson.M)["v"].(string)
		}
		if diff := cmp.Diff(entry.Data.Subscription.Metadata, got); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}

		audit := db.raw(t, mongostore.WebhookEvents, "live:acct_1:evt_1")
		golden(t, "audit.golden.json", audit)
		has(t, audit, "_id", "event_id", "type", "created", "api_version", "livemode", "account_id", "endpoint", "object_id", "subscription_id",
			"customer_id", "customer_account_id", "named_ids.0", "related_ids.0", "request_id", "idempotency_key", "received_at", "stored_at", "stream_sequence", "payload", "message", "event_sha256",
			"redactions", "origin", "subscription_key", "terminal")
		isDate(t, audit, "created", "received_at", "stored_at")
		if got, want := audit.Lookup("payload").StringValue(), string(entry.Data.Event); got != want {
			t.Errorf("payload: got %s, want %s", got, want)
		}
		if got, want := audit.Lookup("message").StringValue(), dataWithoutEvent(t, entry.Message); got != want {
			t.Errorf("message: got %s, want %s", got, want)
		}
	})
}

// dataWithoutEvent returns the data as it is in the stream, without what payload holds.
func dataWithoutEvent(t *testing.T, m events.Message) string {
	t.Helper()
	m.Data.Event, m.Data.Object = nil, nil
	raw, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	_, data, _ := strings.Cut(string(raw), `"data":`)
	return strings.TrimSuffix(data, "}")
}

func lookup(doc bson.Raw, path string) (bson.RawValue, error) {
	return doc.LookupErr(strings.Split(path, ".")...)
}

func has(t *testing.T, doc bson.Raw, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := lookup(doc, path); err != nil {
			t.Errorf("there is no %s", path)
		}
	}
}

func isDate(t *testing.T, doc bson.Raw, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if v, err := lookup(doc, path); err != nil || v.Type != bson.TypeDateTime {
			t.Errorf("%s: got %v, want a date", path, v)
		}
	}
}

func golden(t *testing.T, name string, doc bson.Raw) {
	t.Helper()
	got, err := bson.MarshalExtJSONIndent(doc, false, false, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(bytes.TrimSpace(got), '\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("differs from %s (rewrite it with -update):\n%s", path, diff)
	}
}

func TestCommitLeavesOutWhatIsNotSet(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		commit(t, s, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
		record := db.record(t, "sub_1")
		want := []string{
			"_id", "access", "explanation", "first_seen_at", "livemode", "ordering", "status", "subscription_id", "updated_at", "version",
		}
		if diff := cmp.Diff(want, keys(record)); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		invoice := store.Entry{Message: events.Message{
			SpecVersion: events.SpecVersion, ID: "evt_2", Source: events.Source(false, ""), Type: "stripe.invoice.paid",
			Time: now(), DataContentType: events.DataContentType, StripeType: "invoice.paid",
			Data: events.Data{SchemaVersion: events.SchemaVersion, Origin: events.OriginWebhook},
		}}
		commit(t, s, invoice)
		audit := db.find(t, mongostore.WebhookEvents, "test:platform:evt_2")
		want = []string{
			"_id", "created", "event_id", "livemode", "message", "origin", "received_at", "stored_at", "stream_sequence", "terminal", "type",
		}
		if diff := cmp.Diff(want, keys(audit)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}
