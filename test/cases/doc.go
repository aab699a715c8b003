// Package cases sends stories from production through the built programs, their events in
// many orders, and checks what the records, the messages and the audit trail say at the end.
//
// A story is a folder of testdata: the events as Stripe sends them, in 01.json and so on,
// and expected.json, which says what is right. The ids of a story contain one word of its own, as in
// evt_word_1, which each order replaces. So all orders share one running standalone.
package cases
