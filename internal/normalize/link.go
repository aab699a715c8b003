package normalize

import (
	"cmp"
	"strconv"
	"time"

	"github.com/billbus/billbus/events"
)

// Link is a pair of a customer and a user of the application. Of CustomerID and
// CustomerAccountID, at least one is set.
type Link struct {
	Livemode          bool
	Account           string // "" is the platform
	CustomerID        string
	CustomerAccountID string
	UserID            string
	// AsOf is since when the application says so, in milliseconds. Of the links of a
	// customer, the newest counts.
	AsOf time.Time
}

// Message makes the message of a link. Its id depends on the link alone, so publishing a
// link again changes nothing.
func (l Link) Message(receivedAt time.Time) events.Message {
	asOf := l.AsOf.UTC().Truncate(time.Millisecond)
	return events.Message{
		SpecVersion: events.SpecVersion,
		ID: "link_" + digest(events.Mode(l.Livemode), l.Account, l.CustomerID, l.CustomerAccountID, l.UserID,
			strconv.FormatInt(asOf.UnixMilli(), 10)),
		Source:          events.Source(l.Livemode, l.Account),
		Type:            events.SubjectUserLinked,
		Subject:         cmp.Or(l.CustomerID, l.CustomerAccountID),
		Time:            asOf,
		DataContentType: events.DataContentType,
		StripeAccount:   l.Account,
		Livemode:        l.Livemode,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion,
			Identity: &events.Identity{
				UserID: l.UserID, Source: events.IdentityLink, CustomerID: l.CustomerID, CustomerAccountID: l.CustomerAccountID,
			},
			Origin:     events.OriginLink,
			ReceivedAt: receivedAt.UTC().Truncate(time.Millisecond),
		},
	}
}
