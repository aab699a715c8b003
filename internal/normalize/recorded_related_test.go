package normalize_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/billbus/billbus/events"
)

// readInvoice has the main fields of an invoice. Amounts are in the format of
// number; Metadata is that of the subscription.
type readInvoice struct {
	Absent                     bool // the message has none
	ID, Number                 string
	Customer, Email, Account   string
	Subscription               string // "" if the invoice is for none
	Status, Reason, Collection string
	Currency, Due, Paid, Total string
	Created                    int64 // date in old versions
	Metadata                   string
}

func TestRecordedInvoices(t *testing.T) {
	t.Parallel()
	checkTable(t, recordedInvoices, ofTypes("invoice."), func(t *testing.T, m events.Message) readInvoice {
		i := m.Data.Invoice
		if i == nil {
			return readInvoice{Absent: true}
		}
		sameAccount(t, m, i.AccountID)
		return readInvoice{
			ID: i.ID, Number: i.Number, Customer: i.CustomerID, Email: i.CustomerEmail, Account: i.AccountID,
			Subscription: i.SubscriptionID, Status: i.Status, Reason: i.BillingReason, Collection: i.CollectionMethod,
			Currency: i.Currency, Due: number(i.AmountDue), Paid: number(i.AmountPaid), Total: number(i.Total),
			Created: seconds(i.Created), Metadata: pairs(i.SubscriptionMetadata),
		}
	})
}

// readSession has the main fields of a Checkout session, and the user that the
// event names. There is no recorded session of a Payment Link.
type readSession struct {
	Absent                  bool
	ID, Mode                string
	Status, Payment         string
	Customer, Email         string
	Subscription, Reference string
	Link                    string
	Created                 int64
	Metadata, IdentityID    string
}

func TestRecordedCheckoutSessions(t *testing.T) {
	t.Parallel()
	checkTable(t, recordedSessions, ofTypes("checkout.session."), func(t *testing.T, m events.Message) readSession {
		s := m.Data.CheckoutSession
		if s == nil {
			return readSession{Absent: true}
		}
		sameAccount(t, m, s.AccountID)
		return readSession{
			ID: s.ID, Mode: s.Mode, Status: s.Status, Payment: s.PaymentStatus,
			Customer: s.CustomerID, Email: s.CustomerEmail, Subscription: s.SubscriptionID,
			Reference: s.ClientReferenceID, Link: s.PaymentLinkID, Created: seconds(s.Created), Metadata: pairs(s.Metadata),
			IdentityID: identified(m),
		}
	})
}

// readCustomer has the main fields of a customer, and the user that the event
// names.
type readCustomer struct {
	Absent               bool
	ID, Account          string
	Email, Name          string
	Deleted              bool
	Created              int64
	Metadata, IdentityID string
}

func TestRecordedCustomers(t *testing.T) {
	t.Parallel()
	ofKind := ofTypes("customer.created", "customer.updated", "customer.deleted")
	checkTable(t, recordedCustomers, ofKind, func(t *testing.T, m events.Message) readCustomer {
		c := m.Data.Customer
		if c == nil {
			return readCustomer{Absent: true}
		}
		sameAccount(t, m, c.AccountID)
		return readCustomer{
			ID: c.ID, Account: c.AccountID, Email: c.Email, Name: c.Name, Deleted: c.Deleted,
			Created: seconds(c.Created), Metadata: pairs(c.Metadata), IdentityID: identified(m),
		}
	})
}

// readDiscount has the main fields of a customer's discount.
type readDiscount struct {
	Absent                 bool
	ID                     string
	Customer, Subscription string
	Discount               string // in the format of readDiscounts
	Lasts                  span
}

func TestRecordedDiscounts(t *testing.T) {
	t.Parallel()
	checkTable(t, recordedDiscounts, ofTypes("customer.discount."), func(_ *testing.T, m events.Message) readDiscount {
		d := m.Data.Discount
		if d == nil {
			return readDiscount{Absent: true}
		}
		return readDiscount{
			ID: d.ID, Customer: d.CustomerID, Subscription: d.SubscriptionID,
			Discount: readDiscounts([]events.Discount{d.Discount}), Lasts: span{seconds(d.Start), seconds(d.End)},
		}
	})
}

