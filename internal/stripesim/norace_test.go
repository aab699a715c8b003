//go:build !race

package stripesim_test

const defaultHistories = 100
