package e2e_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
)

// deliver sends events, each until it is accepted, as Stripe does.
func (s *site) deliver(t *testing.T, h stripesim.History, cfg stripesim.SendConfig) {
	t.Helper()
	cfg.URL, cfg.Accepted = s.webhookURL, func(id string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accepted[id] = true
	}
	if _, err := stripesim.Send(t.Context(), h, cfg); err != nil {
		t.Error(err)
	}
}

// post sends one event after the other.
func (s *site) post(t *testing.T, secret string, deliveries ...stripesim.Delivery) {
	t.Helper()
	s.deliver(t, stripesim.History{Deliveries: deliveries}, stripesim.SendConfig{Secret: secret, Workers: 1})
}

func webhook(id string, body []byte) stripesim.Delivery {
	return stripesim.Delivery{ID: id, Body: body}
}

// histories sends the histories of customers and users with one or two subscriptions, out of
// order and with repetitions.
func histories(t *testing.T, s *site) func() {
	h := stripesim.Generate(stripesim.Config{Seed: s.seed + uint64(s.turn), Subscriptions: 8, PerCustomer: 2, UserIDs: true})
	maps.Copy(s.truth, h.Truth)
	s.deliver(t, h, stripesim.SendConfig{Secret: oldSecret, Disorder: true, Duplicates: 0.2})
	return nil
}

// renamed renames the product that all subscriptions have.
func renamed(t *testing.T, s *site) func() {
	for i := range 3 {
		id := fmt.Sprintf("evt_named_%d_%d", s.turn, i)
		s.post(t, oldSecret, webhook(id, event(id, fmt.Sprintf("sub_named_%d_%d", s.turn, i), i)))
	}
	id, name := fmt.Sprintf("evt_name_%d", s.turn), fmt.Sprintf("Name %d", s.turn)
	s.post(t, oldSecret, webhook(id, fmt.Appendf(nil, `{"id":%q,"object":"event","type":"product.updated","created":%d,"livemode":false,`+
		`"api_version":"2025-09-30.clover","data":{"object":{"id":"prod_1","object":"product","active":true,"name":%q}}}`, id, epoch+s.turn, name)))
	return func() {
		states, _ := bucket(t, s.jetStream(t))
		for key, state := range states {
			if got := state.Items[0].ProductName; got != name {
				t.Errorf("%s: the entry has the name %q, want %q", key, got, name)
			}
		}
		for _, record := range records[bson.M](t, s.database(t)) {
			if got := fmt.Sprint(record["items"]); !strings.Contains(got, name) {
				t.Errorf("%v: the record has the items %s, want the name %q", record["_id"], got, name)
			}
		}
	}
}

// summary is an event with the first ten of some entitlements.
func summary(id, customer string, n int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"entitlements.active_entitlement_summary.updated","created":%d,"livemode":false,`+
		`"api_version":"2025-09-30.clover","data":{"object":{"object":"entitlements.active_entitlement_summary","customer":%q,"livemode":false,"entitlements":%s}}}`,
		id, epoch, customer, entitlementList(min(n, 10), n > 10))
}

func entitlementList(n int, more bool) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"id":"ent_%02d","object":"entitlements.active_entitlement","feature":"feat_%02d","livemode":false,"lookup_key":"feature-%02d"}`, i, i, i))
	}
	return fmt.Sprintf(`{"object":"list","data":[%s],"has_more":%v}`, strings.Join(list, ","), more)
}

// claimed names the user of a customer whose subscription is stored.
func claimed(t *testing.T, s *site) func() {
	customer, id := fmt.Sprintf("cus_claimed%d", s.turn), fmt.Sprintf("evt_claimed_%d", s.turn)
	nobodys := strings.NewReplacer("cus_1", customer, `"user_id":"user_1",`, "")
	s.post(t, oldSecret, webhook(id+"_0", []byte(nobodys.Replace(string(event(id+"_0", "sub_"+customer, 1))))))
	record := func() bson.M {
		return byKey(records[bson.M](t, s.database(t)))[events.Key(false, "", "sub_"+customer)]
	}
	kit.Eventually(t, "the subscription is stored", func() bool { return record() != nil })
	s.post(t, oldSecret, webhook(id, fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.updated","created":%d,"livemode":false,`+
		`"api_version":"2025-09-30.clover","data":{"object":{"id":%q,"object":"customer","metadata":{"user_id":"user_claimed"}}}}`, id, epoch, customer)))
	return func() {
		if got := record()["user_id"]; got != "user_claimed" {
			t.Errorf("%s: got the user %v", customer, got)
		}
	}
}

// entitled sends the entitlements of a customer.
func entitled(t *testing.T, s *site) func() { return s.entitle(t, 3) }

// entitlementsCutOff sends only some of them. The bridge reads the others.
func entitlementsCutOff(t *testing.T, s *site) func() { return s.entitle(t, 12) }

