package natsbus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// denials keeps what the server has denied on this connection. nats.go reports that
// separately from the call that fails for it, which only sees that no answer comes.
type denials struct {
	mu   sync.Mutex
	last map[string]time.Time // when, by what was denied: "publish to stripe.x"
}

var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// deniedBy returns what an error of the connection says was denied.
func deniedBy(err error) (string, bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false
	}
	match := violation.FindStringSubmatch(err.Error())
	if match == nil {
		return err.Error(), true
	}
	return map[string]string{"publish": "publish to ", "subscription": "subscribe to "}[strings.ToLower(match[1])] + match[2], true
}

// add reports whether the denial is the first of its kind.
func (d *denials) add(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		d.last = map[string]time.Time{}
	}
	_, known := d.last[what]
	d.last[what] = time.Now()
	return !known
}

// forget is called for a new connection, which may have other permissions.
func (d *denials) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.last)
}

// since returns what a request on a subject with this prefix has met since then. The
// subscription for answers is made once for a connection, so it can have been denied
// earlier.
func (d *denials) since(start time.Time, prefix string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []string
	for what, at := range d.last {
		recent := !at.Before(start) && strings.HasPrefix(what, "publish to "+prefix)
		if recent || strings.HasPrefix(what, "subscribe to "+nats.InboxPrefix) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return found
}

// explain adds the cause to the error of a request that got no answer: what the server
// has denied, or else what is most likely.
func (b *Bus) explain(start time.Time, prefix string, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	if denied := b.denials.since(start, prefix); len(denied) > 0 {
		return fmt.Errorf("the NATS server does not permit this program to %s: add that to the permissions of its user", strings.Join(denied, " and to "))
	}
	return fmt.Errorf("%w: no NATS server has answered: there is no leader, or the servers are overloaded", err)
}
