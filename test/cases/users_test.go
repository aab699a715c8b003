package cases_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/events"
)

// owned is a subscription with a session, a customer that names a user, and a link.
type owned struct {
	word   string
	bodies map[string][]byte // of the webhooks
	link   []byte
}

// namedBy returns a subscription whose session, customer and link name users.
func namedBy(t *testing.T, random *rand.Rand, session, customer, link string) owned {
	t.Helper()
	s := loadStory(t, "checkout-names-the-user")
	word := "own" + strings.ToLower(letters(random))
	rename := strings.NewReplacer(s.word, word, "user-77", session)
	updated := fmt.Sprintf(`{"id": "evt_%[1]s_3", "object": "event", "api_version": "2025-09-30.clover", "created": 1795000100, "livemode": false,
		"type": "customer.updated", "data": {"object": {"id": "cus_%[1]s", "object": "customer", "livemode": false, "metadata": {"user_id": %[2]q}}}}`, word, customer)
	linked, err := events.Encode(events.Message{
		SpecVersion: events.SpecVersion, ID: "lnk_" + word, Source: events.Source(false, ""), Type: events.SubjectUserLinked,
		Time: time.Unix(1795000200, 0).UTC(), DataContentType: events.DataContentType, Subject: "cus_" + word,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Origin: events.OriginLink, ReceivedAt: time.Unix(1795000201, 0).UTC(),
			Identity: &events.Identity{UserID: link, Source: events.IdentityLink, CustomerID: "cus_" + word},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return owned{
		word: word, link: linked,
		bodies: map[string][]byte{
			"session": []byte(rename.Replace(string(s.events[0]))), "subscription": []byte(rename.Replace(string(s.events[1]))), "customer": []byte(updated),
		},
	}
}

func (a *alone) deliver(t *testing.T, o owned, what string) {
	t.Helper()
	if what != "link" {
		a.accept(t, o.bodies[what])
		return
	}
	if _, err := a.jetStream(t).Publish(t.Context(), events.SubjectUserLinked, o.link); err != nil {
		t.Fatal(err)
	}
}

// TestUserInAnyOrder sends a subscription, its session, its customer and a link in all
// orders, some of them twice, with a crash on the way. The users are the same after a
// replay into an empty database.
func TestUserInAnyOrder(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	a := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=any")
	parts := []string{"subscription", "session", "customer", "link"}
	orders := sequences(len(parts), random)
	users := map[string]owned{}
	for i, sequence := range orders {
		o := namedBy(t, random, "u-"+fmt.Sprint(i), "other", "u-"+fmt.Sprint(i))
		users["sub_"+o.word] = o
		if i == len(orders)/2 {
			a.process.Kill(t)
			a.start(t)
		}
		for _, k := range sequence {
			for range 1 + random.IntN(2) {
				a.deliver(t, o, parts[k])
			}
		}
	}
	a.settle(t)
	check := func(db *mongo.Database) {
		t.Helper()
		records := documents(t, db.Collection("subscriptions"), "subscription_id")
		for sub, o := range users {
			session := lookup(unmarshaled(t, o.bodies["session"]), "data.object.client_reference_id")
			want := fields{"user_id": session, "user_id_source": "checkout_session", "user_id_conflict": true}
			if docs := records[sub]; len(docs) != 1 || len(want.faults(docs[0])) > 0 {
				t.Errorf("%s: got %v, want %v", sub, docs, want)
			}
		}
	}
	check(a.database(t))
	if out, err := a.subscriber(t, "verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	a.settings = append(a.settings, "MONGODB_DATABASE=rebuilt")
	if out, err := a.subscriber(t, "replay"); err != nil {
		t.Errorf("replay: %v\n%s", err, out)
	}
	check(a.database(t).Client().Database("rebuilt"))
	a.checkAuditOfUser(t, users)
}

func unmarshaled(t *testing.T, raw []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// checkAuditOfUser finds the session, the customer and the link of one user.
func (a *alone) checkAuditOfUser(t *testing.T, users map[string]owned) {
	t.Helper()
	for _, o := range users {
		user, _ := lookup(unmarshaled(t, o.bodies["session"]), "data.object.client_reference_id").(string)
		out, err := a.subscriber(t, "audit", "--user", user, "--json")
		if err != nil {
			t.Errorf("audit: %v\n%s", err, out)
		}
		for _, id := range []string{"evt_" + o.word + "_1", "evt_" + o.word + "_2", "evt_" + o.word + "_3", "lnk_" + o.word} {
			if !strings.Contains(out, `"id":"`+id+`"`) {
				t.Errorf("audit --user %s does not find %s:\n%s", user, id, out)
			}
		}
		return
	}
}

// TestPaymentLink sends the session of a Payment Link, where a visitor can choose the
// reference. It names nobody, and the command says which keys could.
func TestPaymentLink(t *testing.T) {
	t.Parallel()
	a, random := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=any"), seeded(t)
	o := namedBy(t, random, "visitor", "", "")
	session := strings.NewReplacer(`"payment_link": null`, `"payment_link": "plink_1"`, `"userId": "visitor"`, `"memberId": "m-1"`).Replace(string(o.bodies["session"]))
	a.accept(t, []byte(session))
	a.accept(t, o.bodies["subscription"])
	a.settle(t)
	record := documents(t, a.database(t).Collection("subscriptions"), "subscription_id")["sub_"+o.word]
	if want := (fields{"user_id": nil, "user_id_source": nil}); len(record) != 1 || len(want.faults(record[0])) > 0 {
		t.Errorf("got %v, want no user", record)
	}
	out, err := a.subscriber(t, "audit", "--without-user", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		fmt.Sprintf(`{"kind":"record","key":"test:platform:sub_%[1]s","subscription_id":"sub_%[1]s","customer_id":"cus_%[1]s"}`, o.word),
		`{"kind":"metadata_key","in":"checkout_session","key":"client_reference_id","records":1}`,
		`{"kind":"metadata_key","in":"checkout_session","key":"memberId","records":1}`,
		`{"kind":"summary","records":1,"more":false}`,
	}
	if got := slices.Collect(strings.Lines(out)); strings.TrimSpace(out) != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, ""), strings.Join(want, "\n"))
	}
	if strings.Contains(out, "m-1") || strings.Contains(out, "visitor") {
		t.Error("a value is printed")
	}
}
