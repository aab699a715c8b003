package store

import (
	"context"
	"errors"
)

// ErrExists is the outcome of a write that found another document under its key,
// or another revision than the one it was to replace. That document is durable.
// It is not a failure: another writer was first.
var ErrExists = errors.New("another document is there already")

// Database is what committing needs of a database. Any number of processes may use
// one database at a time.
//
// The guarantees below hold for every interface in this package.
//
//   - Atomicity: each document is written on its own, completely or not at all. No
//     method needs a transaction over several documents.
//   - Durability: what a method has confirmed, by no error or by [ErrExists],
//     survives every failover.
//   - Consistency: a read returns only what is durable. It may miss the newest
//     write of another process. A sequence is not a snapshot: what is written while
//     it is read may be in it or not.
//   - Errors: any error other than [ErrExists] leaves open whether the write took
//     place. Errors are marked by package fault: permanent if this document can
//     never be written or read, transient otherwise. Their texts never quote a
//     document. A sequence yields an error once, and then ends.
//   - Cancellation: when its context is done, a method returns a transient error
//     soon. The outcome of its writes is then unknown.
type Database interface {
	AuditTrail
	Identities
	Records
	Catalog
	Entitlements
}

// Store is everything that the programs use of a database, together with the
// [Queue] that commits to it.
type Store interface {
	Database
	Search
	View
	Verification
	Admission
	Anonymity
	Retention
	Listings
	Letters
	Rereading

	// Commit commits one entry, as [Queue.Commit] does.
	Commit(ctx context.Context, entry Entry) (Effect, error)
	// Sweep brings the names in records up to the catalog, as [Queue.Sweep] does.
	Sweep(ctx context.Context, holder string, follow Follow) (written int, err error)
	// Provision creates the tables and indexes that are missing or, if create is
	// false, waits for another process to create them. It retries until it succeeds
	// or ctx is done. Entries can be committed meanwhile.
	Provision(ctx context.Context, create bool)
	// Ping reports whether the database can be reached.
	Ping(ctx context.Context) error
	// Check reports why the store is not ready: the database cannot be reached, or
	// Provision has not succeeded yet. It answers within two seconds.
	Check(ctx context.Context) error
	// Abort gives up what is being committed, as [Queue.Abort] does.
	Abort()
	// Close commits what was accepted, and disconnects.
	Close(ctx context.Context) error
}
