package store

import (
	"context"
	"iter"

	"github.com/billbus/billbus/events"
)

// AccessOwner is a customer or a user, in one mode and account. Exactly one of Customer and User
// is set. Customer is the id of a customer, or of the account that represents it.
type AccessOwner struct {
	// Scope is the beginning of the keys of the mode and account, such as "live:platform:".
	Scope          string
	Customer, User string
}

// View is what the state view needs of a database.
type View interface {
	States
	// Entitlements is that of [EntitlementsTrail].
	Entitlements(ctx context.Context, keys []string) (map[string]Entitled, error)
	// EntitlementKeys yields the keys of all customers with a document about entitlements.
	EntitlementKeys(ctx context.Context) iter.Seq2[string, error]
	// RecordsOf returns the keys of the records of owners, by owner.
	RecordsOf(ctx context.Context, owners []AccessOwner) (map[AccessOwner][]string, error)
	// RecordKeys yields the keys of all records.
	RecordKeys(ctx context.Context) iter.Seq2[string, error]
	// Completed returns the name of the bucket into which all records were brought last; "" if
	// there is none. SetCompleted sets it.
	Completed(ctx context.Context) (bucket string, err error)
	SetCompleted(ctx context.Context, bucket string) error
	// Access returns an access document. It reports false if there is none.
	Access(ctx context.Context, key string) (events.AccessDocument, bool, error)
	// ReplaceAccess writes an access document, unless there is one of the same or a later
	// revision: then the error is [ErrExists]. Comparing and writing are one atomic step.
	ReplaceAccess(ctx context.Context, key string, doc events.AccessDocument) error
}
