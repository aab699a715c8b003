package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/billbus/billbus/internal/store"
)

// Claims compares what is stored about users with the audit trail.
type Claims struct {
	Store ClaimStore
	// Fix stores what is missing or differs, and with it the users of the records.
	Fix bool
	// Settle is how long a difference must last to count.
	Settle time.Duration
	Report func(Finding) error

	summary ClaimSummary
}

// ClaimStore is what is read and, with Fix, written.
type ClaimStore interface {
	store.Verification
	Commit(ctx context.Context, entry store.Entry) (store.Effect, error)
}

// ClaimSummary counts the identities that differed from their events.
type ClaimSummary struct {
	Differing int `json:"identities_differing"`
	Fixed     int `json:"identities_fixed"`
}

// Run reads all events that can say something about users. What is stored of events that
// are no longer in the audit trail is not compared.
func (c *Claims) Run(ctx context.Context) (ClaimSummary, error) {
	var read, suspects []store.Audited
	for audited, err := range c.Store.Claims(ctx) {
		if err != nil {
			return c.summary, err
		}
		if read = append(read, audited); len(read) < maxRead {
			continue
		}
		if suspects, err = c.check(ctx, read, suspects); err != nil {
			return c.summary, err
		}
		read = nil
	}
	suspects, err := c.check(ctx, read, suspects)
	if err != nil {
		return c.summary, err
	}
	return c.summary, c.recheck(ctx, suspects)
}

// check adds those that differ to the suspects, which are checked again before they are
// too many.
func (c *Claims) check(ctx context.Context, read, suspects []store.Audited) ([]store.Audited, error) {
	stored, err := c.Store.Identified(ctx, keysOf(read))
	if err != nil {
		return nil, err
	}
	for _, a := range read {
		if want, ok := store.IdentityOf(a.Message); ok && !a.Unreadable && !stored[a.Key()].Equal(want) {
			a.Data.Event = nil // it is read again
			suspects = append(suspects, a)
		}
	}
	if len(suspects) < maxSuspects {
		return suspects, nil
	}
	return nil, c.recheck(ctx, suspects)
}

func keysOf(list []store.Audited) []string {
	keys := make([]string, len(list))
	for i, a := range list {
		keys[i] = a.Key()
	}
	return keys
}

func (c *Claims) recheck(ctx context.Context, suspects []store.Audited) error {
	if len(suspects) == 0 {
		return nil
	}
	if err := wait(ctx, c.Settle); err != nil {
		return err
	}
	for len(suspects) > 0 {
		some := suspects[:min(maxRead, len(suspects))]
		suspects = suspects[len(some):]
		audited, err := c.Store.Messages(ctx, keysOf(some))
		if err != nil {
			return err
		}
		stored, err := c.Store.Identified(ctx, keysOf(some))
		if err != nil {
			return err
		}
		for _, key := range keysOf(some) {
			want, ok := store.IdentityOf(audited[key].Message)
			if ok && !audited[key].Unreadable && !stored[key].Equal(want) {
				if err := c.differs(ctx, audited[key].Entry, stored[key], want); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// differs reports a difference and, with Fix, corrects it.
func (c *Claims) differs(ctx context.Context, e store.Entry, have, want store.Identity) error {
	if c.Fix {
		if have.Key != "" {
			if _, err := c.Store.ReplaceIdentity(ctx, have, want); err != nil {
				return err
			}
		}
		if _, err := c.Store.Commit(ctx, e); err != nil {
			return err
		}
		c.summary.Fixed++
	} else {
		c.summary.Differing++
	}
	return c.Report(Finding{Kind: Difference, Key: e.Key(), Field: "identity", Have: claimText(have), Want: claimText(want), Fixed: c.Fix})
}

func claimText(i store.Identity) string {
	if i.Source == "" {
		return ""
	}
	return fmt.Sprintf("user %q of %s%s%s by %s", i.UserID, i.SubscriptionID, i.CustomerID, i.CustomerAccountID, i.Source)
}
