package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/billbus/billbus/events"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// message returns the smallest valid message.
func message() events.Message {
	return events.Message{
		SpecVersion: events.SpecVersion, ID: "evt_1", Source: "/stripe/platform/test", Type: "subscription.updated",
		Time: at("2026-01-01T00:00:00Z"), DataContentType: events.DataContentType,
		StripeType: "customer.subscription.updated",
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Subscription: &events.Subscription{ID: "sub_1"}, Origin: events.OriginWebhook,
		},
	}
}

// fullMessage has a value in every field.
func fullMessage() events.Message {
	day := func(n int) time.Time { return at("2026-01-01T00:00:00Z").AddDate(0, 0, n) }
	sub := &events.Subscription{
		ID: "sub_1", UserID: "user 7", CustomerID: "cus_1", CustomerAccountID: "acct_c", AccountID: "acct_1", Livemode: true,
		Status: "active", Access: "granted", EndsAt: day(30), Currency: "eur", CollectionMethod: "charge_automatically",
		Created: day(-40), StartDate: day(-39), CurrentPeriodStart: day(0), CurrentPeriodEnd: day(30), BillingCycleAnchor: day(1),
		BillingMode: &events.BillingMode{
			Type: "flexible", Flexible: &events.BillingModeFlexible{ProrationDiscounts: "itemized"}, UpdatedAt: day(2),
		},
		TrialStart: day(-38), TrialEnd: day(-30), TrialEndBehavior: "pause",
		CancelAt: day(30), CancelAtPeriodEnd: new(true), CanceledAt: day(3), EndedAt: day(31),
		CancellationDetails: &events.CancellationDetails{Reason: "cancellation_requested", Feedback: "other", FeedbackOptionID: "fbo_1", Comment: "5 < 6 & \"so\" \u2028"},
		PauseCollection:     &events.PauseCollection{Behavior: "void", ResumesAt: day(4)},
		StatusDetails: &events.StatusDetails{Paused: &events.PausedDetails{
			Type: "subscription", TransitionedAt: day(5), Subscription: &events.PausedSubscription{Type: "trial_end_without_payment_method"},
		}},
		DefaultPaymentMethodID: "pm_1", DefaultSourceID: "src_1", LatestInvoiceID: "in_1", ScheduleID: "sub_sched_1",
		PendingUpdate: &events.PendingUpdate{
			ExpiresAt: day(6), BillingCycleAnchor: day(12), CancelAtPeriodEnd: new(true), TrialEnd: day(13), TrialFromPlan: new(false),
			Metadata: map[string]string{"k": "v"}, Discounts: fullDiscounts(day), SubscriptionItems: fullItems(day),
		},
		TestClockID: "clock_1", DaysUntilDue: new(int64(0)),
		BillingThresholds: &events.BillingThresholds{AmountGTE: new(int64(100000)), ResetBillingCycleAnchor: new(false)},
		InvoiceSettings: &events.InvoiceSettings{
			AccountTaxIDs: []string{"atxi_1"}, CustomFields: []events.InvoiceCustomField{{Name: "Order", Value: "7"}},
			Description: "Thanks", Footer: "Bank", Issuer: &events.InvoiceIssuer{Type: "account", AccountID: "acct_2"},
		},
		OnBehalfOfID: "acct_2", TransferData: &events.TransferData{DestinationID: "acct_3", AmountPercent: "90.5"},
		ApplicationFeePercent: "2.5", DefaultTaxRates: []string{"txr_1", "txr_2"},
		Description: "Größe <b>", Metadata: map[string]string{"user_id": "user 7", "a.b$c": "", "": "empty key"},
		Discounts: fullDiscounts(day), ItemsTruncated: true, Items: fullItems(day),
	}
	return events.Message{
		SpecVersion: events.SpecVersion, ID: "evt_1", Source: "/stripe/acct_1/live", Type: "subscription.updated", Subject: "sub_1",
		Time: day(0), DataContentType: events.DataContentType,
		StripeType: "customer.subscription.updated", StripeAPIVersion: "2025-09-30.clover", StripeAccount: "acct_1", StripeEndpoint: "main",
		Livemode: true,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Subscription: sub,
			Changes:  []events.Change{events.ChangeRenewed},
			Previous: &events.Previous{Fields: []string{"status", "cancel_at", "items"}, Values: events.Subscription{Status: "past_due", Items: sub.Items}},
			Identity: &events.Identity{UserID: "user 7", Source: events.IdentitySubscriptionMetadata, CustomerID: "cus_1", CustomerAccountID: "acct_c", SubscriptionID: "sub_1"},
			Invoice:  fullInvoice(day), CheckoutSession: fullSession(day), Customer: fullCustomer(day),
			Discount: &events.CustomerDiscount{Discount: sub.Discounts[0], CustomerID: "cus_1", CustomerAccountID: "acct_c", SubscriptionID: "sub_1"},
			Product:  fullProduct(day), Price: fullPrice(day),
			Entitlements: &events.Entitlements{CustomerID: "cus_1", Features: []events.Feature{{FeatureID: "feat_1", LookupKey: "sso"}}, Truncated: true},
			Access:       fullAccess(day), PreviousAccess: fullAccess(day),
			Event:        json.RawMessage(`{"id":"evt_1","big":12345678901234567890.10,"text":"<&>\u00e9\ud83d\ude00"}`),
			EventOmitted: events.OmittedSize, EventSHA256: strings.Repeat("ab", 32),
			Redactions: []string{"data.object.client_secret"}, Warnings: []string{"items.data[0].quantity: not an integer"},
			Ignored: events.IgnoredLivemode, Normalizer: 1, RereadAt: day(13), Overlap: true, Origin: events.OriginWebhook,
			Object: json.RawMessage(`{"id":"sub_1"}`), ReadAt: day(12), Reason: events.ReasonThin, BecauseOf: "evt_2", Resolving: events.ReasonItemsTruncated,
			ReceivedAt: at("2026-01-01T00:00:00.123Z"),
		},
	}
}

