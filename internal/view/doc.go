// Package view keeps the state view: the records of subscriptions, and what customers and
// users may use, in a key-value bucket for other programs; and it publishes changes of
// access.
//
// The order of durable writes is the guarantee. The record of a subscription is in the
// database before any of it. Then follow, each after the one before:
//
//   - the state entry: the record, in the bucket. It replaces another one only if the
//     bucket still has the revision that was read, so a watcher never sees a state go back.
//   - the access entries of its customer and its user, in the bucket. They are made from
//     state entries, never from records: a database that is being rebuilt revokes nothing.
//   - the message about a change of access. The access entry is its outbox: it keeps what
//     the message says, and is replaced only once that is in the stream.
//   - the access document, in the database. Its revision says that the message is out.
//
// If the process dies in between, the next delivery does the rest. So everything here can
// be repeated, and by several processes at a time.
//
//   - view.go: what follows an entry of the audit trail ([View])
//   - state.go: state entries
//   - access.go: access entries and documents
//   - message.go: messages about changes of access
//   - cache.go, flight.go, listing.go: what saves reads and repetitions
package view
