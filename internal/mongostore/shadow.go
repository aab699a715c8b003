package mongostore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// all are the collections of a database. In a shadow, the last one shows that it is one.
var all = []string{Subscriptions, Identities, Retention, Catalog, Access, StateView, DeadLetters, Entitlements, WebhookEvents}

// namespace names the collections of a database, or those of its shadow.
type namespace struct {
	database *mongo.Database
	shadow   string // "" for none
}

// Collection returns a collection by its name in the live database.
func (n namespace) Collection(name string) *mongo.Collection {
	return n.database.Collection(n.nameOf(name))
}

func (n namespace) nameOf(name string) string {
	switch {
	case n.shadow == "":
		return name
	case name == Subscriptions:
		return n.shadow
	}
	return n.shadow + "_" + name
}

// IsTaken reports whether a shadow cannot have a name, because a collection of the live
// database has it.
func IsTaken(name string) bool {
	return slices.Contains(all, name) || strings.HasPrefix(name, "system.")
}

// IsShadow reports whether there is a shadow. It fails if its name is that of a
// collection that is not a shadow.
func (s *Store) IsShadow(ctx context.Context) (bool, error) {
	names, err := s.namespace.database.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return false, explain("listing collections", err)
	}
	switch is := slices.Contains(names, s.nameOf(WebhookEvents)); {
	case !is && slices.Contains(names, s.shadow):
		return false, fmt.Errorf("the collection %s exists, and no replay has made it: choose another name", s.shadow)
	default:
		return is, nil
	}
}

// DropShadow removes the collections of a shadow, if there is one.
func (s *Store) DropShadow(ctx context.Context) error {
	is, err := s.IsShadow(ctx)
	if err != nil || !is {
		return err
	}
	for _, name := range all {
		if err := s.Collection(name).Drop(ctx); err != nil {
			return explain("removing the collection "+s.nameOf(name), err)
		}
	}
	return nil
}
