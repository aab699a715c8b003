// Package release tests what a release is made of: that the same commit gives
// the same files, that their SBOMs name what is linked, that licenses permit
// shipping it, and that nothing unpinned takes part.
//
// It is for tests only.
package release
