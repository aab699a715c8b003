package normalize_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/corpus"
)

// The tables of these tests were written by hand, from the payloads of the
// recorded events and the contract, and not from the normalizer's output. If a
// test fails, check the payload.

// span is a start and an end in Unix seconds.
type span [2]int64

// readSubscription has the main fields of a subscription event. Times are in Unix
// seconds, or 0 if not set.
type readSubscription struct {
	// NoID is set for an event whose object has no id. The message then has no
	// subscription.
	NoID                                  bool
	ID, Customer, Account, User           string
	Live                                  bool
	Status, Access                        string
	Created, StartDate                    int64
	Period, Trial                         span
	CancelAt, CanceledAt, EndedAt, EndsAt int64
	AtPeriodEnd                           bool // every recorded event has it
	Currency, Collection                  string
	Invoice, PaymentMethod, Pause         string
	Discounts                             string   // in the format of readDiscounts
	Items                                 []string // in the format of readItem
	Changes                               string   // separated by spaces
}

func TestRecordedSubscriptions(t *testing.T) {
	t.Parallel()
	table := map[string]readSubscription{}
	for name, want := range recordedSubscriptions {
		want.Changes = ""
		table[name] = want
	}
	checkTable(t, table, ofTypes("customer.subscription."), func(t *testing.T, m events.Message) readSubscription {
		if m.Data.Subscription == nil {
			return readSubscription{NoID: true}
		}
		return readCore(t, m)
	})
}

func TestRecordedChanges(t *testing.T) {
	t.Parallel()
	table := map[string]string{}
	for name, want := range recordedSubscriptions {
		table[name] = want.Changes
	}
	checkTable(t, table, ofTypes("customer.subscription."), func(_ *testing.T, m events.Message) string {
		words := make([]string, len(m.Data.Changes))
		for i, word := range m.Data.Changes {
			words[i] = string(word)
		}
		return strings.Join(words, " ")
	})
}

// ofTypes returns a function that matches event types. A type that ends in a dot
// matches all types with that prefix.
func ofTypes(types ...string) func(string) bool {
	return func(eventType string) bool {
		return slices.ContainsFunc(types, func(each string) bool {
			return eventType == each || strings.HasSuffix(each, ".") && strings.HasPrefix(eventType, each)
		})
	}
}

// checkTable compares what read returns for each recorded event of a kind with a
// table by file name. The table must be complete, except for a folder other than
// the default.
func checkTable[T any](t *testing.T, table map[string]T, ofKind func(string) bool, read func(*testing.T, events.Message) T) {
	t.Helper()
	n := normalizer(t, options())
	found, unknown := 0, 0
	for _, file := range corpus.Load(t) {
		if !ofKind(typeOf(t, file)) {
			continue
		}
		want, known := table[file.Name]
		if !known {
			unknown++
			missing(t, file.Name)
			continue
		}
		found++
		t.Run(file.Name, func(t *testing.T) {
			t.Parallel()
			m, err := n.Event(file.Raw, receipt())
			if err != nil {
				t.Fatalf("Event: %v", err)
			}
			if diff := cmp.Diff(want, read(t, m)); diff != "" {
				t.Errorf("differs from the table (-want +got):\n%s", diff)
			}
		})
	}
	switch {
	case otherCorpus():
		t.Logf("%d events compared, %d not in the table", found, unknown)
	case found != len(table):
		t.Errorf("found %d of the %d events in the table", found, len(table))
	}
}

func missing(t *testing.T, name string) {
	t.Helper()
	if !otherCorpus() {
		t.Errorf("%s is not in the table", name)
	}
}

func otherCorpus() bool { return os.Getenv("BILLBUS_CORPUS") != "" }

func typeOf(t *testing.T, file corpus.File) string {
	t.Helper()
	var event struct{ Type string }
	if err := json.Unmarshal(file.Raw, &event); err != nil {
		t.Fatalf("%s: %v", file.Name, err)
	}
	return event.Type
}

func readCore(t *testing.T, m events.Message) readSubscription {
	t.Helper()
	s := m.Data.Subscription
	if s.CancelAtPeriodEnd == nil {
		t.Error("got no cancel_at_period_end")
	}
	sameAccount(t, m, s.AccountID)
	got := readSubscription{
		ID: s.ID, Customer: s.CustomerID, Account: s.AccountID, User: s.UserID, Live: s.Livemode,
		Status: s.Status, Access: s.Access,
		Created: seconds(s.Created), StartDate: seconds(s.StartDate),
		Period:   span{seconds(s.CurrentPeriodStart), seconds(s.CurrentPeriodEnd)},
		Trial:    span{seconds(s.TrialStart), seconds(s.TrialEnd)},
		CancelAt: seconds(s.CancelAt), CanceledAt: seconds(s.CanceledAt),
		EndedAt: seconds(s.EndedAt), EndsAt: seconds(s.EndsAt),
		AtPeriodEnd: s.CancelAtPeriodEnd != nil && *s.CancelAtPeriodEnd,
		Currency:    s.Currency, Collection: s.CollectionMethod,
		Invoice: s.LatestInvoiceID, PaymentMethod: s.DefaultPaymentMethodID,
		Discounts: readDiscounts(s.Discounts),
	}
	if s.PauseCollection != nil {
		got.Pause = s.PauseCollection.Behavior
	}
	for _, item := range s.Items {
		got.Items = append(got.Items, readItem(item))
	}
	return got
}

// readItem formats an item: id, price, product, quantity x unit amount, currency,
// interval, and the item's own period if it has one. An absent value is a dash.
func readItem(i events.Item) string {
	line := fmt.Sprintf("%s %s %s %s x %s %s every %s %s", orDash(i.ID), orDash(i.PriceID), orDash(i.ProductID),
		number(i.Quantity), number(i.UnitAmount), orDash(i.Currency), number(i.IntervalCount), orDash(i.Interval))
	if i.CurrentPeriodStart.IsZero() && i.CurrentPeriodEnd.IsZero() {
		return line
	}
	return fmt.Sprintf("%s %d..%d", line, seconds(i.CurrentPeriodStart), seconds(i.CurrentPeriodEnd))
}

// readDiscounts formats the coupon of each discount and what it takes off.
func readDiscounts(discounts []events.Discount) string {
	lines := make([]string, len(discounts))
	for i, d := range discounts {
		lines[i] = d.CouponID
		if d.PercentOff != "" {
			lines[i] += " " + d.PercentOff + "%"
		}
		if d.AmountOff != nil {
			lines[i] += " " + number(d.AmountOff) + " " + d.Currency
		}
	}
	return strings.Join(lines, ", ")
}

