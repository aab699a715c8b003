package bridge

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/internal/term"
)

// gapOutcome is what came of a gap.
type gapOutcome string

const (
	gapFilled   gapOutcome = "filled"
	gapNotFound gapOutcome = "not_found"
	gapTooOld   gapOutcome = "too_old"
	gapNotAsked gapOutcome = "not_asked"
	gapFailed   gapOutcome = "failed"
)

func (o gapOutcome) text() string {
	switch o {
	case gapFilled:
		return "filled"
	case gapNotFound:
		return "Stripe has no event of that time that the stream lacks"
	case gapTooOld:
		return "too old: it begins before the events that Stripe was asked for"
	case gapNotAsked:
		return "not asked for: its mode or its account is not admitted or selected, or there is no key"
	}
	return "not known: Stripe could not be asked"
}

// gapFilling is the gaps that subscribers have reported; nil if they are not asked for.
type gapFilling struct {
	gaps []reportedGap
}

type reportedGap struct {
	Kind string `json:"kind"`
	gaps.Gap
	Outcome gapOutcome `json:"outcome"`

	account string
}

// reportedGaps reads the report. At first, a gap counts as failed if Stripe is going to be
// asked.
func (c *backfillCommand) reportedGaps(ctx context.Context, bus *natsbus.Bus) (*gapFilling, error) {
	value, _, err := bus.NewBucket(events.StateBucket).Get(ctx, gaps.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the gaps that subscribers report, unless STATE_VIEW is off: %w", err)
	}
	f := &gapFilling{}
	for _, g := range gaps.Decode(value).Gaps {
		reported := reportedGap{Kind: "gap", Gap: g, Outcome: gapFailed, account: g.Account()}
		if reported.account == events.Platform {
			reported.account = ""
		}
		switch mode := c.cfg.Webhook.Livemode; {
		case !slices.Contains(c.accounts, reported.account) || mode != "any" && mode != g.Mode():
			reported.Outcome = gapNotAsked
		case g.Until.Before(c.filter.Since):
			reported.Outcome = gapTooOld
		}
		f.gaps = append(f.gaps, reported)
	}
	return f, nil
}

// spans returns the times of the gaps, as few as possible. All of them are within the filter.
func (f *gapFilling) spans(within stripeapi.EventFilter) (all []span) {
	if f == nil {
		return nil
	}
	if within.Types == nil {
		within.Types = []string{"customer.subscription.*"}
	}
	sorted := slices.SortedFunc(slices.Values(f.gaps), func(a, b reportedGap) int {
		return cmp.Or(cmp.Compare(a.account, b.account), a.Since.Compare(b.Since))
	})
	for _, g := range sorted {
		if g.Outcome != gapFailed {
			continue
		}
		next := span{g.account, within}
		next.filter.Since, next.filter.Until = later(g.Since, within.Since), g.Until
		if last := len(all) - 1; last >= 0 && all[last].account == next.account && !next.filter.Since.After(all[last].filter.Until) {
			all[last].filter.Until = later(all[last].filter.Until, next.filter.Until)
			continue
		}
		all = append(all, next)
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// missed notes which gaps an event fills, as far as can be known here.
func (f *gapFilling) missed(m events.Message) {
	if f == nil {
		return
	}
	for i, g := range f.gaps {
		if g.Subscription == m.SubscriptionKey() && !m.Time.Before(g.Since) && !m.Time.After(g.Until) {
			f.gaps[i].Outcome = gapFilled
		}
	}
}

// asked notes that Stripe has answered for a span, or why not.
func (f *gapFilling) asked(s span, err error) {
	if f == nil || err != nil {
		return
	}
	for i, g := range f.gaps {
		switch {
		case g.Outcome != gapFailed || g.account != s.account || g.Until.Before(s.filter.Since) || g.Until.After(s.filter.Until):
		case g.Since.Before(s.filter.Since):
			f.gaps[i].Outcome = gapTooOld
		default:
			f.gaps[i].Outcome = gapNotFound
		}
	}
}

func (f *gapFilling) print(out io.Writer, asJSON bool) error {
	if f == nil {
		return nil
	}
	if len(f.gaps) == 0 && !asJSON {
		_, err := fmt.Fprintln(out, "no subscriber reports a gap: one is reported after 15 minutes, and for 30 days")
		return err
	}
	for _, g := range f.gaps {
		var err error
		if asJSON {
			err = term.JSONLines(out)(g)
		} else {
			_, err = fmt.Fprintf(out, "%s: between %s and %s, from %s to %s: %s\n", g.Subscription,
				g.After, g.Before, g.Since.Format(time.RFC3339), g.Until.Format(time.RFC3339), g.Outcome.text())
		}
		if err != nil {
			return fmt.Errorf("printing the gaps: %w", err)
		}
	}
	return nil
}
