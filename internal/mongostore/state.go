package mongostore

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// SourceSubscriptionMetadata is the user_id_source of a user id that stands in
// the subscription's own metadata.
const SourceSubscriptionMetadata = "subscription_metadata"

// states is the collection of state documents.
type states struct {
	subscriptions *mongo.Collection
	server        *server
}

// stateHead is the part of a state document that a decision needs.
type stateHead struct {
	Key         string    `bson:"_id"`
	FirstSeenAt time.Time `bson:"first_seen_at"`
	Version     version   `bson:"version"`
}

func headProjection() bson.D {
	return bson.D{{Key: "_id", Value: 1}, {Key: "first_seen_at", Value: 1}, {Key: "version", Value: 1}}
}

// Heads reads states as the majority has them.
func (s states) Heads(ctx context.Context, keys []string) (map[string]store.Head, error) {
	cursor, err := s.subscriptions.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}},
		options.Find().SetProjection(headProjection()))
	if err != nil {
		return nil, explain("reading states", err)
	}
	var heads []stateHead
	if err := cursor.All(ctx, &heads); err != nil {
		return nil, explain("reading states", err)
	}
	found := make(map[string]store.Head, len(heads))
	for _, h := range heads {
		found[h.Key] = h.head()
	}
	return found, nil
}

// Replace sends each replacement as a command of its own: in one command for all
// the embedded database stops at the first failure without a word about the rest,
// and with many documents it never answers. No two concern one document, so on
// MongoDB, which writes each by itself, several may be under way.
func (s states) Replace(ctx context.Context, replacements []store.State) []error {
	failures := make([]error, len(replacements))
	atOnce := 1
	if len(replacements) > 1 && s.server.isMongoDB(ctx) {
		atOnce = maxAtOnce
	}
	forEach(len(replacements), atOnce, func(i int) { failures[i] = s.replaceOne(ctx, replacements[i]) })
	return failures
}

// replaceOne replaces the revision that was read. If that is no longer there,
// the upsert collides with what is, which is a duplicate key.
func (s states) replaceOne(ctx context.Context, state store.State) error {
	replacement, err := encodeState(state)
	if err != nil {
		return err
	}
	filter := bson.D{{Key: "_id", Value: state.Key}, {Key: "version.n", Value: state.N - 1}}
	res, err := s.subscriptions.ReplaceOne(ctx, filter, replacement, options.Replace().SetUpsert(true))
	return written("replacing state", single(replaced(res, err)))
}

// replaced fails for a success that wrote nothing. MongoDB does not answer so, but
// what claims to be one might, and the message would be acknowledged.
func replaced(res *mongo.UpdateResult, err error) error {
	if err == nil && res.MatchedCount+res.UpsertedCount != 1 {
		return errors.New("neither replaced nor inserted")
	}
	return err
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
	Request    string    `bson:"request,omitempty"`
	First      bool      `bson:"first,omitempty"`
	Before     digests   `bson:"before,omitempty"`
	After      digests   `bson:"after"`
}

type digests struct {
	Full string `bson:"full"`
	Core string `bson:"core"`
}

func known(f ordering.Fact) knownFact {
	return knownFact{
		EventID: f.EventID, Type: f.Type, APIVersion: f.APIVersion, Moment: f.Moment, Terminal: f.Terminal,
		Request: f.Request, First: f.First, Before: digests(f.Before), After: digests(f.After),
	}
}

func (k knownFact) fact() ordering.Fact {
	return ordering.Fact{
		EventID: k.EventID, Type: k.Type, APIVersion: k.APIVersion, Moment: k.Moment.UTC(), Terminal: k.Terminal,
		Request: k.Request, First: k.First, Before: ordering.Digest(k.Before), After: ordering.Digest(k.After),
	}
}

func (h stateHead) head() store.Head {
	facts := make([]ordering.Fact, len(h.Version.Known))
	for i, k := range h.Version.Known {
		facts[i] = k.fact()
	}
	return store.Head{Key: h.Key, FirstSeenAt: h.FirstSeenAt, N: h.Version.N, Rule: h.Version.Rule, Known: facts}
}

// encodeState renders the whole state document: what a later event withdrew
// must not stay behind from an earlier one.
func encodeState(s store.State) (bson.Raw, error) {
	sub := *s.Winner.Data.Subscription
	doc := bson.D{{Key: "_id", Value: s.Key}}
	doc = append(doc, subscriptionFields(sub)...)
	if sub.UserID != "" {
		doc = append(doc, bson.E{Key: "user_id_source", Value: SourceSubscriptionMetadata})
	}
	doc = append(doc,
		bson.E{Key: "version", Value: versionOf(s)},
		bson.E{Key: "ordering", Value: string(s.Ordering)},
		bson.E{Key: "explanation", Value: s.Explanation},
		bson.E{Key: "first_seen_at", Value: s.FirstSeenAt},
		bson.E{Key: "updated_at", Value: s.UpdatedAt},
	)
	return marshal(doc)
}

func versionOf(s store.State) version {
	facts := make([]knownFact, len(s.Known))
	for i, f := range s.Known {
		facts[i] = known(f)
	}
	return version{
		EventID: s.Winner.ID, EventType: typeOf(s.Winner), EventCreated: s.Winner.Time,
		Terminal: s.Terminal, N: s.N, Rule: s.Rule, Known: facts,
	}
}