// readProduct has the main fields of a product.
type readProduct struct {
	Absent                bool
	ID, Name, Description string
	Active, Deleted       bool // every recorded product has active
	Created               int64
	Metadata              string
}

func TestRecordedProducts(t *testing.T) {
	t.Parallel()
	checkTable(t, recordedProducts, ofTypes("product."), func(t *testing.T, m events.Message) readProduct {
		p := m.Data.Product
		if p == nil {
			return readProduct{Absent: true}
		}
		return readProduct{
			ID: p.ID, Name: p.Name, Description: p.Description, Active: isActive(t, p.Active), Deleted: p.Deleted,
			Created: seconds(p.Created), Metadata: pairs(p.Metadata),
		}
	})
}

// readPrice has the main fields of a price or a plan.
type readPrice struct {
	Absent          bool
	ID, Product     string
	Type            string
	Active, Deleted bool
	Amount, Decimal string
	Currency        string
	Every, Interval string
	Usage           string
	Created         int64
	Metadata        string
}

func TestRecordedPrices(t *testing.T) {
	t.Parallel()
	checkTable(t, recordedPrices, ofTypes("price.", "plan."), func(t *testing.T, m events.Message) readPrice {
		p := m.Data.Price
		if p == nil {
			return readPrice{Absent: true}
		}
		return readPrice{
			ID: p.ID, Product: p.ProductID, Type: p.Type, Active: isActive(t, p.Active), Deleted: p.Deleted,
			Amount: number(p.UnitAmount), Decimal: p.UnitAmountDecimal, Currency: p.Currency,
			Every: number(p.IntervalCount), Interval: p.Interval, Usage: p.UsageType,
			Created: seconds(p.Created), Metadata: pairs(p.Metadata),
		}
	})
}

func identified(m events.Message) string {
	if m.Data.Identity == nil {
		return ""
	}
	return m.Data.Identity.UserID
}

func isActive(t *testing.T, active *bool) bool {
	t.Helper()
	if active == nil {
		t.Error("got no active")
		return false
	}
	return *active
}

