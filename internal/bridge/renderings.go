package bridge

import (
	"sync"

	"github.com/billbus/billbus/events"
)

// renderings knows in which API versions the endpoints deliver events, as far as this
// process has seen.
type renderings struct {
	// endpoints returns the endpoint of a secret, and those that are listed earlier and
	// may deliver the same event of an account.
	endpoints func(secret, account string) (own string, earlier []string)

	mu   sync.Mutex
	seen map[string]versions // by endpoint
}

// versions are the API versions of the events of an endpoint.
type versions struct {
	first string
	mixed bool // whether there was another one
}

// second returns the endpoint of a message, unless the earlier endpoints deliver the same
// event in the same version, or do not deliver it at all. If nothing is known of them yet,
// the stream rather gets a repetition than loses an event in another version.
func (r *renderings) second(msg events.Message) string {
	own, earlier := r.endpoints(msg.StripeEndpoint, msg.StripeAccount)
	version := msg.StripeAPIVersion
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.seen[own]
	if !ok {
		v.first = version
	}
	v.mixed = v.mixed || v.first != version
	r.seen[own] = v
	for _, endpoint := range earlier {
		if v, ok := r.seen[endpoint]; !ok || v != (versions{first: version}) {
			return own
		}
	}
	return ""
}
