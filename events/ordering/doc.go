// Package ordering decides which event of a subscription holds its present state.
//
// Stripe delivers events late, twice and out of order, and stamps them in whole
// seconds. So the decision goes by what events say: an update leads from one state
// to another, and the state in which these steps end is the present one.
//
//   - fact.go: what the rule needs to know of one event ([FactOf])
//   - fold.go: the rule ([Fold])
//   - graph.go: events of the last seconds as steps between states
//   - gaps.go: where events are missing ([Gaps])
//
// Everything here is a function of a set of events: the order in which they arrive
// and repetitions change nothing.
package ordering