func fullDiscounts(day func(int) time.Time) []events.Discount {
	return []events.Discount{{
		ID: "di_1", CouponID: "co_1", PromotionCodeID: "promo_1", PercentOff: "12.5", AmountOff: new(int64(250)),
		Currency: "eur", Start: day(7), End: day(8),
	}}
}

func fullItems(day func(int) time.Time) []events.Item {
	return []events.Item{{
		ID: "si_1", PriceID: "price_1", ProductID: "prod_1", ProductName: "Gold plan", LookupKey: "gold", Nickname: "Gold", Quantity: new(int64(0)),
		UnitAmount: new(int64(9007199254740993)), UnitAmountDecimal: "0.000000000001", BillingScheme: "tiered", TiersMode: "graduated",
		TransformQuantity: &events.TransformQuantity{DivideBy: new(int64(10)), Round: "up"},
		Currency:          "eur", Interval: "month", IntervalCount: new(int64(3)), UsageType: "licensed", MeterID: "mtr_1", TaxBehavior: "exclusive",
		Created: day(9), CurrentPeriodStart: day(10), CurrentPeriodEnd: day(11),
		CurrentTrial:      &events.CurrentTrial{TrialOfferID: "tro_1", Start: day(14), End: day(15)},
		BillingThresholds: &events.ItemBillingThresholds{UsageGTE: new(int64(1000))},
		TaxRates:          []string{"txr_3"}, Discounts: fullDiscounts(day), Metadata: map[string]string{"k": "v"},
	}}
}

func fullInvoice(day func(int) time.Time) *events.Invoice {
	return &events.Invoice{
		ID: "in_1", Number: "A-1", AccountID: "acct_1", Livemode: true, CustomerID: "cus_1", CustomerAccountID: "acct_c", CustomerEmail: "a@example.com",
		SubscriptionID: "sub_1", Status: "open", BillingReason: "subscription_cycle", CollectionMethod: "send_invoice", Currency: "eur",
		AmountDue: new(int64(900)), AmountPaid: new(int64(0)), AmountRemaining: new(int64(900)), Subtotal: new(int64(800)), Total: new(int64(900)),
		AttemptCount: new(int64(2)), NextPaymentAttempt: day(1), DueDate: day(2), PeriodStart: day(-30), PeriodEnd: day(0), Created: day(0),
		HostedInvoiceURL: "https://invoice.example/1", InvoicePDF: "https://invoice.example/1.pdf",
		Metadata: map[string]string{"k": "v"}, SubscriptionMetadata: map[string]string{"user_id": "user 7"},
	}
}

func fullSession(day func(int) time.Time) *events.CheckoutSession {
	return &events.CheckoutSession{
		ID: "cs_1", AccountID: "acct_1", Livemode: true, Mode: "subscription", Status: "complete", PaymentStatus: "paid",
		CustomerID: "cus_1", CustomerAccountID: "acct_c", CustomerEmail: "a@example.com", SubscriptionID: "sub_1", ClientReferenceID: "user 7",
		PaymentLinkID: "plink_1", Created: day(0), Metadata: map[string]string{"k": "v"},
	}
}

