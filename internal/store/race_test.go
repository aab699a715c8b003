//go:build race

package store_test

// defaultSchedules is small: only one worker runs at a time, so the race detector finds
// nothing, and takes twenty times as long.
const defaultSchedules = 50
