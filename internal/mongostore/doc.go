// Package mongostore implements [store.Store] on MongoDB: the audit trail in the
// collection webhook_events, what events say about users in identities, and the records in
// subscriptions.
//
// It relies on two operations: an insert with a unique _id, and the replacement of
// one document by a filter on _id and what was read: version.n of a record, message of
// an audit document. Both must be atomic, and durable
// once acknowledged with majority write concern. MongoDB 5 and later does this, as
// a standalone server or as a replica set. No other package imports the driver.
package mongostore
