// Package storetest holds what every database of a store must do, as tests that
// run against any, and a database in memory that fails on demand.
//
// [Memory] models what MongoDB guarantees and no more: each document is written
// by itself, atomically; what is written becomes durable later, is read only
// then, and may be forgotten by a failover before; whoever wrote it then does not
// learn what became of it. On it [Simulate] plays generated histories with
// workers, faults and crashes in an order that a seed determines, so that what
// goes wrong once goes wrong again.
//
// It is for tests only.
package storetest
