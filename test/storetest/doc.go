// Package storetest tests databases: a suite that every implementation of package
// store must pass, and a database in memory that can fail on demand.
//
// [Run] is the suite. It uses nothing but the interfaces of package store, so a second
// store gets all of it.
//
// [Memory] models what MongoDB guarantees and no more: each document is written
// atomically, on its own; it becomes durable later and is read only then; a failover
// before that undoes it, and its writer never learns what happened. [Simulate] plays
// generated histories on it, with workers, faults and crashes. A seed determines their
// order, so a failure can be repeated.
//
// Only tests import it.
package storetest
