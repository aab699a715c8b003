// Package verify compares what is stored with what the audit trail says, and
// puts it right: verification of states, what became of each event, and which
// events the trail may forget.
//
// It knows no database. What it reads comes in streams, in the order of
// subscriptions, so that it holds the events of one subscription at a time,
// however many there are; what it compares are names and texts.
package verify
