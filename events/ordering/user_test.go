package ordering_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

func session(id, user, subscription string, at int64) ordering.UserFact {
	return userFact(id, user, events.IdentityCheckoutSession, subscription, at)
}

func customerNames(id, user string, at int64) ordering.UserFact {
	return userFact(id, user, events.IdentityCustomerMetadata, "", at)
}

func linked(id, user string, at int64) ordering.UserFact {
	return userFact(id, user, events.IdentityLink, "", at)
}

func userFact(id, user string, source events.IdentitySource, subscription string, at int64) ordering.UserFact {
	return ordering.UserFact{
		Identity: events.Identity{UserID: user, Source: source, CustomerID: "cus_1", SubscriptionID: subscription},
		EventID:  id, Created: time.Unix(at, 0).UTC(),
	}
}

func TestResolveUser(t *testing.T) {
	t.Parallel()
	stranger := linked("evt_9", "u9", 900)
	stranger.CustomerID = "cus_2"
	anonymous := linked("evt_8", "u8", 900)
	anonymous.CustomerID = ""
	account := ordering.UserFact{
		Identity: events.Identity{UserID: "u7", Source: events.IdentityCustomerMetadata, CustomerAccountID: "acct_7"},
		EventID:  "evt_7", Created: time.Unix(700, 0),
	}
	for name, tt := range map[string]struct {
		own   string
		facts []ordering.UserFact
		want  ordering.User
	}{
		"nothing":                    {},
		"other customers":            {facts: []ordering.UserFact{stranger, anonymous}},
		"metadata of its own":        {"u1", nil, ordering.User{ID: "u1", Source: events.IdentitySubscriptionMetadata}},
		"its session":                {"", []ordering.UserFact{session("evt_1", "u1", "sub_1", 1)}, ordering.User{ID: "u1", Source: events.IdentityCheckoutSession}},
		"another session":            {"", []ordering.UserFact{session("evt_1", "u1", "sub_2", 1)}, ordering.User{ID: "u1", Source: ordering.CustomerCheckoutSession}},
		"a session for no one":       {"", []ordering.UserFact{session("evt_1", "u1", "", 1)}, ordering.User{ID: "u1", Source: ordering.CustomerCheckoutSession}},
		"the account":                {"", []ordering.UserFact{account}, ordering.User{ID: "u7", Source: events.IdentityCustomerMetadata}},
		"own before session":         {"u1", []ordering.UserFact{session("evt_1", "u2", "sub_1", 9)}, ordering.User{ID: "u1", Source: events.IdentitySubscriptionMetadata, Conflict: true}},
		"session before customer":    {"", []ordering.UserFact{customerNames("evt_2", "u2", 9), session("evt_1", "u1", "sub_1", 1)}, ordering.User{ID: "u1", Source: events.IdentityCheckoutSession, Conflict: true}},
		"customer before link":       {"", []ordering.UserFact{linked("evt_2", "u2", 9), customerNames("evt_1", "u1", 1)}, ordering.User{ID: "u1", Source: events.IdentityCustomerMetadata, Conflict: true}},
		"link before other session":  {"", []ordering.UserFact{session("evt_2", "u2", "sub_2", 9), linked("evt_1", "u1", 1)}, ordering.User{ID: "u1", Source: events.IdentityLink, Conflict: true}},
		"all agree":                  {"u1", []ordering.UserFact{session("evt_1", "u1", "sub_1", 1), customerNames("evt_2", "u1", 2), linked("evt_3", "u1", 3)}, ordering.User{ID: "u1", Source: events.IdentitySubscriptionMetadata}},
		"the newest":                 {"", []ordering.UserFact{customerNames("evt_1", "u2", 2), customerNames("evt_2", "u1", 1)}, ordering.User{ID: "u2", Source: events.IdentityCustomerMetadata}},
		"taken out of the metadata":  {"", []ordering.UserFact{customerNames("evt_1", "", 2), customerNames("evt_2", "u1", 1)}, ordering.User{}},
		"taken out, but linked":      {"", []ordering.UserFact{customerNames("evt_1", "", 2), customerNames("evt_2", "u2", 1), linked("evt_3", "u1", 1)}, ordering.User{ID: "u1", Source: events.IdentityLink}},
		"two in one second":          {"", []ordering.UserFact{linked("evt_1", "u1", 1), linked("evt_2", "u2", 1)}, ordering.User{ID: "u2", Source: events.IdentityLink, Conflict: true}},
		"twice in one second":        {"", []ordering.UserFact{linked("evt_1", "u1", 1), linked("evt_2", "u1", 1)}, ordering.User{ID: "u1", Source: events.IdentityLink}},
		"two in one second, earlier": {"", []ordering.UserFact{linked("evt_1", "u1", 1), linked("evt_2", "u2", 1), linked("evt_3", "u3", 2)}, ordering.User{ID: "u3", Source: events.IdentityLink}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sub := &events.Subscription{ID: "sub_1", UserID: tt.own, CustomerID: "cus_1", CustomerAccountID: "acct_7"}
			facts := append([]ordering.UserFact{stranger, anonymous}, tt.facts...)
			for range 10 {
				rand.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
				if got := ordering.ResolveUser(sub, facts); got != tt.want {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
			}
		})
	}
}

func TestUserFactOf(t *testing.T) {
	t.Parallel()
	says := func(source events.IdentitySource, ignored string) events.Message {
		return events.Message{ID: "evt_1", Data: events.Data{Identity: &events.Identity{Source: source}, Ignored: ignored}}
	}
	for name, tt := range map[string]struct {
		msg  events.Message
		want bool
	}{
		"session":      {says(events.IdentityCheckoutSession, ""), true},
		"customer":     {says(events.IdentityCustomerMetadata, ""), true},
		"link":         {says(events.IdentityLink, ""), true},
		"ignored":      {says(events.IdentityLink, events.IgnoredLivemode), false},
		"subscription": {says(events.IdentitySubscriptionMetadata, ""), false},
		"nothing":      {events.Message{}, false},
	} {
		if fact, ok := ordering.UserFactOf(tt.msg); ok != tt.want || ok && fact.EventID != "evt_1" {
			t.Errorf("%s: got %+v, %t", name, fact, ok)
		}
	}
}
