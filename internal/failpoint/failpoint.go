// Package failpoint names the points at which the tests kill the programs: between two
// durable writes, where a crash would show that their order is wrong.
//
// Programs are built with the tag failpoints for that. Without it, the package does nothing,
// and not even the names of the points are in the program.
package failpoint
