// Package store decides what is written about an event, in which order, and when
// its message may be acknowledged. How a database does the writing is up to the
// package that implements [Store].
//
// The order of durable writes is the guarantee: first the audit document, then what
// it says about a user, then the records that depend on it, and only then does [Committer.Commit] report success.
// If the process dies in between, the next delivery repairs it: an audit document
// that is already there never skips the record.
//
// A record is a pure function of the set of audited events. It carries the facts
// that a later decision can depend on ([Head.Known]), so no history is read. It is
// replaced as a whole, on the condition that its revision has not changed: two
// writers can collide, but neither can overwrite what the other has seen.
//
//   - commit.go: the algorithm ([Committer])
//   - update.go: what is read and decided for a record
//   - user.go: the users of records
//   - queue.go: batches of what callers bring one by one ([Queue])
//   - database.go: what every database must guarantee ([Store])
//   - audit.go: the audit trail ([AuditTrail], [Search], [Retention])
//   - letter.go: what was done with dead letters ([Letters])
//   - entitlements.go: which features customers may use ([Entitlements])
//   - identity.go: what events say about users ([Identities], [Anonymity])
//   - record.go: the records ([Records], [States], [Verification])
package store
