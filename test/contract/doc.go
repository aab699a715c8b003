// Package contract holds the contract files of package events against its
// Go types: the JSON Schema, the AsyncAPI document, the examples, the page for
// readers, and the record of what was once promised.
//
// Names, types and known words are read from the types by reflection, meanings
// from their comments. `go generate ./events` writes the schema from that, and
// adds new fields to the record; what the record has can only be altered by
// hand, after [events.SchemaVersion] was raised.
//
// It is for tests only, and apart from package events, so that the validators
// that it needs are no business of those who read the stream.
package contract
