// Package store records entries: what of an event has to be written, in which
// order, and when it may be acknowledged. Which database it is written to is
// another package's business.
//
// The order of durable writes is the guarantee: the audit document first, the
// state document second, and only then is the caller told that the entry is
// recorded. A crash anywhere in between is repaired by the next delivery, since
// an audit document that is already there never skips the state step.
//
// State is a pure function of the set of audited events. The state document
// carries the facts that a later decision can depend on ([Head.Known]), so that
// no history is read, and is replaced whole under its revision ([Head.N]): two
// writers can collide, but neither can overwrite what the other has seen.
//
// [Committer] is the algorithm, [Queue] makes batches of what comes in, and
// [AuditTrail] and [States] say what is required of a database.
package store
