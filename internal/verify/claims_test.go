package verify_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// committing is a database with a committer.
type committing struct {
	*storetest.Client
	committer *store.Committer
}

func (c committing) Commit(ctx context.Context, e store.Entry) (store.Effect, error) {
	result := c.committer.Commit(ctx, []store.Entry{e})[0]
	return result.Effect, result.Err
}

// What is missing, as in a database of a release that did not keep identities, or differs,
// is found and corrected, and so are the records.
func TestClaims(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	client := server.Connect(storetest.Hooks{})
	db := committing{client, store.NewCommitter(client, time.Now)}
	sub := storetest.Entry("sub_1", "evt_1", "created", 1, "active")
	sub.Data.Subscription.CustomerID = "cus_1"
	claim := func(id, user string, second int) store.Entry {
		return storetest.Claim(id, second, events.Identity{UserID: user, Source: events.IdentityLink, CustomerID: "cus_1"})
	}
	db.Insert(t.Context(), []store.Entry{claim("evt_2", "u_1", 2)}) // missing
	for _, e := range []store.Entry{sub, claim("evt_3", "u_0", 1), claim("evt_4", "u_0", 0)} {
		if _, err := db.Commit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	have, _ := server.Identity(kit.Key("evt_4"))
	changed := have
	changed.UserID, changed.Created = "u_9", changed.Created.Add(time.Hour)
	if replaced, err := db.ReplaceIdentity(t.Context(), have, changed); !replaced || err != nil {
		t.Fatal(replaced, err)
	}
	for _, step := range []struct {
		fix  bool
		want verify.ClaimSummary
	}{{false, verify.ClaimSummary{Differing: 2}}, {true, verify.ClaimSummary{Fixed: 2}}, {false, verify.ClaimSummary{}}} {
		var findings []string
		claims := verify.Claims{Store: db, Fix: step.fix, Report: func(f verify.Finding) error {
			findings = append(findings, f.Key+" "+f.Have+" -> "+f.Want)
			return nil
		}}
		got, err := claims.Run(t.Context())
		if got != step.want || err != nil || len(findings) != got.Differing+got.Fixed {
			t.Errorf("fix %t: got %+v, %v, want %+v:\n%s", step.fix, got, err, step.want, strings.Join(findings, "\n"))
		}
	}
	record, _ := server.Record(kit.Key("sub_1"))
	if want := (ordering.User{ID: "u_1", Source: events.IdentityLink}); record.User != want {
		t.Errorf("the record has %+v, want %+v", record.User, want)
	}
	summary, err := (&verify.Verifier{Store: db, Now: time.Now, Report: func(verify.Finding) error { return nil }}).Run(t.Context())
	if err != nil || summary.Differing != 0 {
		t.Errorf("got %+v, %v", summary, err)
	}
}

// A record whose user differs is found, and rewritten.
func TestUserThatDiffers(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	client := server.Connect(storetest.Hooks{})
	db := committing{client, store.NewCommitter(client, time.Now)}
	sub := storetest.Entry("sub_1", "evt_1", "created", 1, "active")
	sub.Data.Subscription.CustomerID = "cus_1"
	for _, e := range []store.Entry{sub, storetest.Claim("evt_2", 2, events.Identity{UserID: "u_1", Source: events.IdentityLink, CustomerID: "cus_1"})} {
		if _, err := db.Commit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	record, _ := server.Record(kit.Key("sub_1"))
	want := record.User
	record.User = ordering.User{ID: "u_9", Source: events.IdentityLink}
	server.Put(record)
	var findings []verify.Finding
	v := verify.Verifier{Store: db, Fix: true, Now: time.Now, Report: func(f verify.Finding) error {
		findings = append(findings, f)
		return nil
	}}
	summary, err := v.Run(t.Context())
	if err != nil || summary.Fixed != 1 || len(findings) != 1 || findings[0].Field != "user_id" {
		t.Errorf("got %+v, %v, %v", summary, findings, err)
	}
	if record, _ = server.Record(kit.Key("sub_1")); record.User != want {
		t.Errorf("the record has %+v, want %+v", record.User, want)
	}
}
