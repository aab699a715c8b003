package bridge_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit/natstest"
)

// reportGaps writes what subscribers report.
func (r *running) reportGaps(t *testing.T, list []gaps.Gap) {
	t.Helper()
	value, err := json.Marshal(gaps.Report{Gaps: list})
	if err != nil {
		t.Fatal(err)
	}
	kv, err := natstest.JetStream(t, r.natsURL).KeyValue(t.Context(), events.StateBucket)
	if err == nil {
		_, err = kv.Put(t.Context(), gaps.Key, value)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// gapAround is a gap in which an event is missing.
func gapAround(key string, at time.Time) gaps.Gap {
	return gaps.Gap{
		Subscription: key, After: "evt_before", Before: "evt_after",
		Since: at.Add(-time.Minute).UTC(), Until: at.Add(time.Minute).UTC(), CheckedAt: at.UTC(),
	}
}

// missedUpdate returns an event of a subscription that was not delivered.
func missedUpdate(t *testing.T) stripesim.Delivery {
	t.Helper()
	for n, d := range recent().Deliveries {
		if missed(n) && d.Type == events.StripeTypeUpdated {
			return d
		}
	}
	t.Fatal("no update is missed")
	return stripesim.Delivery{}
}

// Stripe is asked for the times of the gaps only, and only of accounts that can be read.
func TestBackfillOfGaps(t *testing.T) {
	t.Parallel()
	s, base := stripe(t)
	r := started(t)
	r.deliver(t, missed)
	lost := missedUpdate(t)
	empty := lost.Created.Add(-time.Hour).Truncate(time.Second)
	list := []gaps.Gap{
		gapAround(events.Key(false, "", lost.SubscriptionID), lost.Created),
		gapAround(events.Key(false, "", "sub_without"), empty),
		gapAround(events.Key(false, "", "sub_old"), time.Now().Add(-31*24*time.Hour).Truncate(time.Second)),
		gapAround(events.Key(false, "acct_other", "sub_other"), empty),
		gapAround(events.Key(true, "", "sub_live"), empty),
	}
	r.reportGaps(t, list)
	stored := r.stored(t)
	for _, step := range []struct {
		args  []string
		first string
		new   uint64
	}{
		{[]string{"--dry-run"}, "filled", 0},
		{nil, "filled", 1},
		{nil, "Stripe has no event of that time that the stream lacks", 1},
	} {
		before := len(s.Requests())
		out, err := backfill(t.Context(), r.natsURL, base, append(step.args, "--gaps")...)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(out) {
			if _, outcome, ok := strings.Cut(strings.TrimSpace(line), "Z: "); ok {
				got = append(got, outcome)
			}
		}
		const notAsked = "not asked for: its mode or its account is not admitted or selected, or there is no key"
		want := []string{
			step.first, "Stripe has no event of that time that the stream lacks", "too old: it begins before the events that Stripe was asked for", notAsked, notAsked,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s\n%s", step.args, diff, out)
		}
		if got := r.stored(t) - stored; got != step.new {
			t.Errorf("%v: published %d, want %d", step.args, got, step.new)
		}
		expectAsked(t, s.Requests()[before:], list[:2])
	}
}

// expectAsked expects that nothing was asked for but the times of these gaps.
func expectAsked(t *testing.T, requests []api.Request, list []gaps.Gap) {
	t.Helper()
	asked, want := map[string]bool{}, map[string]bool{}
	for _, q := range requests {
		asked[fmt.Sprint(q.Query["created[gte]"], q.Query["created[lte]"], q.Query["types[]"])] = true
	}
	for _, g := range list {
		want[fmt.Sprint([]string{strconv.FormatInt(g.Since.Unix(), 10)}, []string{strconv.FormatInt(g.Until.Unix(), 10)}, []string{"customer.subscription.*"})] = true
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestBackfillOfGapsThatOverlapAsksOnce(t *testing.T) {
	t.Parallel()
	s, base := stripe(t)
	r := started(t)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	list := make([]gaps.Gap, 200)
	for n := range list {
		list[n] = gapAround(events.Key(false, "", fmt.Sprint("sub_", n)), at.Add(time.Duration(n)*time.Second))
	}
	r.reportGaps(t, list)
	out, err := backfill(t.Context(), r.natsURL, base, "--gaps", "--json")
	if n := strings.Count(out, `"outcome":"not_found"`); err != nil || n != len(list) {
		t.Errorf("got %d gaps, %v", n, err)
	}
	expectAsked(t, s.Requests(), []gaps.Gap{{Since: list[0].Since, Until: list[199].Until}})
}

func TestBackfillOfGapsThatFails(t *testing.T) {
	t.Parallel()
	_, base := stripe(t)
	r := started(t)
	r.reportGaps(t, []gaps.Gap{gapAround(events.Key(false, "", "sub_1"), time.Now().Add(-time.Hour))})
	out, err := backfill(t.Context(), r.natsURL, base, "--gaps", "STRIPE_API_KEY=sk_test_wrong")
	if err == nil || !strings.Contains(out, ": not known: Stripe could not be asked\n") {
		t.Errorf("got %v, %s", err, out)
	}
	without := started(t, "STATE_VIEW=off")
	if _, err := backfill(t.Context(), without.natsURL, base, "--gaps"); err == nil || !strings.Contains(err.Error(), "STATE_VIEW") {
		t.Errorf("without a state view: got %v", err)
	}
}

// Nothing to ask for is not the same as nothing found.
func TestBackfillWithoutGaps(t *testing.T) {
	t.Parallel()
	s, base := stripe(t)
	r := started(t)
	out, err := backfill(t.Context(), r.natsURL, base, "--gaps")
	if err != nil || !strings.Contains(out, "no subscriber reports a gap") || len(s.Requests()) > 0 {
		t.Errorf("got %v, %d requests, %s", err, len(s.Requests()), out)
	}
}
