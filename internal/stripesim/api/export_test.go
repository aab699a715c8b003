package api

import (
	"maps"
	"slices"
)

// Lists returns the path of every list, with its own parameters and the one that it needs.
func Lists() map[string][]string {
	all := map[string][]string{}
	for _, r := range resources() {
		all[r.path] = slices.Sorted(maps.Keys(r.filters))
	}
	return all
}
