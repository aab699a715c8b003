package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
)

// recent is a history whose events are all less than 30 days old.
var recent = sync.OnceValue(func() stripesim.History {
	now := time.Now()
	h := stripesim.Generate(stripesim.Config{Seed: 12, Subscriptions: 50, Ties: 0.5, Start: now.Add(-28 * 24 * time.Hour).Truncate(time.Hour)})
	h.Deliveries = slices.DeleteFunc(h.Deliveries, func(d stripesim.Delivery) bool { return d.Type == stripesim.Snapshot || d.Created.After(now) })
	return h
})

// kept are the events of a history, by their id.
func kept(h stripesim.History) map[string]stripesim.Delivery {
	all := map[string]stripesim.Delivery{}
	for _, d := range h.Deliveries {
		all[d.ID] = d
	}
	return all
}

// missed says which events do not arrive: every tenth, including two that follow each other.
func missed(n int) bool { return n%10 == 3 || n%40 == 4 }

// stripe serves the API of an account with a history.
func stripe(t *testing.T, change ...func(*api.Config)) (*api.Server, string) {
	t.Helper()
	cfg := api.Config{Accounts: []api.Account{{Key: apiKey, History: recent()}}}
	for _, c := range change {
		c(&cfg)
	}
	s := api.New(cfg)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// backfill runs "bridge backfill". Arguments like A=b are variables.
func backfill(ctx context.Context, natsURL, base string, args ...string) (out string, err error) {
	return command{"bridge backfill", config.BridgeBackfill, bridge.Backfill, time.Now, "", readsStripe(natsURL, base), nil}.of(args...).execute(ctx)
}

// deliver posts the events of the history, except those that are missed.
func (r *running) deliver(t *testing.T, misses func(n int) bool) (lost int) {
	t.Helper()
	for n, d := range recent().Deliveries {
		if misses(n) {
			lost++
			continue
		}
		r.accept(t, d.Body)
	}
	return lost
}

// complete checks that the stream has all events that Stripe has, once each, and that those
// that were backfilled say the same as their webhooks would.
func (r *running) complete(t *testing.T, want map[string]stripesim.Delivery) {
	t.Helper()
	times := map[string]int{}
	stream := r.stream(t)
	for sequence := range r.stored(t) {
		raw, err := stream.GetMsg(t.Context(), sequence+1)
		if err != nil {
			t.Fatal(err)
		}
		m, err := events.Decode(raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		id := raw.Header.Get("Nats-Msg-Id")
		if times[m.ID]++; id != m.MessageID() || m.StripeEndpoint != "" && m.Data.Origin != events.OriginWebhook {
			t.Errorf("got %s from %q under %s", m.Data.Origin, m.StripeEndpoint, id)
		}
		if d, ok := want[m.ID]; ok && m.StripeType != d.Type {
			t.Errorf("%s: got %s, want %s", m.ID, m.StripeType, d.Type)
		}
	}
	for id := range want {
		if times[id] != 1 {
			t.Errorf("%s is in the stream %d times", id, times[id])
		}
	}
}

func TestBackfillPublishesWhatDidNotArrive(t *testing.T) {
	t.Parallel()
	s, base := stripe(t)
	// Most messages are older than the duplicate window.
	r := started(t, "STREAM_DUPLICATE_WINDOW=100ms")
	lost, all := r.deliver(t, missed), kept(recent())
	if lost < 5 || len(all) < 310 {
		t.Fatalf("the history has %d recent events, of which %d are missed", len(all), lost)
	}
	want := func(did string, published, there int) string {
		counts := fmt.Sprintf(": found %d events, %s %d, already there %d, unreadable 0\n", len(all), did, published, there)
		return "platform" + counts + "in all" + counts
	}
	for _, step := range []struct {
		args []string
		out  string
	}{
		{[]string{"--dry-run"}, want("would publish", lost, len(all)-lost)},
		{nil, want("published", lost, len(all)-lost)},
		{nil, want("published", 0, len(all))},
	} {
		out, err := backfill(t.Context(), r.natsURL, base, append(step.args, "--since=29d")...)
		if err != nil || out != step.out {
			t.Errorf("%v: got %v (-want +got):\n%s", step.args, err, cmp.Diff(step.out, out))
		}
	}
	r.complete(t, all)
	for _, q := range s.Requests() {
		if q.Path != "/v1/events" || q.Status != http.StatusOK {
			t.Errorf("got %d for %s", q.Status, q.Path)
		}
	}
}

// The oldest page comes first.
func TestBackfillPublishesInTheOrderOfPages(t *testing.T) {
	t.Parallel()
	_, base := stripe(t)
	r := started(t)
	if _, err := backfill(t.Context(), r.natsURL, base, "--since=29d"); err != nil {
		t.Fatal(err)
	}
	stored := r.stored(t)
	for sequence := uint64(1); sequence+100 <= stored; sequence += 50 {
		older, _ := r.message(t, sequence)
		newer, _ := r.message(t, sequence+100)
		if newer.Time.Before(older.Time) {
			t.Errorf("message %d is of %s, message %d of %s", sequence, older.Time, sequence+100, newer.Time)
		}
	}
	r.complete(t, kept(recent()))
}

// Stripe limits the rate and fails now and then. After a 429, nothing is asked for as long as
// it says.
func TestBackfillThroughAStormOf429(t *testing.T) {
	t.Parallel()
	s, base := stripe(t, func(c *api.Config) { c.Faults = api.Faults{Rate: 2, ErrorEvery: 7} })
	r := started(t)
	if out, err := backfill(t.Context(), r.natsURL, base, "--since=29d"); err != nil {
		t.Errorf("got %s, %v", out, err)
	}
	r.complete(t, kept(recent()))
	var limited time.Time
	refused := 0
	for _, q := range s.Requests() {
		if q.At.Before(limited) {
			t.Errorf("asked %s too early", limited.Sub(q.At))
		}
		if q.Status == http.StatusTooManyRequests {
			limited = q.At.Add(time.Second)
			refused++
		}
	}
	if refused == 0 {
		t.Error("no request was refused")
	}
}

// intercept calls f with the number of each request.
func intercept(t *testing.T, s http.Handler, f func(n int64)) (base string) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f(n.Add(1))
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestBackfillThatWasKilledIsContinued(t *testing.T) {
	t.Parallel()
	s, _ := stripe(t)
	all := kept(recent())
	pages := int64(len(all)/100 + 1)
	r := started(t)
	r.deliver(t, missed)
	for _, request := range []int64{1, pages, pages + 1, pages + 2} {
		ctx, cancel := context.WithCancel(t.Context())
		base := intercept(t, s, func(n int64) {
			if n == request {
				cancel()
			}
		})
		if out, err := backfill(ctx, r.natsURL, base, "--since=29d"); err == nil || config.ExitCode(err) != 1 {
			t.Errorf("killed at request %d: got %s, %v", request, out, err)
		}
		cancel()
	}
	base := intercept(t, s, func(int64) {})
	if _, err := backfill(t.Context(), r.natsURL, base, "--since=29d"); err != nil {
		t.Error(err)
	}
	r.complete(t, all)
}

// made is an account whose events all have one second.
func made(n int, account string) (h stripesim.History) {
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range n {
		id := fmt.Sprintf("evt_a%s%03d", account, i)
		body := bytes.Replace(event(id), []byte("1760000000"), []byte(strconv.FormatInt(at.Unix(), 10)), 1)
		h.Deliveries = append(h.Deliveries, stripesim.Delivery{ID: id, Type: "customer.subscription.updated", Created: at, Body: body})
	}
	return h
}

func TestEventsOfOneSecondAtTheBordersOfPages(t *testing.T) {
	t.Parallel()
	h := made(350, "")
	_, base := stripe(t, func(c *api.Config) { c.Accounts[0].History = h })
	r := started(t)
	out, err := backfill(t.Context(), r.natsURL, base, "--json", "--since=2h")
	want := `{"kind":"account","account":"platform","found":350,"published":350,"already_there":0,"unreadable":0}
{"kind":"summary","found":350,"published":350,"already_there":0,"unreadable":0}
`
	if err != nil || out != want {
		t.Errorf("got %v (-want +got):\n%s", err, cmp.Diff(want, out))
	}
	r.complete(t, kept(h))
}

// Each account has a list of its own. Those that are not admitted are left alone.
func TestBackfillOfAccounts(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, func(c *api.Config) {
		c.Accounts = []api.Account{
			{ID: "acct_main", Key: apiKey, History: made(1, "main")},
			{ID: "acct_own", Key: "rk_test_hunter3", History: made(2, "own")},
			{ID: "acct_connected", History: made(3, "connected")},
			{ID: "acct_other", History: made(4, "other")},
		}
	})
	own := "STRIPE_API_KEYS=acct_own=rk_test_hunter3"
	for name, tt := range map[string]struct {
		args []string
		want map[string]int
	}{
		"platform only":        {[]string{own}, map[string]int{"platform": 1}},
		"those that are named": {[]string{own, "WEBHOOK_ACCOUNTS=platform,acct_own,acct_connected"}, map[string]int{"platform": 1, "acct_own": 2, "acct_connected": 3}},
		"any with a key":       {[]string{own, "WEBHOOK_ACCOUNTS=any"}, map[string]int{"platform": 1, "acct_own": 2}},
		"of a secret":          {[]string{"STRIPE_WEBHOOK_SECRETS=a=whsec_1,b@acct_connected=whsec_2"}, map[string]int{"platform": 1, "acct_connected": 3}},
		"one":                  {[]string{"WEBHOOK_ACCOUNTS=any", "--account=acct_other"}, map[string]int{"acct_other": 4}},
		"named by all secrets": {[]string{"STRIPE_WEBHOOK_SECRETS=a@acct_main=whsec_1"}, map[string]int{"acct_main": 1}},
		"platform":             {[]string{own, "WEBHOOK_ACCOUNTS=any", "--account=platform"}, map[string]int{"platform": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := started(t)
			if out, err := backfill(t.Context(), r.natsURL, base, tt.args...); err != nil {
				t.Errorf("got %s, %v", out, err)
			}
			got := map[string]int{}
			for sequence := range r.stored(t) {
				m, id := r.message(t, sequence+1)
				if got[m.Account()]++; m.Data.Ignored != "" || id != events.MessageID(m.StripeAccount, m.ID) {
					t.Errorf("got %s, ignored %q", id, m.Data.Ignored)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// An account that cannot be read does not keep the others from being read.
func TestAccountThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, func(c *api.Config) { c.Accounts[0].History = made(1, "") })
	r := started(t)
	out, err := backfill(t.Context(), r.natsURL, base, "WEBHOOK_ACCOUNTS=acct_gone,platform", "--since=1d")
	if config.ExitCode(err) != 1 || !strings.Contains(fmt.Sprint(err), "account acct_gone") || !strings.Contains(fmt.Sprint(err), "may not read this") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out, "in all: found 1 events, published 1,") {
		t.Errorf("got %s", out)
	}
}

func TestFiltersOfBackfill(t *testing.T) {
	t.Parallel()
	h := recent()
	pending := map[string]bool{}
	for id, d := range kept(h) {
		pending[id] = d.Type == "invoice.paid"
	}
	_, base := stripe(t, func(c *api.Config) { c.Pending = func(id string) bool { return pending[id] } })
	for name, args := range map[string][]string{
		"types":       {"--types=invoice.paid"},
		"undelivered": {"--undelivered-only"},
		"groups":      {"--types=checkout.*,invoice.*", "--undelivered-only"},
	} {
		t.Run(name, func(t *testing.T) {
			r := started(t)
			if _, err := backfill(t.Context(), r.natsURL, base, args...); err != nil {
				t.Error(err)
			}
			if r.stored(t) == 0 {
				t.Error("nothing was published")
			}
			for sequence := range r.stored(t) {
				if m, _ := r.message(t, sequence+1); m.StripeType != "invoice.paid" {
					t.Errorf("got %s", m.StripeType)
				}
			}
		})
	}
}

func TestWrongUsageOfBackfill(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"too old":              {"--since=31d"},
		"much too old":         {"--since=2020-01-01"},
		"future":               {"--since=2999-01-01"},
		"no key":               {"STRIPE_API_KEY="},
		"account without key":  {"STRIPE_API_KEY=", "STRIPE_API_KEYS=acct_1=rk_test_hunter2", "WEBHOOK_ACCOUNTS=any", "--account=acct_2"},
		"account not admitted": {"--account=acct_2"},
		"no account admitted":  {"STRIPE_API_KEY=", "STRIPE_API_KEYS=acct_1=rk_test_hunter2"},
		"not an account":       {"--account=cus_1"},
		"not a type":           {"--types=invoice/paid"},
		"too many types":       {"--types=" + strings.Repeat("a,", 21)},
	} {
		if out, err := backfill(t.Context(), "nats://127.0.0.1:1", "http://127.0.0.1:1", args...); config.ExitCode(err) != 2 || out != "" {
			t.Errorf("%s: got %q, %v, want wrong usage", name, out, err)
		}
	}
}