func fullCustomer(day func(int) time.Time) *events.Customer {
	return &events.Customer{
		ID: "cus_1", CustomerAccountID: "acct_c", AccountID: "acct_1", Livemode: true, Email: "a@example.com", Name: "A", Deleted: true, Created: day(0),
		Metadata: map[string]string{"k": "v"},
	}
}

func fullProduct(day func(int) time.Time) *events.Product {
	return &events.Product{
		ID: "prod_1", AccountID: "acct_1", Livemode: true, Name: "Gold", Description: "All of it", Active: new(true),
		DefaultPriceID: "price_1", Deleted: true, Created: day(0), Metadata: map[string]string{"k": "v"},
	}
}

func fullAccess(day func(int) time.Time) *events.AccessDocument {
	return &events.AccessDocument{
		Access: "granted", SubscriptionID: "sub_1", Since: day(0), Until: day(30), Subscriptions: []string{"sub_1"},
		Products: []events.AccessProduct{{ProductID: "prod_1", PriceID: "price_1", Quantity: new(int64(3)), ProductName: "Pro", Nickname: "monthly", LookupKey: "pro", SubscriptionID: "sub_1", Access: "granted"}},
		Features: []string{"export"}, UserID: "user 7", CustomerIDs: []string{"cus_1"}, Explanation: "because", Ambiguous: true, Revision: 2, UpdatedAt: day(1),
	}
}

func fullPrice(day func(int) time.Time) *events.Price {
	return &events.Price{
		ID: "price_1", AccountID: "acct_1", Livemode: true, ProductID: "prod_1", Active: new(true), Type: "recurring",
		LookupKey: "gold", Nickname: "Gold", Currency: "eur", UnitAmount: new(int64(900)), UnitAmountDecimal: "900",
		BillingScheme: "per_unit", TiersMode: "volume", TransformQuantity: &events.TransformQuantity{DivideBy: new(int64(10)), Round: "up"},
		Interval: "month", IntervalCount: new(int64(1)), UsageType: "licensed", MeterID: "mtr_1", TaxBehavior: "exclusive",
		Deleted: true, Created: day(0), Metadata: map[string]string{"k": "v"},
	}
}

func TestEncodeGolden(t *testing.T) {
	t.Parallel()
	m := fullMessage()
	if field := firstZero(reflect.ValueOf(m)); field != "" {
		t.Fatalf("the golden message has no value in %s: give it one", field)
	}
	encoded, err := events.Encode(m)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, append(encoded, '\n'), "", "  "); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "message.golden.json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("differs from %s (rewrite it with -update):\n%s", path, diff)
	}
}

// firstZero returns the path of a field without a value, at any depth.
func firstZero(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type().Elem().Kind() == reflect.Struct && !v.IsNil() {
			return firstZero(v.Elem())
		}
	case reflect.Slice:
		if v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct {
			return firstZero(v.Index(0))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() || v.Type() == reflect.TypeFor[events.Previous]() {
			break
		}
		for i := range v.NumField() {
			if name := firstZero(v.Field(i)); name != "" {
				return v.Type().Name() + "." + v.Type().Field(i).Name
			}
		}
		return ""
	}
	if v.IsZero() {
		return v.Type().Name() + " value"
	}
	return ""
}

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]events.Message{"full": fullMessage(), "least": message()} {
		encoded, err := events.Encode(m)
		if err != nil {
			t.Fatalf("%s: Encode: %v", name, err)
		}
		got, err := events.Decode(encoded)
		if err != nil {
			t.Fatalf("%s: Decode: %v", name, err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("%s: Decode(Encode(m)) (-want +got):\n%s", name, diff)
		}
	}
}

func TestEncodeKeepsCharactersAndBytesOfTheEvent(t *testing.T) {
	t.Parallel()
	m := message()
	m.Data.Event = json.RawMessage(`{"n":1.10e+2,"s":"\u003c\/é"}`)
	m.Data.Subscription.Description = "<a href=\"x\">&\u2028"
	got, err := events.Encode(m)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	for _, want := range []string{`"event":{"n":1.10e+2,"s":"\u003c\/é"}`, `<a href=\"x\">&`} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("got %s, want it to contain %s", got, want)
		}
	}
	if bytes.HasSuffix(got, []byte("\n")) {
		t.Error("got a line break at the end")
	}
}

