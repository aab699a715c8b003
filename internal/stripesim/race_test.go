//go:build race

package stripesim_test

// defaultHistories is small: the ordering rule runs in one goroutine, so the race
// detector finds nothing in it, and takes ten times as long.
const defaultHistories = 10
