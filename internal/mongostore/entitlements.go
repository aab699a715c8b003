package mongostore

import (
	"context"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// entitledDocument is one document of entitlements: which features a customer may use.
type entitledDocument struct {
	Key         string          `bson:"_id"`
	CustomerID  string          `bson:"customer_id"`
	Features    []feature       `bson:"features"`
	Truncated   bool            `bson:"truncated"`
	Ambiguous   bool            `bson:"ambiguous"`
	Version     entitledVersion `bson:"version"`
	FirstSeenAt time.Time       `bson:"first_seen_at"`
	UpdatedAt   time.Time       `bson:"updated_at"`
}

// entitledVersion says which list counts, as [version] does for a record.
type entitledVersion struct {
	EventID string      `bson:"event_id"`
	N       int64       `bson:"n"`
	Reread  bool        `bson:"reread,omitempty"`
	Known   []knownList `bson:"known"`
}

type knownList struct {
	EventID   string    `bson:"event_id"`
	Moment    time.Time `bson:"moment"`
	Read      bool      `bson:"read"`
	Truncated bool      `bson:"truncated"`
	Features  []feature `bson:"features"`
}

type feature struct {
	FeatureID string `bson:"feature_id,omitempty"`
	LookupKey string `bson:"lookup_key,omitempty"`
}

func featuresOf(list []events.Feature) []feature {
	docs := make([]feature, len(list)) // null is not a list
	for i, f := range list {
		docs[i] = feature(f)
	}
	return docs
}

func listOf(docs []feature) (list []events.Feature) {
	for _, d := range docs {
		list = append(list, events.Feature(d))
	}
	return list
}

func (d entitledDocument) entitled() store.Entitled {
	var known []ordering.EntitlementsFact
	for _, k := range d.Version.Known {
		known = append(known, ordering.EntitlementsFact{
			Entitlements: events.Entitlements{CustomerID: d.CustomerID, Features: listOf(k.Features), Truncated: k.Truncated},
			EventID:      k.EventID, Moment: k.Moment.UTC(), Read: k.Read,
		})
	}
	return store.Entitled{
		Key: d.Key, CustomerID: d.CustomerID, Revision: d.Version.N, Reread: d.Version.Reread,
		FirstSeenAt: d.FirstSeenAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(),
		CustomerEntitlements: ordering.CustomerEntitlements{
			Features: listOf(d.Features), Truncated: d.Truncated, Ambiguous: d.Ambiguous, EventID: d.Version.EventID, Known: known,
		},
	}
}

func entitledDocumentOf(e store.Entitled) entitledDocument {
	known := make([]knownList, len(e.Known))
	for i, f := range e.Known {
		known[i] = knownList{f.EventID, f.Moment, f.Read, f.Truncated, featuresOf(f.Features)}
	}
	return entitledDocument{
		Key: e.Key, CustomerID: e.CustomerID, Features: featuresOf(e.Features), Truncated: e.Truncated, Ambiguous: e.Ambiguous,
		Version:     entitledVersion{e.EventID, e.Revision, e.Reread, known},
		FirstSeenAt: e.FirstSeenAt, UpdatedAt: e.UpdatedAt,
	}
}

// Entitlements implements [store.EntitlementsTrail].
func (db database) Entitlements(ctx context.Context, keys []string) (map[string]store.Entitled, error) {
	found := make(map[string]store.Entitled, len(keys))
	q := query{db.entitlements, bson.D{anyOf("_id", keys)}, options.Find(), "reading entitlements"}
	for e, err := range converted(ctx, q, entitledDocument.entitled) {
		if err != nil {
			return nil, err
		}
		found[e.Key] = e
	}
	return found, nil
}

// PutEntitlements implements [store.Entitlements].
func (db database) PutEntitlements(ctx context.Context, e store.Entitled) error {
	doc, err := marshal(entitledDocumentOf(e))
	if err != nil {
		return err
	}
	return db.replaceRevision(ctx, db.entitlements, stateRevision(e.Key, e.Revision-1), doc, "writing entitlements")
}

// EntitlementEvents implements [store.EntitlementsTrail].
func (db database) EntitlementEvents(ctx context.Context, customers []string) iter.Seq2[store.Audited, error] {
	types := []string{events.EntitlementsSummary + ".updated", events.SubjectEntitlementsSnapshot}
	filter := bson.D{anyOf("customer_id", customers), anyOf("type", types)}
	return db.audited(ctx, filter, options.Find().SetProjection(bson.D{equal("payload", 0)}))
}
