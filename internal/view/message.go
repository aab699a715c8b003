package view

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
)

// subject returns the subject of an entry's message; "" if it has none.
func (e accessEntry) subject() string {
	var before events.AccessDocument
	if e.Previous != nil {
		before = *e.Previous
	}
	return events.AccessSubject(before, e.AccessDocument)
}

// messageOf returns the message of an access entry, which is always the same. Its
// metadata become headers, and its UUID the Nats-Msg-Id.
func messageOf(key string, e accessEntry) (*message.Message, error) {
	p, after, before := placeOfAccess(key), e.WithoutNames(), e.Previous
	if before != nil {
		without := before.WithoutNames()
		before = &without
	}
	m := events.Message{
		SpecVersion: events.SpecVersion, ID: eventID(key, e.Revision), Source: events.Source(p.livemode, p.account),
		Type: e.subject(), Subject: key, Time: e.UpdatedAt, DataContentType: events.DataContentType,
		StripeAccount: p.account, Livemode: p.livemode,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Access: &after, PreviousAccess: before,
			Origin: events.OriginRecord, ReceivedAt: e.UpdatedAt,
		},
	}
	msg, err := handlers.NewMessage(m)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	return msg, nil
}

// eventID returns the id of the message about a revision of an access document.
func eventID(key string, revision int64) string {
	sum := sha256.Sum256([]byte(key + "@" + strconv.FormatInt(revision, 10)))
	return "access_" + hex.EncodeToString(sum[:16])
}

// messageID returns the Nats-Msg-Id of that message.
func messageID(key string, revision int64) string {
	return events.MessageID(placeOfAccess(key).account, eventID(key, revision))
}
