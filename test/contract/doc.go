// Package contract checks the contract files of package events against its Go types: the
// JSON Schema, the AsyncAPI document, the examples, docs/events.md, and the record of
// what was promised.
//
// Names, types and known words come from the Go types by reflection, descriptions from
// their comments. `go generate ./events` writes the schema and adds new fields to the
// record. What is in the record can only be changed by hand, after raising
// [events.SchemaVersion].
//
// It contains only tests. They are not in package events, to keep the validators that
// they need out of its dependencies.
package contract
