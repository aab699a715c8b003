package kit

import (
	"time"

	"github.com/billbus/billbus/events"
)

// At is a fixed time plus some seconds.
func At(second int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(second) * time.Second)
}

// Event returns the message of a customer.subscription event that leaves the
// subscription in a status. It is valid, of the platform and in test mode; second
// counts from [At].
func Event(sub, id, word string, second int, status string) events.Message {
	stripeType := "customer.subscription." + word
	subject, ok := events.SubscriptionSubject(stripeType)
	if !ok {
		panic("kit: " + stripeType + " is not the type of a subscription event")
	}
	return events.Message{
		SpecVersion: events.SpecVersion, ID: id, Source: events.Source(false, ""), Type: subject, Subject: sub,
		Time: At(second), DataContentType: events.DataContentType, StripeType: stripeType,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Origin: events.OriginWebhook, ReceivedAt: At(second + 1),
			Subscription: &events.Subscription{ID: sub, Status: status, Access: events.Access(status)},
			Event:        []byte(`{"id":"` + id + `"}`),
		},
	}
}

// Update returns the message of an updated event that leads from one status to
// another.
func Update(sub, id string, second int, from, to string) events.Message {
	m := Event(sub, id, "updated", second, to)
	m.Data.Previous = &events.Previous{Fields: []string{"status"}, Values: events.Subscription{Status: from}}
	return m
}

// Key returns the key of a subscription, or of an event, of [Event].
func Key(id string) string { return events.Key(false, "", id) }