func sameAccount(t *testing.T, m events.Message, account string) {
	t.Helper()
	if account != m.StripeAccount {
		t.Errorf("got an object of account %q in a message of account %q", account, m.StripeAccount)
	}
}

func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func number(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// recordedSubscriptions are the customer.subscription.* events. In the test events
// of Stripe's Dashboard, previous_attributes has only a plan, even if there are
// items: the plan of the only item changed.
var recordedSubscriptions = map[string]readSubscription{
	"2014-09-08__customer.subscription.created__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1427556286, 1430234686}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "activated",
	},
	"2014-09-08__customer.subscription.deleted__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1427556288, 1430234688}, EndedAt: 1427498429, EndsAt: 1427498429, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "canceled",
	},
	"2014-09-08__customer.subscription.trial_will_end__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1427556291, 1430234691}, Trial: span{1427498429, 1427757629}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"},
	},
	"2014-09-08__customer.subscription.updated__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1427556293, 1430234693}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "plan_changed",
	},
	"2014-11-05__customer.subscription.trial_will_end__rubymock.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1422114329, 1423323929}, Trial: span{1422072095, 1422331295}, Currency: "eur",
		Items: []string{"- kx0AFo_00000000000000 - 1 x 2499 eur every 1 month"},
	},
	"2015-01-11__customer.subscription.deleted__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1427558199, 1430236599}, EndedAt: 1427498421, EndsAt: 1427498421, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "canceled",
	},
	"2015-01-11__customer.subscription.updated__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1427558204, 1430236604}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "plan_changed",
	},
	"2015-01-26__customer.subscription.deleted__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1427557790, 1430236190}, EndedAt: 1427498428, EndsAt: 1427498428, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "canceled",
	},
	"2015-01-26__customer.subscription.trial_will_end__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1427557791, 1430236191}, Trial: span{1427498420, 1427757620}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"},
	},
	"2015-02-10__customer.subscription.created__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1427557527, 1430235927}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "activated",
	},
	"2015-02-10__customer.subscription.trial_will_end__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1427557531, 1430235931}, Trial: span{1427498421, 1427757621}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"},
	},
	"2015-02-16__customer.subscription.created__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1427557112, 1430235512}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "activated",
	},
	"2015-02-16__customer.subscription.updated__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1427557101, 1430235501}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "plan_changed",
	},
	"2015-02-18__customer.subscription.deleted__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1427556866, 1430235266}, EndedAt: 1427498428, EndsAt: 1427498428, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "canceled",
	},
	"2015-02-18__customer.subscription.updated__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1427556870, 1430235270}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "plan_changed",
	},
	"2015-03-24__customer.subscription.deleted__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1427556492, 1430234892}, EndedAt: 1427498428, EndsAt: 1427498428, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"}, Changes: "canceled",
	},
	"2015-03-24__customer.subscription.trial_will_end__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1427556494, 1430234894}, Trial: span{1427498421, 1427757621}, Currency: "usd",
		Items: []string{"- premium_00000000000000 - 1 x 5000 usd every 1 month"},
	},
	"2016-03-07__customer.subscription.created__teamtnt-connect.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Account: "acct_0000000000000000", Status: "active", Access: "granted",
		Period: span{1457644104, 1460322504}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "activated",
	},
	"2016-03-07__customer.subscription.created__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1457644104, 1460322504}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "activated",
	},
	"2016-03-07__customer.subscription.deleted__teamtnt-connect.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Account: "acct_0000000000000000", Status: "canceled", Access: "none",
		Period: span{1457644128, 1460322528}, EndedAt: 1457638573, EndsAt: 1457638573, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "canceled",
	},
	"2016-03-07__customer.subscription.deleted__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1457644128, 1460322528}, EndedAt: 1457638573, EndsAt: 1457638573, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "canceled",
	},
	"2016-03-07__customer.subscription.trial_will_end__teamtnt-connect.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Account: "acct_0000000000000000", Status: "trialing", Access: "granted",
		Period: span{1457644153, 1460322553}, Trial: span{1457638575, 1457897775}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"},
	},
	"2016-03-07__customer.subscription.trial_will_end__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1457644153, 1460322553}, Trial: span{1457638575, 1457897775}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"},
	},
	"2016-03-07__customer.subscription.updated__teamtnt-connect.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Account: "acct_0000000000000000", Status: "active", Access: "granted",
		Period: span{1457644166, 1460322566}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "plan_changed",
	},
	"2016-03-07__customer.subscription.updated__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1457644166, 1460322566}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "plan_changed",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-coupon-code-applied.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "trialing", Access: "granted",
		Created: 1511882257, Period: span{1511882257, 1537433042}, Trial: span{1511882257, 1537433042},
		Currency: "gbp", Collection: "charge_automatically", Discounts: "COUPON-123 100%",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "discount_changed",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-coupon-code-revoked.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "active", Access: "granted",
		Created: 1511882257, Period: span{1531814693, 1534493093}, Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "discount_changed",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-plan-changed.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "trialing", Access: "granted",
		Created: 1511884457, Period: span{1534859120, 1535446800}, Trial: span{1511884457, 1535446800},
		Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro-annual-billing prod_123 1 x 8333 gbp every 1 year"}, Changes: "plan_changed",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-subscription-cancelled.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "active", Access: "granted",
		Created: 1512468959, Period: span{1517825759, 1520244959}, AtPeriodEnd: true, CanceledAt: 1517839007, EndsAt: 1520244959,
		Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro - 1 x 833 gbp every 1 month"}, Changes: "cancel_scheduled",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-subscription-reactivated.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "active", Access: "granted",
		Created: 1513600201, Period: span{1518957001, 1521376201}, Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "cancel_unscheduled",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-subscription-renewal-failure.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "past_due", Access: "grace",
		Created: 1522151423, Period: span{1524829823, 1527421823}, Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "past_due",
	},
	// Overdue before and after, but a new period began.
	"2017-01-27__customer.subscription.updated__alaveteli-subscription-renewal-repeated-failure.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "past_due", Access: "grace",
		Created: 1516029146, Period: span{1529075546, 1531667546}, Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "renewed",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-subscription-renewed-after-failure.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "active", Access: "granted",
		Created: 1522151423, Period: span{1524829823, 1527421823}, Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "recovered",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-subscription-renewed.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "active", Access: "granted",
		Created: 1512468959, Period: span{1515147359, 1517825759}, Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro - 1 x 833 gbp every 1 month"}, Changes: "renewed",
	},
	// An old version, rendered late: it has plan and price, billing and collection_method.
	"2017-01-27__customer.subscription.updated__alaveteli-subscription-started.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "active", Access: "granted",
		Created: 1696926094, StartDate: 1696926094, Period: span{1696926094, 1699604494},
		Currency: "gbp", Collection: "charge_automatically", Invoice: "in_123",
		Items: []string{"si_123 WDTK-pro prod_123 1 x 833 gbp every 1 month"}, Changes: "activated",
	},
	// Despite its name, the trial was shortened and a coupon applied.
	"2017-01-27__customer.subscription.updated__alaveteli-trial-cancelled.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "trialing", Access: "granted",
		Created: 1511884283, Period: span{1511884283, 1533718800}, Trial: span{1511884283, 1533718800},
		Currency: "gbp", Collection: "charge_automatically", Discounts: "COUPON-123 25%",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "trial_changed billing_cycle_changed discount_changed",
	},
	// The first period after a trial is not a renewal.
	"2017-01-27__customer.subscription.updated__alaveteli-trial-ended-first-payment-failed.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "past_due", Access: "grace",
		Created: 1511884203, Period: span{1533718800, 1536397200}, Trial: span{1511884203, 1533718800},
		Currency: "gbp", Collection: "charge_automatically", Discounts: "COUPON-123 25%",
		Items: []string{"si_123 pro prod_123 1 x 833 gbp every 1 month"}, Changes: "trial_ended past_due",
	},
	"2017-01-27__customer.subscription.updated__alaveteli-trial-extended.json": {
		ID: "sub_123", Customer: "cus_123", Live: true, Status: "trialing", Access: "granted",
		Created: 1511884095, Period: span{1511884095, 1519862400}, Trial: span{1511884095, 1519862400},
		Currency: "gbp", Collection: "charge_automatically",
		Items: []string{"si_123 pro - 1 x 833 gbp every 1 month"}, Changes: "trial_changed",
	},
	// Already canceled when created: these samples come from one ended subscription. Only the plan at the top has an id of zeros.
	"2018-01-23__customer.subscription.created__rubymock.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1517178878, Period: span{1517178878, 1518388478}, Trial: span{1517178878, 1518388478}, CanceledAt: 1517179808, EndedAt: 1517179808, EndsAt: 1517179808,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_CDqQLQNlZuf1cZ 2bf80c62-01d6-403d-85d7-d54d9039d140 - 1 x 1500 usd every 1 month"},
	},
	"2018-01-23__customer.subscription.created__smc.json": {
		ID: "sub_CGPXJjUMVXBLSx", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1517770770, Period: span{1517770770, 1520189970},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1GoYq1J3a8kmO8fmMn28KIy2",
		Items: []string{"si_CGPX2RZhm2pE0o silver-express-898 - 1 x 999 usd every 1 month"}, Changes: "activated",
	},
	"2018-01-23__customer.subscription.deleted__rubymock.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1517178878, Period: span{1517178878, 1518388478}, Trial: span{1517178878, 1518388478}, CanceledAt: 1517179808, EndedAt: 1517719366, EndsAt: 1517719366,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_CDqQLQNlZuf1cZ 2bf80c62-01d6-403d-85d7-d54d9039d140 - 1 x 1500 usd every 1 month"}, Changes: "canceled",
	},
	"2018-01-23__customer.subscription.deleted__smc.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1517771609, Period: span{1517771609, 1520190809}, EndedAt: 1517769949, EndsAt: 1517769949,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_CGPlDRAW5ZPZKJ silver-express-898 - 1 x 999 usd every 1 month"}, Changes: "canceled",
	},
	// Trialing, though it has ended_at.
	"2018-01-23__customer.subscription.trial_will_end__rubymock.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Created: 1517178878, Period: span{1517178878, 1518388478}, Trial: span{1517720443, 1517979643}, CanceledAt: 1517179808, EndedAt: 1517179808, EndsAt: 1517179808,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_CDqQLQNlZuf1cZ 2bf80c62-01d6-403d-85d7-d54d9039d140 - 1 x 1500 usd every 1 month"},
	},
	// Only the plan and the product at the top have ids of zeros.
	"2018-01-23__customer.subscription.trial_will_end__smc.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Created: 1517919079, Period: span{1517919079, 1520338279}, Trial: span{1517917551, 1518176751},
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_CH3O9lDxhthMZ7 silver-express-898 prod_BT1t06tZ3jBCHi 1 x 999 usd every 1 month"},
	},
	"2018-01-23__customer.subscription.updated__rubymock.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1517178878, Period: span{1517178878, 1518388478}, Trial: span{1517178878, 1518388478}, CanceledAt: 1517179808, EndedAt: 1517179808, EndsAt: 1517179808,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_CDqQLQNlZuf1cZ 2bf80c62-01d6-403d-85d7-d54d9039d140 - 1 x 1500 usd every 1 month"}, Changes: "plan_changed",
	},
	"2018-01-23__customer.subscription.updated__smc.json": {
		ID: "sub_CGPu5KqP1TORKF", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1517772172, StartDate: 1517772172, Period: span{1517772172, 1520191372},
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_CGPuxYgJ7bx2UW silver-express-898 - 1 x 999 usd every 1 month"}, Changes: "plan_changed",
	},
	// An old version with a price and without a plan.
	"2018-02-06__customer.subscription.created__smc-2.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1517764446, StartDate: 1517764446, Period: span{1517764446, 1520183646}, CanceledAt: 1517764476, EndedAt: 1517764476, EndsAt: 1517764476,
		Currency: "dkk", Collection: "charge_automatically",
		Items: []string{"si_00000000000000 large_00000000000000 prod_00000000000000 1 x 10000 dkk every 1 month"},
	},
	"2018-02-06__customer.subscription.created__smc.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1517764446, StartDate: 1517764446, Period: span{1517764446, 1520183646}, CanceledAt: 1517764476, EndedAt: 1517764476, EndsAt: 1517764476,
		Currency: "dkk", Collection: "charge_automatically", Invoice: "in_1GoYq1J3a8kmO8fmMn28KIy2",
		Items: []string{"si_00000000000000 large_00000000000000 prod_00000000000000 1 x 10000 dkk every 1 month"},
	},
	"2018-02-06__customer.subscription.created__subhub-created-2.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"},
	},
	// Active, though it has ended_at.
	"2018-02-06__customer.subscription.created__subhub-created-event.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", User: "tester123", Status: "active", Access: "granted",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_test123",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "activated",
	},
	"2018-02-06__customer.subscription.created__subhub-created.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", User: "tester123", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"},
	},
	"2018-02-06__customer.subscription.created__teamtnt-connect.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Account: "acct_0000000000000000", Status: "active", Access: "granted",
		Period: span{1457644104, 1460322504}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "activated",
	},
	"2018-02-06__customer.subscription.deleted__subhub-deleted-event.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", User: "tester123", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1557780556, EndsAt: 1557780556,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_00000000000000 jollybilling-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "canceled",
	},
	"2018-02-06__customer.subscription.deleted__subhub-deleted.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1557780556, EndsAt: 1557780556,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_00000000000000 jollybilling-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "canceled",
	},
	"2018-02-06__customer.subscription.updated__subhub-updated-2.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CancelAt: 1521854209, AtPeriodEnd: true, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "plan_changed",
	},
	"2018-02-06__customer.subscription.updated__subhub-updated-3.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "plan_changed",
	},
	// Only the item's metadata has the user.
	"2018-02-06__customer.subscription.updated__subhub-updated-no-cancel.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CancelAt: 1521854209, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_test123",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "plan_changed",
	},
	// Only the item's metadata has the user.
	"2018-02-06__customer.subscription.updated__subhub-updated.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CancelAt: 1521854209, AtPeriodEnd: true, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_test123",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "plan_changed",
	},
	"2018-02-06__customer.subscription.updated__teamtnt-connect.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Account: "acct_0000000000000000", Status: "active", Access: "granted",
		Period: span{1457644166, 1460322566}, Currency: "usd",
		Items: []string{"- gold2132_00000000000000 - 1 x 2000 usd every 1 month"}, Changes: "plan_changed",
	},
	// Only the plan and the product at the top have ids of zeros.
	"2018-05-21__customer.subscription.created__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1531523096, Period: span{1531523096, 1534201496}, Currency: "cad", Collection: "charge_automatically",
		Items: []string{"si_DE2OMw3vrYuIOR gold prod_BTMywD3UV6AkeY 1 x 2000 cad every 1 month"}, Changes: "activated",
	},
	"2018-05-21__customer.subscription.deleted__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1531523101, Period: span{1531523101, 1534201501}, EndedAt: 1531522249, EndsAt: 1531522249,
		Currency: "cad", Collection: "charge_automatically",
		Items: []string{"si_DE2OHe906KvQct gold prod_BTMywD3UV6AkeY 1 x 2000 cad every 1 month"}, Changes: "canceled",
	},
	"2018-05-21__customer.subscription.trial_will_end__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Created: 1531523105, Period: span{1531523105, 1534201505}, Trial: span{1531522251, 1531781451},
		Currency: "cad", Collection: "charge_automatically",
		Items: []string{"si_DE2Oc4R1iDNOgN gold prod_BTMywD3UV6AkeY 1 x 2000 cad every 1 month"},
	},
	"2018-05-21__customer.subscription.updated__teamtnt.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1531523109, Period: span{1531523109, 1534201509}, Currency: "cad", Collection: "charge_automatically",
		Items: []string{"si_DE2OHZNbRkCh2N gold prod_BTMywD3UV6AkeY 1 x 2000 cad every 1 month"}, Changes: "plan_changed",
	},
	"2019-03-14__customer.subscription.updated__subhub-stripe-cancel.json": {
		ID: "sub_G5oam9GX5RlaDl", Customer: "cus_test1", Status: "active", Access: "granted",
		Created: 1572525662, StartDate: 1572525662, Period: span{1572525662, 1575117662}, CancelAt: 1575117662, AtPeriodEnd: true, CanceledAt: 1572525848, EndsAt: 1575117662,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1FZcxWKb9q6OnNsL7ZUDB0DU",
		Items: []string{"si_G5oawVF0A4lBEV plan_FiJ55YK6UYftPa prod_FiJ42WCzZNRSbS 1 x 999 usd every 1 month"}, Changes: "cancel_scheduled",
	},
	"2019-03-14__customer.subscription.updated__subhub-updated-event-cancel.json": {
		ID: "sub_FCUzkHmNY3Mbj1", Customer: "cus_FCUzOhOp9iutWa", Status: "active", Access: "granted",
		Created: 1559767571, StartDate: 1559767571, Period: span{1571949971, 1572036371}, AtPeriodEnd: true, EndsAt: 1572036371,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1FXDCFJNcmPzuWtRT9U5Xvcz",
		Items: []string{"si_FCUzTOlS7Ltzbr plan_F4G9jB3x5i6Dpj prod_EtMczoDntN9YEa 1 x 100 usd every 1 day"}, Changes: "cancel_scheduled",
	},
	"2019-03-14__customer.subscription.updated__subhub-updated-event-change-2.json": {
		ID: "sub_FCUzkHmNY3Mbj1", Customer: "cus_FCUzOhOp9iutWa", Status: "active", Access: "granted",
		Created: 1559767571, StartDate: 1559767571, Period: span{1571949971, 1572036371},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1FXDCFJNcmPzuWtRT9U5Xvcz",
		Items: []string{"si_FCUzTOlS7Ltzbr plan_F4G9jB3x5i6Dpj prod_EtMczoDntN9YEa 1 x 100 usd every 1 month"}, Changes: "cancel_unscheduled",
	},
	// cancel_at_period_end was true before, too.
	"2019-03-14__customer.subscription.updated__subhub-updated-event-change.json": {
		ID: "sub_FCUzkHmNY3Mbj1", Customer: "cus_FCUzOhOp9iutWa", Status: "active", Access: "granted",
		Created: 1559767571, StartDate: 1559767571, Period: span{1571949971, 1572036371}, AtPeriodEnd: true, EndsAt: 1572036371,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1FXDCFJNcmPzuWtRT9U5Xvcz",
		Items: []string{"si_FCUzTOlS7Ltzbr plan_F4G9jB3x5i6Dpj prod_EtMczoDntN9YEa 1 x 100 usd every 1 month"}, Changes: "other",
	},
	"2019-03-14__customer.subscription.updated__subhub-updated-event-charge.json": {
		ID: "sub_FCUzkHmNY3Mbj1", Customer: "cus_FCUzOhOp9iutWa", Status: "active", Access: "granted",
		Created: 1559767571, StartDate: 1559767571, Period: span{1571949971, 1572036371},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1FXDCFJNcmPzuWtRT9U5Xvcz",
		Items: []string{"si_FCUzTOlS7Ltzbr plan_F4G9jB3x5i6Dpj prod_EtMczoDntN9YEa 1 x 100 usd every 1 day"}, Changes: "renewed",
	},
	// Stripe does not have these statuses: trial, and cancel before it.
	"2019-03-14__customer.subscription.updated__subhub-updated-event-no-trigger.json": {
		ID: "sub_FCUzkHmNY3Mbj1", Customer: "cus_FCUzOhOp9iutWa", Status: "trial",
		Created: 1559767571, StartDate: 1559767571, Period: span{1571949971, 1572036371},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1FXDCFJNcmPzuWtRT9U5Xvcz",
		Items: []string{"si_FCUzTOlS7Ltzbr plan_F4G9jB3x5i6Dpj prod_EtMczoDntN9YEa 1 x 100 usd every 1 day"}, Changes: "other",
	},
	"2019-03-14__customer.subscription.updated__subhub-updated-event-reactivate.json": {
		ID: "sub_FCUzkHmNY3Mbj1", Customer: "cus_FCUzOhOp9iutWa", Status: "active", Access: "granted",
		Created: 1559767571, StartDate: 1559767571, Period: span{1571949971, 1572036371},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1FXDCFJNcmPzuWtRT9U5Xvcz",
		Items: []string{"si_FCUzTOlS7Ltzbr plan_F4G9jB3x5i6Dpj prod_EtMczoDntN9YEa 1 x 100 usd every 1 day"}, Changes: "cancel_unscheduled",
	},
	"2019-05-16__customer.subscription.created__subhub-event-2.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", User: "tester123", Status: "active", Access: "granted",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_test123",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "activated",
	},
	"2019-05-16__customer.subscription.created__subhub-event.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", User: "tester123", Status: "active", Access: "granted",
		Created: 1519435009, Period: span{1519435009, 1521854209}, CanceledAt: 1519680008, EndedAt: 1519680008, EndsAt: 1519680008,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_test123",
		Items: []string{"si_00000000000000 subhub-plan-api_00000000000000 prod_00000000000000 1 x 500 usd every 1 month"}, Changes: "activated",
	},
	// Four items with the same id.
	"2020-03-02__customer.subscription.created__smc.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1518337183, StartDate: 1518337183, Period: span{1583914783, 1586593183},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1GLPn6EKaFxLwikqY7dg5IOL",
		Items: []string{
			"si_00000000000000 peak_00000000000000 prod_00000000000000 10 x 6000 usd every 1 month",
			"si_00000000000000 account_00000000000000 prod_00000000000000 3 x 2000 usd every 1 month",
			"si_00000000000000 error_00000000000000 prod_00000000000000 6 x 6000 usd every 1 month",
			"si_00000000000000 translations_00000000000000 prod_00000000000000 0 x 6000 usd every 1 month",
		},
		Changes: "activated",
	},
	"2020-03-02__customer.subscription.deleted__smc.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1518337183, StartDate: 1518337183, Period: span{1583914783, 1586593183}, EndedAt: 1584469543, EndsAt: 1584469543,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1GLPn6EKaFxLwikqY7dg5IOL",
		Items: []string{
			"si_00000000000000 peak_00000000000000 prod_00000000000000 10 x 6000 usd every 1 month",
			"si_00000000000000 account_00000000000000 prod_00000000000000 3 x 2000 usd every 1 month",
			"si_00000000000000 error_00000000000000 prod_00000000000000 6 x 6000 usd every 1 month",
			"si_00000000000000 translations_00000000000000 prod_00000000000000 0 x 6000 usd every 1 month",
		},
		Changes: "canceled",
	},
	"2020-03-02__customer.subscription.trial_will_end__smc.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Created: 1518337183, StartDate: 1518337183, Period: span{1583914783, 1586593183}, Trial: span{1584469543, 1584728743},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1GLPn6EKaFxLwikqY7dg5IOL",
		Items: []string{
			"si_00000000000000 peak_00000000000000 prod_00000000000000 10 x 6000 usd every 1 month",
			"si_00000000000000 account_00000000000000 prod_00000000000000 3 x 2000 usd every 1 month",
			"si_00000000000000 error_00000000000000 prod_00000000000000 6 x 6000 usd every 1 month",
			"si_00000000000000 translations_00000000000000 prod_00000000000000 0 x 6000 usd every 1 month",
		},
	},
	// One plan before, four items with the same id now.
	"2020-03-02__customer.subscription.updated__smc.json": {
		ID: "sub_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1518337183, StartDate: 1518337183, Period: span{1583914783, 1586593183},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1GLPn6EKaFxLwikqY7dg5IOL",
		Items: []string{
			"si_00000000000000 peak_00000000000000 prod_00000000000000 10 x 6000 usd every 1 month",
			"si_00000000000000 account_00000000000000 prod_00000000000000 3 x 2000 usd every 1 month",
			"si_00000000000000 error_00000000000000 prod_00000000000000 6 x 6000 usd every 1 month",
			"si_00000000000000 translations_00000000000000 prod_00000000000000 0 x 6000 usd every 1 month",
		},
		Changes: "items_changed",
	},
	"2020-08-27__customer.subscription.created__rubymock.json": {
		ID: "sub_000000000000000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1648320110, StartDate: 1648320110, Period: span{1648320110, 1650998510},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_000000000000000000000000",
		Items: []string{"si_00000000000000 price_000000000000000000000000 prod_00000000000000 1 x 1500 usd every 1 month"}, Changes: "activated",
	},
	"2020-08-27__customer.subscription.deleted__rubymock.json": {
		ID: "sub_000000000000000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Created: 1648320096, StartDate: 1648320096, Period: span{1648320096, 1650998496}, CanceledAt: 1648320097, EndedAt: 1648320097, EndsAt: 1648320097,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_000000000000000000000000",
		Items: []string{"si_00000000000000 price_000000000000000000000000 prod_00000000000000 1 x 1500 usd every 1 month"}, Changes: "canceled",
	},
	"2020-08-27__customer.subscription.updated__rubymock.json": {
		ID: "sub_000000000000000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Created: 1648320105, StartDate: 1648320105, Period: span{1648320105, 1650998505},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_000000000000000000000000",
		Items: []string{"si_00000000000000 price_000000000000000000000000 prod_00000000000000 1 x 1500 usd every 1 month"}, Changes: "schedule_changed",
	},
	"2022-08-01__customer.subscription.updated__bitwarden.json": {
		ID: "sub_1NvKoKIGBnsLynRrcLIAUWGf", Customer: "cus_OimNNCC3RiI2HQ", Status: "active", Access: "granted",
		Created: 1695909804, StartDate: 1695909804, Period: span{1695911900, 1727534300}, Trial: span{1695909804, 1695911899},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1NvLM9IGBnsLynRrOysII07d",
		Items: []string{"si_OimNgVtrESpqus enterprise-org-seat-annually prod_BUtogGemxnTi9z 1 x 3600 usd every 1 year"}, Changes: "activated trial_ended billing_cycle_changed",
	},
	// The new plan began before the end of the old period.
	"2023-10-16__customer.subscription.updated__henryli-plan-change.json": {
		ID: "sub_1OlLqZBFkLqjc7QTeevv4rzC", Customer: "cus_PZV6GO3wuec92B", Status: "active", Access: "granted",
		Created: 1708306843, StartDate: 1708306843, Period: span{1709880984, 1725778584},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1OrxLwBFkLqjc7QTCe6YlfZo",
		Items: []string{"si_PaWusMj56QmNYs price_1OkMyxBFkLqjc7QTSUA15pIY prod_PTrUBPTEJuplWc 1 x 10000 usd every 6 month"}, Changes: "plan_changed billing_cycle_changed",
	},
	"2023-10-16__customer.subscription.updated__henryli-uncancel.json": {
		ID: "sub_1OlLyBBFkLqjc7QTuV4QZ4Iy", Customer: "cus_PZV6GO3wuec92B", Status: "active", Access: "granted",
		Created: 1708307315, StartDate: 1708307315, Period: span{1709862515, 1709948915},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1OrsYiBFkLqjc7QT33DkhBgS",
		Items: []string{"si_PaX2R1c4ugXqTw price_1OetlBBFkLqjc7QTKBD9TDFO prod_PTrUBPTEJuplWc 1 x 1000 usd every 1 day"}, Changes: "cancel_unscheduled",
	},
	"2025-07-30.basil__customer.subscription.created__powerzcy.json": {
		ID: "sub_1RxHnrGaouLfVOpUyx8QsO59", Customer: "cus_SsllV761J0q08n", Status: "active", Access: "granted",
		Created: 1755480241, StartDate: 1755480241, Period: span{1755480241, 1787016241},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1RxHnpGaouLfVOpU2bq978ef", PaymentMethod: "pm_1RxHnoGaouLfVOpUkiByLaGA",
		Items: []string{"si_St3vPq6vmip2W9 price_1RwJwGGaouLfVOpUOqvZtir1 prod_Ss44jwzw6oKCXk 1 x 9600 usd every 1 year 1755480241..1787016241"}, Changes: "activated",
	},
	"2025-08-27.basil__customer.subscription.updated__index-27214939656.json": {
		ID: "sub_1SAGUABe0ycHroRBHH0HMWOy", Customer: "cus_T66xzarl5v73XN", Status: "active", Access: "granted",
		Created: 1758573442, StartDate: 1758573442, Period: span{1758919042, 1759005442},
		Currency: "brl", Collection: "charge_automatically", Invoice: "in_1SBiOcBe0ycHroRBRzEtNcba", PaymentMethod: "pm_1SAGUABe0ycHroRBf3bTVAPU",
		Items: []string{"si_T6TR41zlO1VQ3e price_1SAFNkBe0ycHroRBidLX2jgZ prod_T5k7ztL8jPMaTG 1 x 200 brl every 1 day 1758919042..1759005442"}, Changes: "renewed",
	},
	"2025-11-17.clover__customer.subscription.created__billifty-2.json": {
		ID: "sub_1SinO8EgxqQWB3tMLkcBAUUR", Customer: "cus_Tg9hoNzFjSmqxD", Status: "active", Access: "granted",
		Created: 1766803069, StartDate: 1766803069, Period: span{1766803069, 1769481469},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1SinO5EgxqQWB3tMJyCLCSV1", PaymentMethod: "pm_1SinO5EgxqQWB3tM5HlJcsPo",
		Items: []string{"si_Tg9h15yV0VOwil price_1Sd3SQEgxqQWB3tMwm9eDbPZ prod_TaDuix6Cq3Omo9 1 x 999 usd every 1 month 1766803069..1769481469"}, Changes: "activated",
	},
	"2026-06-24.dahlia__customer.subscription.deleted__payfuzz.json": {
		ID: "sub_1Tsk6c2fVmBzG7emSj6bpdd7", Customer: "cus_UsV69VpWwIJqjF", Status: "canceled", Access: "none",
		Created: 1783950070, StartDate: 1783950070, Period: span{1783950070, 1786628470}, CanceledAt: 1783950075, EndedAt: 1783950075, EndsAt: 1783950075,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1Tsk6c2fVmBzG7emPTk1ZLrP",
		Items: []string{"si_UsV6Hf3DSXDeP5 price_1Tsk6c2fVmBzG7emVNx3lXhv prod_UsV6WIIC57HbHy 1 x 1500 usd every 1 month 1783950070..1786628470"}, Changes: "canceled",
	},
	"2026-06-24.dahlia__customer.subscription.updated__payfuzz.json": {
		ID: "sub_1Tsk6U2fVmBzG7em2SW1Pnox", Customer: "cus_UsV6bblNTiPV0B", Status: "active", Access: "granted",
		Created: 1783950062, StartDate: 1783950062, Period: span{1783950062, 1786628462},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1Tsk6U2fVmBzG7emr0YkNRg3",
		Items: []string{"si_UsV6FV9BtJA7xC price_1Tsk6S2fVmBzG7em44DW3Qvr prod_UsV64akjhbSsRP 1 x 1500 usd every 1 month 1783950062..1786628462"}, Changes: "metadata_changed",
	},
	"handwritten/2026-01-28.clover__customer.subscription.paused__naltrexone.json": {
		ID: "sub_456", Customer: "cus_456", User: "user_2", Status: "paused", Access: "none",
		Period: span{1700000000, 1700000000},
		Items:  []string{"si_456 price_a - - x - - every - - 1700000000..1700000000"},
	},
	"handwritten/2026-01-28.clover__customer.subscription.pending_update_applied__naltrexone.json": {
		ID: "sub_901", Customer: "cus_901", User: "user_4", Status: "active", Access: "granted",
		Period: span{1700000000, 1700000000},
		Items:  []string{"si_901 price_a - - x - - every - - 1700000000..1700000000"},
	},
	"handwritten/2026-01-28.clover__customer.subscription.pending_update_expired__naltrexone.json": {
		ID: "sub_902", Customer: "cus_902", User: "user_5", Status: "active", Access: "granted",
		Period: span{1700000000, 1700000000},
		Items:  []string{"si_902 price_m - - x - - every - - 1700000000..1700000000"},
	},
	"handwritten/2026-01-28.clover__customer.subscription.resumed__naltrexone.json": {
		ID: "sub_789", Customer: "cus_789", User: "user_3", Status: "active", Access: "granted",
		Period: span{1700000000, 1700000000},
		Items:  []string{"si_789 price_m - - x - - every - - 1700000000..1700000000"},
	},
	// No previous_attributes.
	"handwritten/2026-01-28.clover__customer.subscription.updated__naltrexone.json": {
		ID: "sub_123", Customer: "cus_123", User: "user_1", Status: "active", Access: "granted",
		Period: span{1700000000, 1700000000},
		Items:  []string{"si_123 price_m - - x - - every - - 1700000000..1700000000"}, Changes: "other",
	},
	"none__customer.subscription.created__rubymock-2.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1381080557, 1383758957}, Currency: "usd",
		Items: []string{"- fkx0AFo_00000000000000 - 1 x 100 usd every 1 month"}, Changes: "activated",
	},
	// The items are a plain array.
	"none__customer.subscription.created__rubymock-3.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1381080557, 1383758957}, Currency: "usd",
		Items: []string{
			"si_00000000000000 fkx0AFo_00000000000000 - 1 x 100 usd every 1 month",
			"si_00000000000001 fkx0AFo_00000000000001 - 5 x 200 eur every 1 month",
		},
		Changes: "activated",
	},
	// The object has no id.
	"none__customer.subscription.created__rubymock-4.json": {NoID: true},
	"none__customer.subscription.created__rubymock.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1381080557, 1383758957}, Currency: "usd",
		Items: []string{
			"si_00000000000000 fkx0AFo_00000000000000 pr_00000000000000 1 x 100 usd every 1 month",
			"si_00000000000001 fkx0AFo_00000000000001 pr_00000000000001 5 x 200 eur every 1 month",
		},
		Changes: "activated",
	},
	"none__customer.subscription.deleted__alaveteli.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1381080564, 1383758964}, EndedAt: 1381021514, EndsAt: 1381021514, Currency: "usd",
		Items: []string{
			"si_00000000000000 fkx0AFo_00000000000000 pr_00000000000000 1 x 100 usd every 1 month",
			"si_00000000000001 fkx0AFo_00000000000001 pr_00000000000001 5 x 200 eur every 1 month",
		},
		Changes: "canceled",
	},
	"none__customer.subscription.deleted__rubymock.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "canceled", Access: "none",
		Period: span{1381080564, 1383758964}, EndedAt: 1381021514, EndsAt: 1381021514, Currency: "usd",
		Items: []string{"- fkx0AFo_00000000000000 - 1 x 100 usd every 1 month"}, Changes: "canceled",
	},
	"none__customer.subscription.trial_will_end__rubymock-2.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1381080623, 1383759023}, Trial: span{1381021530, 1381280730}, Currency: "usd",
		Items: []string{"- fkx0AFo_00000000000000 - 1 x 100 usd every 1 month"},
	},
	"none__customer.subscription.trial_will_end__rubymock.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "trialing", Access: "granted",
		Period: span{1381080623, 1383759023}, Trial: span{1381021530, 1381280730}, Currency: "usd",
		Items: []string{
			"si_00000000000000 fkx0AFo_00000000000000 pr_00000000000000 1 x 100 usd every 1 month",
			"si_00000000000001 fkx0AFo_00000000000001 pr_00000000000001 5 x 200 eur every 1 month",
		},
	},
	"none__customer.subscription.updated__rubymock-2.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1381080561, 1383758961}, Currency: "usd",
		Items: []string{"- fkx0AFo_00000000000000 - 1 x 100 usd every 1 month"}, Changes: "plan_changed",
	},
	// The object has no id.
	"none__customer.subscription.updated__rubymock-3.json": {NoID: true},
	// One plan before, two items of different currencies now.
	"none__customer.subscription.updated__rubymock.json": {
		ID: "su_00000000000000", Customer: "cus_00000000000000", Status: "active", Access: "granted",
		Period: span{1381080561, 1383758961}, Currency: "usd",
		Items: []string{
			"si_00000000000000 fkx0AFo_00000000000000 pr_00000000000000 1 x 100 usd every 1 month",
			"si_00000000000001 fkx0AFo_00000000000001 pr_00000000000001 5 x 200 eur every 1 month",
		},
		Changes: "items_changed",
	},
	"seq-bikeindex-sub-0Tb1ok/01__2025-01-27.acacia__customer.subscription.created__bikeindex.json": {
		ID: "sub_0Tb1okm0T0GBfX0vIuafkiOk", Customer: "cus_UaCDYAUdXDhFPp", Status: "incomplete", Access: "none",
		Created: 1779728250, StartDate: 1779728250, Period: span{1779728250, 1782406650},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_0Tb1okm0T0GBfX0vqF7bzRyM",
		Items: []string{"si_UaCDwTeUKitejy price_0Qs5s1m0T0GBfX0visCJi4lq prod_Rld8cRL9WZDT4c 1 x 999 usd every 1 month 1779728250..1782406650"},
	},
	"seq-bikeindex-sub-0Tb1ok/03__2025-01-27.acacia__customer.subscription.deleted__bikeindex.json": {
		ID: "sub_0Tb1okm0T0GBfX0vIuafkiOk", Customer: "cus_UaCDYAUdXDhFPp", Status: "canceled", Access: "none",
		Created: 1779728250, StartDate: 1779728250, Period: span{1779728250, 1782406650}, CanceledAt: 1779739560, EndedAt: 1779739560, EndsAt: 1779739560,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_0Tb1okm0T0GBfX0vqF7bzRyM", PaymentMethod: "pm_0Tb1ojm0T0GBfX0vXbWUlWOG",
		Items: []string{"si_UaCDwTeUKitejy price_0Qs5s1m0T0GBfX0visCJi4lq prod_Rld8cRL9WZDT4c 1 x 999 usd every 1 month 1779728250..1782406650"}, Changes: "canceled",
	},
	"seq-bikeindex-sub-0Tb5lY/01__2025-01-27.acacia__customer.subscription.updated__bikeindex.json": {
		ID: "sub_0Tb5lYm0T0GBfX0vaZSYvmP7", Customer: "cus_UaGI8kzzem4k8S", Status: "active", Access: "granted",
		Created: 1779743428, StartDate: 1779743428, Period: span{1779743428, 1782421828},
		Currency: "cad", Collection: "charge_automatically", Invoice: "in_0Tb5lYm0T0GBfX0vEG2HDzto", PaymentMethod: "pm_0Tb5lYm0T0GBfX0vM66HyQMm",
		Items: []string{"si_UaGI1JmThIHBM4 price_0Qs5rim0T0GBfX0vJClxbae3 prod_Rld50xInuW3d5A 1 x 499 cad every 1 month 1779743428..1782421828"}, Changes: "activated payment_method_changed",
	},
	"seq-bikeindex-sub-0Tb5lY/02__2025-01-27.acacia__customer.subscription.updated__bikeindex.json": {
		ID: "sub_0Tb5lYm0T0GBfX0vaZSYvmP7", Customer: "cus_UaGI8kzzem4k8S", Status: "active", Access: "granted",
		Created: 1779743428, StartDate: 1779743428, Period: span{1779743428, 1782421828}, CancelAt: 1782421828, AtPeriodEnd: true, CanceledAt: 1779744622, EndsAt: 1782421828,
		Currency: "cad", Collection: "charge_automatically", Invoice: "in_0Tb5lYm0T0GBfX0vEG2HDzto", PaymentMethod: "pm_0Tb5lYm0T0GBfX0vM66HyQMm",
		Items: []string{"si_UaGI1JmThIHBM4 price_0Qs5rim0T0GBfX0vJClxbae3 prod_Rld50xInuW3d5A 1 x 499 cad every 1 month 1779743428..1782421828"}, Changes: "cancel_scheduled",
	},
	"seq-billifty-arrival-order/02__2025-11-17.clover__customer.subscription.created__billifty.json": {
		ID: "sub_1SinN4EgxqQWB3tMRsJeCnzX", Customer: "cus_Tg9fDe6Sw4U9Ky", Status: "active", Access: "granted",
		Created: 1766803003, StartDate: 1766803003, Period: span{1766803003, 1798339003},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1SinN1EgxqQWB3tMjl3QF40c", PaymentMethod: "pm_1SinN1EgxqQWB3tMHo6MQM4E",
		Items: []string{"si_Tg9gVEt13vcv4c price_1Sd3RsEgxqQWB3tM7ED1FYNn prod_TaDtjy585w9uXZ 1 x 4999 usd every 1 year 1766803003..1798339003"}, Changes: "activated",
	},
	"seq-henryli-cancel-sub-1OlLw5/01__2023-10-16__customer.subscription.updated__henryli.json": {
		ID: "sub_1OlLw5BFkLqjc7QTFuMb7AJm", Customer: "cus_PZV6GO3wuec92B", Status: "active", Access: "granted",
		Created: 1708307185, StartDate: 1708307185, Period: span{1709862385, 1709948785}, CancelAt: 1709948785, AtPeriodEnd: true, CanceledAt: 1709880532, EndsAt: 1709948785,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1OrsXCBFkLqjc7QT0g602eut",
		Items: []string{"si_PaX09xxtJsuQen price_1OetlBBFkLqjc7QTKBD9TDFO prod_PTrUBPTEJuplWc 1 x 1000 usd every 1 day"}, Changes: "cancel_scheduled",
	},
	"seq-henryli-cancel-sub-1OlLw5/02__2023-10-16__customer.subscription.updated__henryli.json": {
		ID: "sub_1OlLw5BFkLqjc7QTFuMb7AJm", Customer: "cus_PZV6GO3wuec92B", Status: "active", Access: "granted",
		Created: 1708307185, StartDate: 1708307185, Period: span{1709862385, 1709948785}, CancelAt: 1709948785, AtPeriodEnd: true, CanceledAt: 1709880532, EndsAt: 1709948785,
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1OrsXCBFkLqjc7QT0g602eut",
		Items: []string{"si_PaX09xxtJsuQen price_1OetlBBFkLqjc7QTKBD9TDFO prod_PTrUBPTEJuplWc 1 x 1000 usd every 1 day"}, Changes: "cancellation_details_changed",
	},
	// It started before it was created.
	"seq-henryli-checkout-sub-1OwcMM/02__2023-10-16__customer.subscription.created__henryli.json": {
		ID: "sub_1OwcMMBFkLqjc7QT79Zc7GxB", Customer: "cus_PmAhCy3v1oZd1e", Status: "incomplete", Access: "none",
		Created: 1710991926, StartDate: 1710991884, Period: span{1710991926, 1725120000},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1OwcMMBFkLqjc7QTEoa5xtKs",
		Items: []string{"si_PmAh75lnRisrHl price_1OkMyxBFkLqjc7QTSUA15pIY prod_PTrUBPTEJuplWc 1 x 10000 usd every 6 month"},
	},
	"seq-henryli-renewal-sub-1OgIw9/01__2023-10-16__customer.subscription.updated__henryli.json": {
		ID: "sub_1OgIw9BFkLqjc7QTd06EgH8p", Customer: "cus_PVJZ8ZFdghzyMW", Status: "active", Access: "granted",
		Created: 1707104017, StartDate: 1707104017, Period: span{1710992017, 1711078417},
		Currency: "usd", Collection: "charge_automatically", Invoice: "in_1OwcOeBFkLqjc7QTMRHMAESb", PaymentMethod: "pm_1OgIw9BFkLqjc7QT2cJr7XSV",
		Items: []string{"si_PVJZVS694q5JMy price_1OetlBBFkLqjc7QTKBD9TDFO prod_PTrUBPTEJuplWc 1 x 1000 usd every 1 day"}, Changes: "renewed",
	},
}
