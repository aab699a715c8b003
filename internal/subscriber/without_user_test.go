package subscriber

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/test/storetest"
)

// The keys are those of the customer, too, and a value is never printed.
func TestAuditWithoutUser(t *testing.T) {
	t.Parallel()
	db := storetest.NewMemory().Connect(storetest.Hooks{})
	of := func(sub, customer string) store.Entry {
		e := storetest.Entry(sub, "evt_"+sub, "created", 1, "active")
		e.Data.Subscription.CustomerID, e.Data.Subscription.Metadata = customer, map[string]string{"plan": "secret"}
		return e
	}
	named := of("sub_3", "cus_3")
	named.Data.Subscription.UserID = "u_1"
	customer := storetest.Claim("evt_cus", 2, events.Identity{Source: events.IdentityCustomerMetadata, CustomerID: "cus_1"})
	customer.Data.Customer.Metadata = map[string]string{"member": "secret"}
	for _, r := range store.NewCommitter(db, time.Now).Commit(t.Context(), []store.Entry{of("sub_1", "cus_1"), of("sub_2", "cus_1"), of("sub_4", "cus_4"), named, customer}) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	for _, tt := range []struct {
		a    config.Audit
		want string
	}{
		{config.Audit{Limit: 2}, `
 record               customer
 test:platform:sub_1  cus_1
 test:platform:sub_2  cus_1

3 records without a user; 2 are shown, a higher --limit shows more

 metadata key  seen in       records
 plan          subscription  3
 member        customer      2
`},
		{config.Audit{Limit: 1, JSON: true}, `
{"kind":"record","key":"test:platform:sub_1","subscription_id":"sub_1","customer_id":"cus_1"}
{"kind":"metadata_key","in":"subscription","key":"plan","records":3}
{"kind":"metadata_key","in":"customer","key":"member","records":2}
{"kind":"summary","records":3,"more":true}
`},
	} {
		var out bytes.Buffer
		tt.a.WithoutUser = true
		if err := audit(t.Context(), db, tt.a, term.Printer{Out: &out}, time.Now()); err != nil {
			t.Fatal(err)
		}
		expect(t, out.String(), tt.want)
		if strings.Contains(out.String(), "secret") {
			t.Error("a value is printed")
		}
	}
}
