// Package mongostore keeps the audit trail and the state of subscriptions in
// MongoDB. What is written when is decided by [store]; this package knows how.
//
// What is required of the database: inserts with a unique _id and replacement
// of one document by a filter on _id and version.n are atomic, and both are
// durable once acknowledged with majority write concern. MongoDB 5 and later
// gives this, as a standalone server or as a replica set.
package mongostore
