// Package arch tests the architecture: which package may import which, what each
// program links, and that every package is documented.
//
// It is for tests only.
package arch
