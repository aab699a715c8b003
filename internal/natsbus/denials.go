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
	// waiting are the calls that wait for an answer of JetStream's API.
	waiting map[*int]context.CancelFunc
}

const (
	subscribing = "subscribe to "
	publishing  = "publish to "
)

var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// deniedBy returns what an error of the connection says was denied. The programs subscribe
// to inboxes only.
func (b *Bus) deniedBy(err error) (string, bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false
	}
	match := violation.FindStringSubmatch(err.Error())
	if match == nil {
		return err.Error(), true
	}
	if strings.EqualFold(match[1], "subscription") {
		return subscribing + b.inbox + ".>", true
	}
	return publishing + family(match[2]), true
}

// family returns the subject to permit. Every message has a subject of its own for its
// acknowledgement, for example.
func family(subject string) string {
	for prefix, tokens := range map[string]int{"stripe.": 1, deadLetterPrefix: 2, "$KV.": 2, "$JS.ACK.": 4} {
		if parts := strings.Split(subject, "."); strings.HasPrefix(subject, prefix) && len(parts) > tokens {
			return strings.Join(parts[:tokens], ".") + ".>"
		}
	}
	return subject
}

// add reports whether the denial is the first of its kind.
func (d *denials) add(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		d.last = map[string]time.Time{}
	}
	if strings.HasPrefix(what, subscribing) || strings.HasPrefix(what, publishing+jetstreamAPI) {
		for _, stop := range d.waiting {
			stop()
		}
	}
	_, known := d.last[what]
	d.last[what] = time.Now()
	return !known
}

// denied reports whether an error of the connection is a denial, and takes it: it does
// not mean that the server cannot be reached, and comes again with every attempt.
func (b *Bus) denied(err error) bool {
	what, ok := b.deniedBy(err)
	if ok && b.denials.add(what) {
		b.log.Error("the NATS server does not permit something that this program does", "denied", what)
	}
	return ok
}

// call makes requests to JetStream's API. One that the server does not permit is never
// answered, so call ends when the connection reports the denial.
func (b *Bus) call(ctx context.Context, do func(context.Context) error) error {
	start := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer b.denials.wait(stop)()
	return b.unanswered(start, jetstreamAPI, do(ctx))
}

// wait has stop called at the next denial, until the caller calls done.
func (d *denials) wait(stop context.CancelFunc) (done func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting = map[*int]context.CancelFunc{}
	}
	key := new(int)
	d.waiting[key] = stop
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.waiting, key)
	}
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
		recent := !at.Before(start) && strings.HasPrefix(what, publishing+family(prefix))
		if recent || strings.HasPrefix(what, subscribing) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return found
}

// unanswered adds the cause to the error of a request that got no answer: what the server
// has denied, or else what is most likely.
func (b *Bus) unanswered(start time.Time, prefix string, err error) error {
	canceled := errors.Is(err, context.Canceled)
	if !canceled && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	if denied := b.denials.since(start, prefix); len(denied) > 0 {
		return fmt.Errorf("the NATS server does not permit this program to %s: %s", strings.Join(denied, " and to "), permitting(denied))
	}
	if canceled {
		return err
	}
	return fmt.Errorf("%w: no NATS server has answered: there is no leader, or the servers are overloaded", err)
}

// permitting says what the operator does. A program that may not create what it needs finds
// it missing.
func permitting(denied []string) string {
	creates := func(what string) bool { return strings.Contains(what, ".CREATE.") }
	if slices.ContainsFunc(denied, creates) {
		return "run `bridge provision --consumers` as a user who may, or add that to the permissions of its user"
	}
	return "add that to the permissions of its user"
}
