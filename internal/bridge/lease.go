package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/billbus/billbus/internal/natsbus"
)

const (
	leaseKey = "backfill.lease"
	// leaseTime is how long the other bridges wait for one that has died. A lease is renewed
	// after a third of it.
	leaseTime = time.Minute
)

// errLeaseLost means that another bridge has the lease now.
var errLeaseLost = errors.New("another bridge has taken over")

// lease says that one bridge of many does something. If clocks differ, or a bridge hangs, two
// may do it for a moment, so it must do no harm.
type lease struct {
	bucket   *natsbus.Bucket
	now      func() time.Time
	revision uint64 // of the value that this bridge has written
	until    time.Time
}

type leaseValue struct {
	Until time.Time `json:"until"` // zero if nobody has it
}

// take reports false if another bridge has the lease.
func (l *lease) take(ctx context.Context) (ok bool, err error) {
	value, revision, err := l.bucket.Get(ctx, leaseKey)
	var held leaseValue
	if err != nil || revision > 0 && json.Unmarshal(value, &held) == nil && held.Until.After(l.now()) {
		return false, err
	}
	l.revision = revision
	return l.put(ctx, l.now().Add(leaseTime))
}

// keep renews the lease when it is time.
func (l *lease) keep(ctx context.Context) error {
	if l.until.Sub(l.now()) > leaseTime*2/3 {
		return nil
	}
	ok, err := l.put(ctx, l.now().Add(leaseTime))
	if err == nil && !ok {
		return errLeaseLost
	}
	return err
}

func (l *lease) giveBack(ctx context.Context) error {
	_, err := l.put(ctx, time.Time{})
	return err
}

func (l *lease) put(ctx context.Context, until time.Time) (ok bool, err error) {
	value, err := json.Marshal(leaseValue{until})
	if err != nil {
		return false, err
	}
	next, ok, err := l.bucket.Put(ctx, leaseKey, value, l.revision)
	if ok {
		l.revision, l.until = next, until
	}
	return ok, err
}