// pairs formats metadata, sorted by key.
func pairs(metadata map[string]string) string {
	var lines []string
	for key, value := range metadata {
		lines = append(lines, key+"="+value)
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// recordedInvoices are the invoice.* events. Old versions have paid instead of
// status, and neither amount_paid nor billing_reason.
var recordedInvoices = map[string]readInvoice{
	// Paid, without a status. The line has the id of another subscription.
	"2018-01-23__invoice.sent__rubymock.json": {
		ID: "in_00000000000000", Number: "fdd26fc3cb-0001", Customer: "cus_00000000000000", Subscription: "sub_00000000000000",
		Status: "paid", Collection: "charge_automatically", Currency: "usd", Due: "0", Paid: "-", Total: "0", Created: 1517178878,
	},
	"2018-02-06__invoice.payment_failed__subhub.json": {
		ID: "in_000000", Number: "3D000-0003", Customer: "cus_00000000000", Email: "user-cc4fa9@example.com", Subscription: "sub_000000",
		Status: "open", Reason: "subscription_cycle", Collection: "charge_automatically", Currency: "usd", Due: "100", Paid: "0", Total: "100", Created: 1558624628,
	},
	// The line has the id of another subscription, in another currency.
	"2019-05-16__invoice.voided__smc.json": {
		ID: "in_00000000000000", Number: "a04598880b-0007", Customer: "cus_00000000000000", Email: "test@example.com", Subscription: "sub_00000000000000",
		Status: "void", Reason: "subscription_create", Collection: "charge_automatically", Currency: "eur", Due: "6250", Paid: "0", Total: "6250", Created: 1591006261,
	},
	// The status is not in Stripe's documentation, and paid is true though nothing was paid.
	"2019-09-09__invoice.deleted__smc.json": {
		ID: "in_00000000000000", Number: "a04598880b-0007", Customer: "cus_00000000000000", Subscription: "sub_00000000000000",
		Status: "deleted", Reason: "subscription_create", Collection: "charge_automatically", Currency: "dkk", Due: "3500", Paid: "0", Total: "3500", Created: 1517763745,
	},
	// Stripe's CLI made the next two, without a subscription.
	"2020-08-27__invoice.payment_action_required__rubymock.json": {
		ID: "in_000000000000000000000000", Number: "7C43E171-0001", Customer: "cus_00000000000000",
		Status: "open", Reason: "manual", Collection: "charge_automatically", Currency: "usd", Due: "2000", Paid: "0", Total: "2000", Created: 1648319998,
	},
	"2020-08-27__invoice.sent__rubymock.json": {
		ID: "in_000000000000000000000000", Number: "EE1DF78D-0001", Customer: "cus_00000000000000", Email: "test@example.com",
		Status: "paid", Reason: "manual", Collection: "send_invoice", Currency: "usd", Due: "2000", Paid: "2000", Total: "2000", Created: 1648320012,
	},
	"2022-08-01__invoice.created__bitwarden.json": {
		ID: "in_1NvKzdIGBnsLynRr8fE8cpbg", Number: "3E96D078-0001", Customer: "cus_OimYrxnMTMMK1E", Email: "user-7a00b2@example.com", Subscription: "sub_1NvKzdIGBnsLynRrKIHQamZc",
		Status: "paid", Reason: "subscription_create", Collection: "charge_automatically", Currency: "usd", Due: "0", Paid: "0", Total: "0", Created: 1695910505,
		Metadata: "organizationId=3fbc84ce-102d-4919-b89b-b08b00ead71a",
	},
	// A preview has neither id nor number.
	"2022-08-01__invoice.upcoming__bitwarden.json": {
		Customer: "cus_M8DV9wiyNa2JxQ", Email: "user-4bb386@example.com", Subscription: "sub_1NQxz4IGBnsLynRr1KbitG7v",
		Status: "draft", Reason: "upcoming", Collection: "charge_automatically", Currency: "usd", Due: "0", Paid: "0", Total: "2000", Created: 1697128681,
	},
	"2023-10-16__invoice.finalized__bitwarden.json": {
		ID: "in_1PQa9fIGBnsLynRraYIqTdBs", Number: "525EB050-0001", Customer: "cus_QH8QVKyTh2lfcG", Email: "user-83f0ad@example.com", Account: "acct_19smIXIGBnsLynRr",
		Subscription: "sub_1PQa9fIGBnsLynRr83lNrFHa",
		Status:       "open", Reason: "subscription_update", Collection: "send_invoice", Currency: "usd", Due: "84240", Paid: "0", Total: "84240", Created: 1718133291,
		Metadata: "providerId=655bc5a3-2332-4201-a9a6-b18c013d0572",
	},
	"2025-07-30.basil__invoice.paid__powerzcy.json": {
		ID: "in_1RxHxSGaouLfVOpUyWFwGR1y", Number: "Q4L5NTYD-0003", Customer: "cus_SsllV761J0q08n", Email: "user-7d3f24@example.com", Subscription: "sub_1RxHxrGaouLfVOpUpfTWqbjM",
		Status: "paid", Reason: "subscription_create", Collection: "charge_automatically", Currency: "usd", Due: "19200", Paid: "19200", Total: "19200", Created: 1755480838,
	},
	// Action is required, but the invoice says that it is paid.
	"none__invoice.payment_action_required__rubymock.json": {
		ID: "in_00000000000000", Customer: "cus_00000000000000", Subscription: "sub_00000000000000",
		Status: "paid", Currency: "eur", Due: "999", Paid: "-", Total: "999", Created: 1464084258,
	},
	// Not paid. No field gives the status.
	"none__invoice.payment_failed__alaveteli.json": {
		ID: "in_00000000000000", Customer: "cus_00000000000000", Subscription: "su_00000000000000",
		Currency: "usd", Due: "30000", Paid: "-", Total: "30000", Created: 1380674206,
	},
	"none__invoice.payment_succeeded__alaveteli.json": {
		ID: "in_00000000000000", Customer: "cus_00000000000000", Subscription: "sub_00000000000000",
		Status: "paid", Currency: "eur", Due: "999", Paid: "-", Total: "999", Created: 1464084258,
	},
	"none__invoice.upcoming__rubymock.json": {
		Customer: "cus_00000000000000", Subscription: "sub_00000000000000", Currency: "usd", Due: "1000", Paid: "-", Total: "1000", Created: 1380674206,
	},
	// The invoice was already paid when these events were rendered, even invoice.created.
	"seq-billifty-arrival-order/07__2025-11-17.clover__invoice.created__billifty.json":           billiftyInvoice,
	"seq-billifty-arrival-order/08__2025-11-17.clover__invoice.finalized__billifty.json":         billiftyInvoice,
	"seq-billifty-arrival-order/09__2025-11-17.clover__invoice.paid__billifty.json":              billiftyInvoice,
	"seq-billifty-arrival-order/10__2025-11-17.clover__invoice.payment_succeeded__billifty.json": billiftyInvoice,
	"seq-henryli-renewal-sub-1OgIw9/02__2023-10-16__invoice.created__henryli.json": {
		ID: "in_1OwcOeBFkLqjc7QTMRHMAESb", Customer: "cus_PVJZ8ZFdghzyMW", Email: "user-31d037@example.com", Subscription: "sub_1OgIw9BFkLqjc7QTd06EgH8p",
		Status: "draft", Reason: "subscription_cycle", Collection: "charge_automatically", Currency: "usd", Due: "1000", Paid: "0", Total: "1000", Created: 1710992068,
	},
	"seq-henryli-renewal-sub-1OgIw9/06__2023-10-16__invoice.updated__henryli.json":           henryliInvoice,
	"seq-henryli-renewal-sub-1OgIw9/08__2023-10-16__invoice.finalized__henryli.json":         henryliInvoice,
	"seq-henryli-renewal-sub-1OgIw9/09__2023-10-16__invoice.paid__henryli.json":              henryliInvoice,
	"seq-henryli-renewal-sub-1OgIw9/10__2023-10-16__invoice.payment_succeeded__henryli.json": henryliInvoice,
}

// The events of one purchase, and those of one renewal, have the same invoice.
var (
	billiftyInvoice = readInvoice{
		ID: "in_1SinN1EgxqQWB3tMjl3QF40c", Number: "LJIMY8WA-0002", Customer: "cus_Tg9fDe6Sw4U9Ky", Email: "user-3d488e@example.com", Subscription: "sub_1SinN4EgxqQWB3tMRsJeCnzX",
		Status: "paid", Reason: "subscription_create", Collection: "charge_automatically", Currency: "usd", Due: "4999", Paid: "4999", Total: "4999", Created: 1766803003,
		Metadata: "billifty_user_id=5 billing_cycle=yearly plan_code=pro",
	}
	henryliInvoice = readInvoice{
		ID: "in_1OwcOeBFkLqjc7QTMRHMAESb", Number: "FDBF0775-0046", Customer: "cus_PVJZ8ZFdghzyMW", Email: "user-31d037@example.com", Subscription: "sub_1OgIw9BFkLqjc7QTd06EgH8p",
		Status: "paid", Reason: "subscription_cycle", Collection: "charge_automatically", Currency: "usd", Due: "1000", Paid: "1000", Total: "1000", Created: 1710992068,
	}
)

// recordedSessions are the checkout.session.* events. If the application did not
// set an email address, it is the one that the customer entered.
var recordedSessions = map[string]readSession{
	"2025-07-30.basil__checkout.session.completed__powerzcy.json": {
		ID: "cs_test_a1Xsxf4nY21vBzIPJWXDIg4MjcztRPIzdQva2PXUN9L11KcCZF0pf1exsf", Mode: "subscription", Status: "complete", Payment: "paid",
		Customer: "cus_SsllV761J0q08n", Email: "user-7d3f24@example.com", Subscription: "sub_1RxHxrGaouLfVOpUpfTWqbjM",
		Reference: "e4c56c8c-7bab-4ad1-a210-df683817bbdf", Created: 1755480704,
		Metadata:   "credits_granted=3000 order_id=order_1755480703892_wp2738k89d price_name=ultra yearly user_id=e4c56c8c-7bab-4ad1-a210-df683817bbdf",
		IdentityID: "e4c56c8c-7bab-4ad1-a210-df683817bbdf",
	},
	"seq-bikeindex-sub-0Tb1ok/02__2025-01-27.acacia__checkout.session.completed__bikeindex.json": {
		ID: "cs_test_a1XzIICn9NZ2p5RoNzP8GLCSMog4c2noU1G4d4V8sgs3MVjZxEYysztFHl", Mode: "subscription", Status: "complete", Payment: "paid",
		Customer: "cus_UaCDYAUdXDhFPp", Email: "user-925e05@example.com", Subscription: "sub_0Tb1okm0T0GBfX0vIuafkiOk", Created: 1779728205,
	},
	"seq-billifty-arrival-order/05__2025-11-17.clover__checkout.session.completed__billifty.json": {
		ID: "cs_test_b1Y6qdU5hu5ZigvGkhu47r1VOD9VlRlASlITfBZxvAIvP6KGCaGDfIxlBm", Mode: "subscription", Status: "complete", Payment: "paid",
		Customer: "cus_Tg9fDe6Sw4U9Ky", Email: "user-3d488e@example.com", Subscription: "sub_1SinN4EgxqQWB3tMRsJeCnzX", Created: 1766802999,
		Metadata: "billifty_user_id=5 billing_cycle=yearly plan_code=pro",
	},
	"seq-henryli-checkout-sub-1OwcMM/05__2023-10-16__checkout.session.completed__henryli.json": {
		ID: "cs_test_a1NnB7XkYQqbvjymRAK6XaQjty5C9YdsjT3CxN51e9My7GZANr8tUnT8H1", Mode: "subscription", Status: "complete", Payment: "paid",
		Customer: "cus_PmAhCy3v1oZd1e", Email: "user-b05691@example.com", Subscription: "sub_1OwcMMBFkLqjc7QT79Zc7GxB", Created: 1710991884,
	},
}

// recordedCustomers are the events about customers. A deleted customer still has
// its fields.
var recordedCustomers = map[string]readCustomer{
	"2018-02-06__customer.deleted__subhub.json": {
		ID: "cus_123", Email: "user-bb5095@example.com", Name: "Jon Tester", Deleted: true, Created: 1557511290, Metadata: "userid=user123", IdentityID: "user123",
	},
	// Only a nested subscription names a user.
	"2022-08-01__customer.updated__bitwarden.json": {
		ID: "cus_Of54kUr3gV88lM", Account: "acct_19smIXIGBnsLynRr", Email: "user-126fe9@example.com", Created: 1695056798, Metadata: "region=US",
	},
	"2025-11-17.clover__customer.created__billifty-2.json": {
		ID: "cus_Tg9hoNzFjSmqxD", Email: "user-8395bf@example.com", Name: "Example Person 12bd", Created: 1766803058, Metadata: "billifty_user_id=6",
	},
	"2025-11-17.clover__customer.updated__billifty-2.json": {
		ID: "cus_Tg9hoNzFjSmqxD", Email: "user-8395bf@example.com", Name: "Example Person 12bd", Created: 1766803058, Metadata: "billifty_user_id=6",
	},
	"none__customer.deleted__rubymock.json": {
		ID: "cus_00000000000000", Email: "user-2e0602@example.com", Deleted: true, Created: 1375148334,
	},
	"seq-henryli-checkout-sub-1OwcMM/01__2023-10-16__customer.created__henryli.json": {
		ID: "cus_PmAhCy3v1oZd1e", Email: "user-b05691@example.com", Created: 1710991883,
	},
	"seq-henryli-renewal-sub-1OgIw9/05__2023-10-16__customer.updated__henryli.json": {
		ID: "cus_PVJZ8ZFdghzyMW", Email: "user-31d037@example.com", Name: "Example Person 9ed9", Created: 1707104017,
	},
}

// recordedDiscounts are the customer.discount.* events. In these versions,
// discounts had no id. None belongs to a subscription.
var recordedDiscounts = map[string]readDiscount{
	"2018-01-23__customer.discount.created__rubymock.json": {Customer: "cus_00000000000000", Discount: "25OFF_00000000000000 25%", Lasts: span{1517721023, 1525410623}},
	"2018-01-23__customer.discount.deleted__rubymock.json": {Customer: "cus_00000000000000", Discount: "25OFF_00000000000000 25%", Lasts: span{1517721057, 1525410657}},
	"2018-01-23__customer.discount.updated__rubymock.json": {Customer: "cus_00000000000000", Discount: "25OFF_00000000000000 25%", Lasts: span{1517721077, 1525410677}},
	"none__customer.discount.created__rubymock.json":       {Customer: "cus_00000000000000", Discount: "25OFF_00000000000000 25%", Lasts: span{1381080505, 1389029305}},
	"none__customer.discount.deleted__rubymock.json":       {Customer: "cus_00000000000000", Discount: "25OFF_00000000000000 25%", Lasts: span{1381080512, 1389029312}},
	"none__customer.discount.updated__rubymock.json":       {Customer: "cus_00000000000000", Discount: "25OFF_00000000000000 25%", Lasts: span{1381080509, 1389029309}},
}

// recordedProducts are the product.* events.
var recordedProducts = map[string]readProduct{
	"2020-08-27__product.created__rubymock.json": {
		ID: "prod_00000000000000", Name: "myproduct", Description: "(created by Stripe CLI)", Active: true, Created: 1648320108,
	},
	"2020-08-27__product.deleted__rubymock.json": {
		ID: "prod_00000000000000", Name: "myproduct", Description: "(created by Stripe CLI)t", Deleted: true, Created: 1648320060,
	},
	"2020-08-27__product.updated__rubymock.json": {
		ID: "prod_00000000000000", Name: "myproduct", Description: "(created by Stripe CLI)", Active: true, Created: 1648320063, Metadata: "foo=bar",
	},
}

// recordedPrices are the price.* and plan.* events. A price can have the id of a
// plan.
var recordedPrices = map[string]readPrice{
	"2020-08-27__plan.created__rubymock.json": {
		ID: "price_000000000000000000000000", Product: "prod_00000000000000", Type: "recurring", Active: true,
		Amount: "1500", Decimal: "1500", Currency: "usd", Every: "1", Interval: "month", Usage: "licensed", Created: 1648320109,
	},
	"2020-08-27__plan.deleted__rubymock.json": {
		ID: "plan_00000000000000", Product: "prod_00000000000000", Type: "recurring", Deleted: true,
		Amount: "2000", Decimal: "2000", Currency: "usd", Every: "1", Interval: "month", Usage: "licensed", Created: 1648320047,
	},
	"2020-08-27__plan.updated__rubymock.json": {
		ID: "price_000000000000000000000000", Product: "prod_00000000000000", Type: "recurring", Active: true,
		Amount: "1500", Decimal: "1500", Currency: "usd", Every: "1", Interval: "month", Usage: "licensed", Created: 1648320055, Metadata: "foo=bar",
	},
	"2020-08-27__price.created__rubymock.json": {
		ID: "price_000000000000000000000000", Product: "prod_00000000000000", Type: "recurring", Active: true,
		Amount: "1500", Decimal: "1500", Currency: "usd", Every: "1", Interval: "month", Usage: "licensed", Created: 1648320109,
	},
	"2020-08-27__price.deleted__rubymock.json": {
		ID: "plan_00000000000000", Product: "prod_00000000000000", Type: "recurring", Deleted: true,
		Amount: "2000", Decimal: "2000", Currency: "usd", Every: "1", Interval: "month", Usage: "licensed", Created: 1648320047,
	},
	"2020-08-27__price.updated__rubymock.json": {
		ID: "price_000000000000000000000000", Product: "prod_00000000000000", Type: "recurring", Active: true,
		Amount: "1500", Decimal: "1500", Currency: "usd", Every: "1", Interval: "month", Usage: "licensed", Created: 1648320055, Metadata: "foo=bar",
	},
}
