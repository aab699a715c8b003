// Package arch holds the rules about who may import whom, as a test: what
// each package may know of, what each program may link, and that everything is
// documented.
//
// It is for tests only.
package arch
