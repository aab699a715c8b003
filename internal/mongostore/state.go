package mongostore

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
)

// SourceSubscriptionMetadata is the user_id_source of a user id that stands in
// the subscription's own metadata.
const SourceSubscriptionMetadata = "subscription_metadata"

// stateHead is the part of a state document that a decision needs.
type stateHead struct {
	Key         string    `bson:"_id"`
	FirstSeenAt time.Time `bson:"first_seen_at"`
	Version     version   `bson:"version"`
}

func headProjection() bson.D {
	return bson.D{{Key: "_id", Value: 1}, {Key: "first_seen_at", Value: 1}, {Key: "version", Value: 1}}
}

// version says which event a state rests on, and carries what the ordering rule
// needs of the events that still matter.
type version struct {
	EventID      string    `bson:"event_id"`
	EventType    string    `bson:"event_type"`
	EventCreated time.Time `bson:"event_created"`
	Terminal     bool      `bson:"terminal"`
	// N grows with every write; a replacement names the one that it replaces.
	N     int64       `bson:"n"`
	Rule  int         `bson:"rule"`
	Known []knownFact `bson:"known"`
}

type knownFact struct {
	EventID    string    `bson:"event_id"`
	Type       string    `bson:"type"`
	APIVersion string    `bson:"api_version,omitempty"`
	Moment     time.Time `bson:"moment"`
	Terminal   bool      `bson:"terminal"`
}

// current reports whether the state exists and was decided by today's rules.
func (h *stateHead) current() bool { return h.Version.N > 0 && h.Version.Rule == events.Rule }

func (h *stateHead) facts() []events.Fact {
	facts := make([]events.Fact, len(h.Version.Known))
	for i, k := range h.Version.Known {
		facts[i] = events.Fact{
			EventID: k.EventID, Type: k.Type, APIVersion: k.APIVersion, Moment: k.Moment.UTC(), Terminal: k.Terminal,
		}
	}
	return facts
}

// encodeState renders the whole state document: what a later event withdrew
// must not stay behind from an earlier one.
func encodeState(head *stateHead, winner events.Message, verdict events.Verdict, now time.Time) (bson.Raw, error) {
	firstSeen := head.FirstSeenAt
	if firstSeen.IsZero() {
		firstSeen = now
	}
	sub := *winner.Data.Subscription
	doc := bson.D{{Key: "_id", Value: head.Key}}
	doc = append(doc, subscriptionFields(sub)...)
	if sub.UserID != "" {
		doc = append(doc, bson.E{Key: "user_id_source", Value: SourceSubscriptionMetadata})
	}
	doc = append(doc,
		bson.E{Key: "version", Value: nextVersion(head, winner, verdict)},
		bson.E{Key: "ordering", Value: string(verdict.Ordering)},
		bson.E{Key: "explanation", Value: verdict.Explanation},
		bson.E{Key: "first_seen_at", Value: firstSeen},
		bson.E{Key: "updated_at", Value: now},
	)
	return marshal(doc)
}

func nextVersion(head *stateHead, winner events.Message, verdict events.Verdict) version {
	known := make([]knownFact, len(verdict.Relevant))
	for i, f := range verdict.Relevant {
		known[i] = knownFact{EventID: f.EventID, Type: f.Type, APIVersion: f.APIVersion, Moment: f.Moment, Terminal: f.Terminal}
	}
	return version{
		EventID: winner.ID, EventType: typeOf(winner), EventCreated: winner.Time,
		Terminal: verdict.Winner.Terminal, N: head.Version.N + 1, Rule: events.Rule, Known: known,
	}
}
