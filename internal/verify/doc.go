// Package verify compares what a store holds with what its audit trail says.
//
//   - verify.go: compares every record with the audit trail, and corrects it
//     ([Verifier]); comparison.go compares one
//   - outcome.go: what became of each event ([Outcomes])
//   - gapwatch.go: counts gaps while messages are processed ([GapWatch])
//   - retention.go: removes audit documents that are no longer needed
//     ([RemoveExpired])
//
// It works on the interfaces of package store. A verification reads audit trail and
// records in the order of the subscriptions' keys, so it holds the events of one
// subscription at a time, however many there are.
package verify
