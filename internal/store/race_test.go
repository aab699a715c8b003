//go:build race

package store_test

// defaultSchedules are few: one worker runs at a time, in which the race detector
// finds nothing and takes twenty times as long.
const defaultSchedules = 50
