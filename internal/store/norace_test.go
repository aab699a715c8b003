//go:build !race

package store_test

const defaultSchedules = 1200
