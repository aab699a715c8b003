package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

const (
	// sweptPage is how many records are considered at a time.
	sweptPage = 50
	// sweepTurn is how long a process may take for one page before another takes over.
	sweepTurn = 2 * time.Minute
)

// Follow is called with the keys of the records of a page, before the document says that
// the page is done. If it fails, or the process dies, it is called again.
type Follow func(ctx context.Context, keys []string) error

// Swept is what one step of a sweep did.
type Swept struct {
	// Written is the number of records that it wrote.
	Written int
	// More is true if there may be more to do.
	More bool
}

// SweepPage brings the names in some records up to the catalog: those of the next page
// of a product or price whose sweep is not finished. The document says how far the sweep
// is, so another process continues where this one dies. Of several processes, one
// sweeps a document at a time, to save work: the result does not depend on it.
func (c *Committer) SweepPage(ctx context.Context, holder string, follow Follow) (Swept, error) {
	unswept, err := c.db.Unswept(ctx)
	if err != nil {
		return Swept{}, err
	}
	now := milliseconds(c.now())
	i := slices.IndexFunc(unswept, func(l Listing) bool { return l.Sweep.Holder == holder || !now.Before(l.Sweep.Until) })
	if i < 0 {
		return Swept{}, nil
	}
	return c.sweepPage(ctx, unswept[i], Sweep{Unfinished: true, Reached: unswept[i].Sweep.Reached, Holder: holder, Until: now.Add(sweepTurn)}, follow)
}

func (c *Committer) sweepPage(ctx context.Context, l Listing, next Sweep, follow Follow) (Swept, error) {
	keys, err := c.db.Referring(ctx, l, next.Reached, sweptPage)
	if err != nil {
		return Swept{}, err
	}
	if len(keys) > 0 && l.Sweep.Holder != next.Holder {
		if l, err = c.putSweep(ctx, l, next); err != nil {
			return swept(0, err)
		}
		failpoint.At("sweep:taken")
	}
	written, failed := c.Refresh(ctx, keys)
	for _, err := range failed {
		if !isBroken(err) {
			return swept(written, err)
		}
	}
	failpoint.At("sweep:refreshed")
	if follow != nil {
		if err := follow(ctx, keys); err != nil {
			return swept(written, err)
		}
	}
	failpoint.At("sweep:followed")
	if len(keys) > 0 {
		next.Reached = keys[len(keys)-1]
	}
	if len(keys) < sweptPage {
		next = Sweep{}
	}
	_, err = c.putSweep(ctx, l, next)
	return swept(written, err)
}

func (c *Committer) putSweep(ctx context.Context, l Listing, s Sweep) (Listing, error) {
	l.Revision, l.Sweep = l.Revision+1, s
	return l, c.db.PutListing(ctx, l)
}

// swept returns what a step did. If another writer was first, the document says what is
// to be done now.
func swept(written int, err error) (Swept, error) {
	if err != nil && !errors.Is(err, ErrExists) {
		return Swept{Written: written}, err
	}
	return Swept{Written: written, More: true}, nil
}

// isBroken reports whether a record cannot be made from the audit trail. It must not keep
// the others from being swept; a verification reports it.
func isBroken(err error) bool {
	reason := fault.ReasonOf(err)
	return reason == fault.AuditMissing || reason == fault.AuditMismatch || reason == fault.AuditUnreadable
}
