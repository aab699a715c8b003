package bridge

import (
	"context"
	"strings"
)

// EndpointEvents returns the types of each group, separated by spaces.
func EndpointEvents() (groups []string) {
	for _, group := range endpointEvents() {
		groups = append(groups, strings.Join(group.types, " "))
	}
	return groups
}

// EndpointEventsWithout returns what happens without each group.
func EndpointEventsWithout() (texts []string) {
	for _, group := range endpointEvents() {
		text := group.without
		if group.required {
			text = "required: " + text
		}
		texts = append(texts, text)
	}
	return texts
}

// TestedVersions returns the oldest and the newest API version.
func TestedVersions() (oldest, newest string) { return oldestVersion, newestVersion }

// Patiently does something again that may succeed soon.
func Patiently(ctx context.Context, do func() error) error { return patiently(ctx, noPause, do) }
