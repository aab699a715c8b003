package events

import (
	"cmp"
	"regexp"
	"strings"
)

var versionDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`)

// CompareAPIVersions orders Stripe's API versions, such as 2025-09-30.clover, by their
// date. The result is negative if a is older than b, and 0 only if they are equal. A
// version without a date, or none, is older than all others.
// See https://docs.stripe.com/api/versioning
func CompareAPIVersions(a, b string) int {
	return cmp.Or(cmp.Compare(versionDate.FindString(a), versionDate.FindString(b)), cmp.Compare(a, b))
}

// RenderingID returns the Nats-Msg-Id of an event in a newer API version than that of
// the message which has the id already.
func RenderingID(messageID, version string) string {
	if plain := strings.NewReplacer("-", "_", ".", "_").Replace(version); SafeID(plain) != plain {
		version = SafeID(version)
	}
	return messageID + "@" + version
}
