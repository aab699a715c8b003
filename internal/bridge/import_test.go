package bridge_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
)

// existing is a history that ended before the import, with items that lists leave out.
var existing = sync.OnceValue(func() stripesim.History {
	cfg := stripesim.Config{Seed: 13, Subscriptions: 120, Ties: 0.2, UserIDs: true, Kinds: []stripesim.Kind{stripesim.Truncated}}
	return stripesim.Generate(cfg.Before(time.Now()))
})

func withExisting(c *api.Config) { c.Accounts[0].History = existing() }

// importing runs "bridge import". Arguments like A=b are variables.
func importing(ctx context.Context, natsURL, base, stdin string, args ...string) (out string, err error) {
	return command{
		"bridge import", config.BridgeImport, bridge.Import, time.Now, stdin, readsStripe(natsURL, base), []string{"--rate=100"},
	}.of(args...).execute(ctx)
}

// imports returns the snapshots of an import in the stream, by subject and object.
func (r *running) imports(t *testing.T) map[string]events.Message {
	t.Helper()
	found := map[string]events.Message{}
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
		if m.Data.Origin != events.OriginImport {
			continue
		}
		if m.Data.Reason != events.ReasonImport || m.Data.BecauseOf+m.StripeType != "" || m.Data.Changes != nil || m.Data.Previous != nil || m.Data.ReadAt.IsZero() {
			t.Errorf("%s of %s: got %+v", m.Type, m.Subject, m.Data)
		}
		key := m.Type + " " + m.Subject
		if _, twice := found[key]; twice {
			t.Errorf("%s is in the stream twice", key)
		}
		found[key] = m
	}
	return found
}

// imported checks that every subscription was imported in its true state, with its customer.
func (r *running) imported(t *testing.T) {
	t.Helper()
	found := r.imports(t)
	users := 0
	for _, truth := range existing().Truth {
		got := found["subscription.snapshot "+truth.Subscription.ID].Data.Subscription
		if got == nil || got.ItemsTruncated || got.Status != truth.Subscription.Status || len(got.Items) != len(truth.Subscription.Items) {
			t.Errorf("%s: got %+v, want %s with %d items", truth.Subscription.ID, got, truth.Subscription.Status, len(truth.Subscription.Items))
			continue
		}
		customer := found["stripe.customer.snapshot "+got.CustomerID]
		if _, ok := ordering.UserFactOf(customer); !ok || customer.Data.Customer == nil {
			t.Errorf("%s: got no customer %s", got.ID, got.CustomerID)
			continue
		}
		if customer.Data.Identity.UserID != "" {
			users++
		}
		for _, item := range got.Items {
			if found["stripe.price.snapshot "+item.PriceID].Data.Price == nil || found["stripe.product.snapshot "+item.ProductID].Data.Product == nil {
				t.Errorf("%s: got no price %s or no product %s", got.ID, item.PriceID, item.ProductID)
			}
		}
	}
	if users == 0 {
		t.Error("no customer names a user")
	}
}

func TestImportOfAllSubscriptions(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, withExisting)
	r := started(t, "STREAM_DUPLICATE_WINDOW=100ms")
	out, err := importing(t.Context(), r.natsURL, base, "")
	if n := len(existing().Truth); err != nil || !strings.Contains(out, fmt.Sprintf("subscription: found %d, published %d, already there 0, ignored 0, unreadable 0\n", n, n)) {
		t.Errorf("got %v, %s", err, out)
	}
	r.imported(t)
	stored := r.stored(t)
	out, err = importing(t.Context(), r.natsURL, base, "")
	if err != nil || strings.Count(out, ", published 0, ") != 4 || r.stored(t) != stored {
		t.Errorf("again: got %v, %d more messages, %s", err, r.stored(t)-stored, out)
	}
}

func TestImportThatWasKilledIsContinued(t *testing.T) {
	t.Parallel()
	s, _ := stripe(t, withExisting, func(c *api.Config) { c.Faults = api.Faults{ErrorEvery: 9} })
	r := started(t)
	for _, request := range []int64{2, 4, 12} {
		ctx, cancel := context.WithCancel(t.Context())
		base := intercept(t, s, func(n int64) {
			if n == request {
				cancel()
			}
		})
		if out, err := importing(ctx, r.natsURL, base, ""); config.ExitCode(err) != 1 {
			t.Errorf("killed at request %d: got %v, %s", request, err, out)
		}
		cancel()
	}
	if out, err := importing(t.Context(), r.natsURL, intercept(t, s, func(int64) {}), ""); err != nil {
		t.Errorf("got %v, %s", err, out)
	}
	r.imported(t)
}

func TestDryRunOfImportCounts(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, withExisting)
	out, err := importing(t.Context(), "nats://127.0.0.1:1", base, "", "--dry-run")
	statuses := map[string]int{}
	for _, truth := range existing().Truth {
		statuses[truth.Subscription.Status]++
	}
	for status, n := range statuses {
		if line := fmt.Sprintf("  status %s: %d\n", status, n); !strings.Contains(out, line) {
			t.Errorf("want %q in\n%s", line, out)
		}
	}
	if err != nil || !strings.Contains(out, `  metadata key "user_id": `) {
		t.Errorf("got %v, %s", err, out)
	}
}

func TestImportFromAFile(t *testing.T) {
	t.Parallel()
	const one, two = `{"id":"sub_1","object":"subscription","status":"active","livemode":false}`,
		`{"id":"sub_2","object":"subscription","status":"canceled","livemode":false}`
	file := filepath.Join(t.TempDir(), "list.json")
	if err := os.WriteFile(file, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(file, changed, changed); err != nil {
		t.Fatal(err)
	}
	both := []string{"sub_1", "sub_2"}
	for name, tt := range map[string]struct {
		file, stdin string
		want        []string
		exit        int
	}{
		"list":        {"-", `{"object":"list","data":[` + one + "," + two + `],"has_more":false}`, both, 0},
		"array":       {"-", "[\n" + one + "," + two + "]", both, 0},
		"JSON Lines":  {"-", one + "\n" + two + "\n", both, 0},
		"a file":      {file, "", both[:1], 0},
		"other mode":  {"-", strings.ReplaceAll(one, "false", "true"), nil, 0},
		"cut off":     {"-", one + "\n" + two[:20], both[:1], 1},
		"not objects": {"-", one + "\n[1]", both[:1], 1},
		"empty":       {"-", "", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := started(t)
			out, err := importing(t.Context(), r.natsURL, "https://api.stripe.com", tt.stdin, "STRIPE_API_KEY=", "--from-file="+tt.file)
			if config.ExitCode(err) != tt.exit {
				t.Errorf("got %v, %s", err, out)
			}
			var got []string
			found := r.imports(t)
			for _, id := range both {
				if m, ok := found["subscription.snapshot "+id]; ok {
					got = append(got, id)
					if tt.file == file && !m.Time.Equal(changed) {
						t.Errorf("got time %s, want %s", m.Time, changed)
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("subscriptions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrongUsageOfImport(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no key":               {"STRIPE_API_KEY="},
		"account not admitted": {"--account=acct_2"},
		"of a file, too":       {"--account=acct_2", "--from-file=-"},
		"missing file":         {"--from-file=" + filepath.Join(t.TempDir(), "missing")},
		"not a status":         {"--status=past"},
		"rate":                 {"--rate=0"},
	} {
		if out, err := importing(t.Context(), "nats://127.0.0.1:1", "http://127.0.0.1:1", "", args...); config.ExitCode(err) != 2 || out != "" {
			t.Errorf("%s: got %q, %v, want wrong usage", name, out, err)
		}
	}
}
