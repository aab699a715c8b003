package normalize_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
)

func TestLinkMessage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 4, 4, 5, 678_901_234, time.FixedZone("CET", 3600))
	link := normalize.Link{Livemode: true, Account: "acct_1", CustomerID: "cus_1", CustomerAccountID: "acct_2", UserID: "u1", AsOf: at}
	got := link.Message(at.Add(time.Hour))
	want := events.Message{
		SpecVersion: events.SpecVersion, ID: got.ID, Source: "/stripe/acct_1/live", Type: "billbus.user.linked", Subject: "cus_1",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), DataContentType: events.DataContentType, StripeAccount: "acct_1", Livemode: true,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Origin: events.OriginLink, ReceivedAt: time.Date(2026, 1, 2, 4, 4, 5, 678_000_000, time.UTC),
			Identity: &events.Identity{UserID: "u1", Source: events.IdentityLink, CustomerID: "cus_1", CustomerAccountID: "acct_2"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

// A link that is published again has its id, and every other link has another one: the
// stream and the audit trail keep one message for each id.
func TestIDsOfLinks(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	link := func(alter func(*normalize.Link)) string {
		l := normalize.Link{CustomerID: "cus_1", UserID: "u1", AsOf: at}
		alter(&l)
		return l.Message(time.Now()).ID
	}
	ids := map[string]string{}
	for name, alter := range map[string]func(*normalize.Link){
		"same":                   func(*normalize.Link) {},
		"other mode":             func(l *normalize.Link) { l.Livemode = true },
		"other account":          func(l *normalize.Link) { l.Account = "acct_1" },
		"other customer":         func(l *normalize.Link) { l.CustomerID = "cus_2" },
		"account as customer":    func(l *normalize.Link) { l.CustomerID, l.CustomerAccountID = "", "cus_1" },
		"other customer account": func(l *normalize.Link) { l.CustomerAccountID = "acct_1" },
		"other user":             func(l *normalize.Link) { l.UserID = "u2" },
		"other time":             func(l *normalize.Link) { l.AsOf = at.Add(time.Millisecond) },
		"other boundary":         func(l *normalize.Link) { l.CustomerID, l.UserID = "cus_", "1u1" },
	} {
		id := link(alter)
		if other, taken := ids[id]; taken {
			t.Errorf("%s and %s have one id", name, other)
		}
		ids[id] = name
	}
	if id := link(func(l *normalize.Link) { l.AsOf = at.Add(time.Microsecond).In(time.FixedZone("CET", 3600)) }); ids[id] != "same" {
		t.Errorf("got another id for the same link: %s", id)
	}
}