// Encode appends the event itself; encoding/json would write the same.
func TestEncodeWritesWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]events.Message{"full": fullMessage(), "least": message()} {
		for _, event := range []string{
			"", `null`, `{}`, ` [ ] `, `"x"`, "{\"a\" :\n1 }\n", `{"s":"<a href=\"x\">& \u2028 {\"a\" : 1}"}`, "{\"s\":\"\u2028\u2029é\"}", `{"a":1,"a":2,"n":1.10e+2}`,
		} {
			m.Data.Event = json.RawMessage(event)
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(m); err != nil {
				t.Fatal(err)
			}
			got, err := events.Encode(m)
			if diff := cmp.Diff(strings.TrimSuffix(want.String(), "\n"), string(got)); err != nil || diff != "" {
				t.Errorf("%s, event %s: %v (-want +got):\n%s", name, event, err, diff)
			}
		}
	}
}

func TestDecodeIgnoresUnknownFields(t *testing.T) {
	t.Parallel()
	payload := strings.Replace(encoded(t, message()), `"data":{`, `"later":{"x":[1]},"data":{"later":"y",`, 1)
	if _, err := events.Decode([]byte(payload)); err != nil {
		t.Errorf("Decode: %v", err)
	}
}

func encoded(t testing.TB, m events.Message) string {
	t.Helper()
	b, err := events.Encode(m)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	return string(b)
}

func TestValidateNamesEachFault(t *testing.T) {
	t.Parallel()
	if err := message().Validate(); err != nil {
		t.Fatalf("Validate of the least message: %v", err)
	}
	cases := map[string]struct {
		alter func(*events.Message)
		want  string
	}{
		"no specversion":          {func(m *events.Message) { m.SpecVersion = "" }, "specversion is not 1.0"},
		"other specversion":       {func(m *events.Message) { m.SpecVersion = "0.3" }, "specversion is not 1.0"},
		"no id":                   {func(m *events.Message) { m.ID = "" }, "id is missing"},
		"source of other mode":    {func(m *events.Message) { m.Livemode = true }, "source does not name the account and mode"},
		"source of other account": {func(m *events.Message) { m.StripeAccount = "acct_1" }, "source does not name the account and mode"},
		"no type":                 {func(m *events.Message) { m.Type = "" }, "type is missing or not a subject"},
		"type with wildcard":      {func(m *events.Message) { m.Type = "stripe.>" }, "type is missing or not a subject"},
		"type with spaces":        {func(m *events.Message) { m.Type = "stripe.a person" }, "type is missing or not a subject"},
		"no time":                 {func(m *events.Message) { m.Time = time.Time{} }, "time is missing"},
		"no schema version":       {func(m *events.Message) { m.Data.SchemaVersion = 0 }, "data.schema_version is missing"},
		"negative schema version": {func(m *events.Message) { m.Data.SchemaVersion = -1 }, "data.schema_version is missing"},
		"newer schema version":    {func(m *events.Message) { m.Data.SchemaVersion = 2 }, "data.schema_version is newer than 1: upgrade this program"},
		"no origin":               {func(m *events.Message) { m.Data.Origin = "" }, "data.origin is missing"},
		"no subscription":         {func(m *events.Message) { m.Data.Subscription = nil }, "data.subscription is missing"},
		"subscription without id": {func(m *events.Message) { m.Data.Subscription.ID = "" }, "data.subscription.id is missing"},
		"subscription without id elsewhere": {func(m *events.Message) {
			m.Type, m.Data.Subscription.ID = "stripe.customer.subscription.updated", ""
		}, "data.subscription.id is missing"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message()
			tt.alter(&m)
			want := "not a message of this contract: " + tt.want
			if got := errorText(m.Validate()); got != want {
				t.Errorf("Validate: got %q, want %q", got, want)
			}
			if _, err := events.Encode(m); errorText(err) != want {
				t.Errorf("Encode: got %q, want %q", errorText(err), want)
			}
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := events.Decode(raw); errorText(err) != "decoding message: "+want {
				t.Errorf("Decode: got %q, want %q", errorText(err), "decoding message: "+want)
			}
		})
	}
	want := "not a message of this contract: specversion is not 1.0; id is missing; source does not name the account and mode; " +
		"type is missing or not a subject; time is missing; data.schema_version is missing; data.origin is missing"
	if got := errorText((events.Message{}).Validate()); got != want {
		t.Errorf("Validate of nothing: got %q, want %q", got, want)
	}
	other := message()
	other.Type, other.Data.Subscription = "stripe.invoice.paid", nil
	if err := other.Validate(); err != nil {
		t.Errorf("a message on stripe.> without subscription: %v", err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestDecodeRefusesWithoutQuoting(t *testing.T) {
	t.Parallel()
	const secret = "SECRETVALUE"
	whole := encoded(t, message())
	with := func(old, replacement string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("%s is not in %s", old, whole)
		}
		return strings.Replace(whole, old, replacement, 1)
	}
	cases := map[string]struct{ payload, want string }{
		"empty":         {``, "decoding message: invalid JSON at byte 0"},
		"not JSON":      {secret, "decoding message: invalid JSON at byte 1"},
		"cut off":       {whole[:len(whole)-1], "decoding message: invalid JSON at byte "},
		"text after it": {whole + secret, "decoding message: invalid JSON at byte "},
		"null":          {`null`, "decoding message: not a message of this contract: "},
		"odd previous item": {
			with(`"data":{`, `"data":{"previous":{"items":[{},{"quantity":"`+secret+`"}]},`), `decoding message: field "data.previous.items.quantity" cannot be read as int64`,
		},
		"odd previous": {with(`"data":{`, `"data":{"previous":["`+secret+`"],`), `decoding message: field "data.previous" cannot be read as events.object`},
		"an array":     {`["` + secret + `"]`, `decoding message: field "" cannot be read as events.Message`},
		"not UTF-8":    {with("sub_1", "sub_1\xff"), "decoding message: payload is not UTF-8"},
		"wrong type": {
			with(`"id":"sub_1"`, `"id":{"`+secret+`":1}`), `decoding message: field "data.subscription.id" cannot be read as string`,
		},
		"number out of range": {
			with(`"schema_version":1`, `"schema_version":99999999999999999999`), `decoding message: field "data.schema_version" cannot be read as int`,
		},
		"odd value under a hostile key": {
			with(`"id":"sub_1"`, `"id":"sub_1","metadata":{"`+secret+`":1}`), `decoding message: field "data.subscription.metadata" cannot be read as string`,
		},
		"invalid time": {
			with(`"2026-01-01T00:00:00Z"`, `"`+secret+`"`), "decoding message: invalid value, or a time outside the years 0 to 9999",
		},
		"source of another account": {
			with("/stripe/platform/test", "/stripe/"+secret+"/test"), "decoding message: not a message of this contract: source does not name",
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := events.Decode([]byte(tt.payload))
			got := errorText(err)
			if !strings.HasPrefix(got, tt.want) || strings.Contains(got, secret) {
				t.Errorf("got error %q, want %q and nothing of the payload", got, tt.want)
			}
			if diff := cmp.Diff(events.Message{}, m); diff != "" {
				t.Errorf("got a message and an error:\n%s", diff)
			}
		})
	}
}

func TestEncodeRefusesWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	m := message()
	m.Data.Event = json.RawMessage(`Ω{`)
	_, err := events.Encode(m)
	if got, want := errorText(err), "encoding message: invalid JSON at byte "; !strings.HasPrefix(got, want) {
		t.Errorf("event that is no JSON: got %q, want %q", got, want)
	}
	m = message()
	m.Time = m.Time.AddDate(10_000, 0, 0)
	_, err = events.Encode(m)
	if got, want := errorText(err), "encoding message: invalid value, or a time outside the years 0 to 9999"; got != want {
		t.Errorf("time after the year 9999: got %q, want %q", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(encoded(f, fullMessage())))
	f.Add([]byte(encoded(f, message())))
	f.Add([]byte(`{"specversion":"1.0","time":"0000-01-01T00:00:00+01:00","data":{"event": {"a" : [1e999]},"metadata":{}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := events.Decode(payload)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := events.Encode(m)
		if err != nil {
			t.Fatalf("Encode of what was decoded: %v", err)
		}
		got, err := events.Decode(again)
		if err != nil {
			t.Fatalf("Decode of what was encoded again: %v", err)
		}
		if diff := cmp.Diff(m, got, cmpopts.EquateEmpty(), cmp.FilterValues(notEmpty, cmp.Comparer(sameJSON))); diff != "" {
			t.Fatalf("encoding again changes it (-first +second):\n%s", diff)
		}
	})
}

func notEmpty(a, b json.RawMessage) bool { return len(a) > 0 && len(b) > 0 }

// sameJSON compares without whitespace, which encoding removes.
func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
