// Package mongostore keeps the audit trail and the state of subscriptions in
// MongoDB.
//
// The order of durable writes is the guarantee: the audit document first, the
// state document second, and only then is the caller told that the entry is
// recorded. A crash anywhere in between is repaired by the next delivery, since
// an audit document that is already there never skips the state step.
//
// State is a pure function of the set of audited events. The state document
// carries the facts that a later decision can depend on (version.known), so
// that no history is read, and is replaced whole under its revision
// (version.n): two writers can collide, but neither can overwrite what the
// other has seen.
//
// What is required of the database: inserts with a unique _id and replacement
// of one document by a filter on _id and version.n are atomic, and both are
// durable once acknowledged with majority write concern. MongoDB 5 and later
// gives this, as a standalone server or as a replica set.
package mongostore