func (s *site) entitle(t *testing.T, n int) func() {
	customer, id := fmt.Sprintf("cus_entitled%d", s.turn), fmt.Sprintf("evt_entitled_%d", s.turn)
	s.api.On("/v1/entitlements/active_entitlements?limit=100&customer="+customer, answered(entitlementList(n, false)))
	subscription := strings.ReplaceAll(string(event(id+"_0", "sub_"+customer, 1)), "cus_1", customer)
	s.post(t, oldSecret, webhook(id+"_0", []byte(subscription)), webhook(id, summary(id, customer, n)))
	return func() {
		_, documents := bucket(t, s.jetStream(t))
		key := strings.ReplaceAll(events.CustomerAccessKey(false, "", customer), ".", ":")
		if got := documents[key]; len(got.Features) != n || got.Ambiguous {
			t.Errorf("%s: got the features %v, ambiguous %v, want %d", key, got.Features, got.Ambiguous, n)
		}
	}
}

// inTwoVersions sends events through two endpoints, first in the older version. The newer one
// counts.
func inTwoVersions(t *testing.T, s *site) func() {
	const versioned = `{"id":%q,"object":"event","type":"customer.subscription.updated","created":1760000000,"livemode":false,"api_version":%q,` +
		`"data":{"object":{"id":%q,"object":"subscription",%s"status":"active","customer":%q,"created":1750000000},"previous_attributes":{"status":"past_due"}}}`
	name := func(kind string, i int) string { return fmt.Sprintf("%s_version_%d_%d", kind, s.turn, i) }
	record := func(i int) bson.M {
		return byKey(records[bson.M](t, s.database(t)))[events.Key(false, "", name("sub", i))]
	}
	post := func(secret, version, members string) {
		for i := range 6 {
			id := name("evt", i)
			s.post(t, secret, webhook(id, fmt.Appendf(nil, versioned, id, version, name("sub", i), members, name("cus", i))))
		}
	}
	post(oldSecret, "2018-11-08", "")
	kit.Eventually(t, "there is a record of the older version", func() bool { return record(0) != nil })
	post(newerSecret, "2026-06-24.dahlia", `"description":"newer",`)
	return func() {
		for i := range 6 {
			if got := record(i)["description"]; got != "newer" {
				t.Errorf("%s: got the description %v, want that of the newer version", name("sub", i), got)
			}
		}
	}
}

// unreadable publishes a message that no release can read, and then an event.
func unreadable(t *testing.T, s *site) func() {
	if _, err := s.jetStream(t).Publish(t.Context(), "subscription.updated", []byte("poison")); err != nil {
		t.Error(err)
	}
	s.letters++
	id := fmt.Sprintf("evt_readable_%d", s.turn)
	s.post(t, oldSecret, webhook(id, event(id, fmt.Sprintf("sub_readable_%d", s.turn), 1)))
	return nil
}

// bucketDeleted deletes the bucket of the state view. The bridge creates it again when it starts.
func bucketDeleted(t *testing.T, s *site) func() {
	js := s.jetStream(t)
	before := ids(accessMessages(t, js))
	if err := js.DeleteKeyValue(t.Context(), events.StateBucket); err != nil {
		t.Error(err)
	}
	s.bridge.Kill(t)
	s.bridge.Start(t)
	return func() {
		kit.Eventually(t, "the state view is complete", func() bool {
			states, _ := bucket(t, js)
			return len(states) == len(records[bson.M](t, s.database(t)))
		})
		checkView(t, s.cluster)
		if after := ids(accessMessages(t, js)); len(after) != len(before) {
			t.Errorf("got %d messages about access, want the %d from before", len(after), len(before))
		}
	}
}

// cutOff sends an event that lists ten of twelve items. The bridge reads the others.
func cutOff(t *testing.T, s *site) func() {
	id, sub := fmt.Sprintf("evt_cut_%d", s.turn), fmt.Sprintf("sub_cut%d", s.turn)
	named := func(text string) string {
		return strings.NewReplacer("sub_1", sub, "cus_1", fmt.Sprintf("cus_cut%d", s.turn)).Replace(text)
	}
	s.api.On("/v1/subscriptions/"+sub, answered(named(listOf(12, s.turn))))
	s.post(t, oldSecret, webhook(id, []byte(named(string(listEvent(id, "created", time.Unix(epoch, 0), 10))))))
	return func() {
		snapshots := 0
		for _, m := range s.snapshots(t) {
			if m.Data.BecauseOf == id {
				snapshots++
			}
		}
		record := byKey(records[bson.M](t, s.database(t)))[events.Key(false, "", sub)]
		if items, _ := record["items"].(bson.A); len(items) != 12 || record["items_truncated"] == true || snapshots != 1 {
			t.Errorf("%s: got %d items, truncated %v, and %d snapshots, want 12 of one", sub, len(items), record["items_truncated"], snapshots)
		}
	}
}

// snapshots returns the snapshots of subscriptions in the stream.
func (s *site) snapshots(t *testing.T) []events.Message {
	t.Helper()
	return importer{cluster: s.cluster}.messages(t, events.SubjectSnapshot)
}
