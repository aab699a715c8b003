// Package ordering decides which event of a subscription holds its current state,
// and where events are missing.
//
// Stripe delivers events late, twice and out of order, and stamps them in whole
// seconds. So events that are close together are ordered by what they say: an
// updated event leads from one state to another, and the state in which these
// steps end is the current one.
//
// The files, in the order in which to read them:
//
//   - fold.go: the rule ([Fold])
//   - window.go: which events compete, and which a later decision can need
//   - verdict.go: which event holds the last state
//   - history.go: in which state changes end, if stamps can lie
//   - path.go: events as steps between states
//   - gaps.go: where events are missing ([Gaps])
//   - user.go: whose a subscription is ([ResolveUser])
//   - fact.go: what the rule needs of one event ([FactOf])
//   - compare.go, digest.go, fields.go: when two states are the same
//
// Both [Fold] and [Gaps] are functions of a set: the order in which events arrive,
// and how often, changes nothing.
package ordering
