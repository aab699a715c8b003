package bridge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// healing runs a bridge that looks for missed events all the time.
func healing(t *testing.T, natsURL, base string, interval time.Duration) *running {
	t.Helper()
	cfg := settings(t, natsURL, "STRIPE_API_KEY="+apiKey, "STRIPE_API_BASE="+base)
	cfg.BackfillInterval = interval
	return run(t, cfg)
}

// healed waits until the stream has all events, once each.
func (r *running) healed(t *testing.T, want map[string]stripesim.Delivery) {
	t.Helper()
	kit.Eventually(t, "all events are there", func() bool {
		state := natstest.Stream(t, natstest.JetStream(t, r.natsURL), "BILLBUS").CachedInfo().State
		return state.Msgs >= uint64(len(want))
	})
	r.complete(t, want)
}

// One bridge has missed a part of the webhooks. Two that are started after it heal that,
// without a command.
func TestMissedWebhooksHealByThemselves(t *testing.T) {
	t.Parallel()
	s, base := stripe(t)
	all := kept(recent())
	first := started(t)
	lost := first.deliver(t, missed)
	one := healing(t, first.natsURL, base, 200*time.Millisecond)
	two := healing(t, first.natsURL, base, 200*time.Millisecond)
	first.healed(t, all)
	// Rounds that find nothing are not logged.
	asked := len(s.Requests())
	kit.Eventually(t, "more rounds", func() bool { return len(s.Requests()) > asked+4 })
	if n := strings.Count(one.log.String()+two.log.String(), "webhooks did not arrive"); n != 1 {
		t.Errorf("%d rounds have found something, want 1", n)
	}
	published := fmt.Sprintf(`billbus_backfilled_total{outcome="published"} %d`, lost)
	if !one.metric(t, published) && !two.metric(t, published) {
		t.Errorf("no bridge says that it has published %d", lost)
	}
	if strings.Contains(one.log.String()+two.log.String(), "hunter2") {
		t.Error("the key is in the log")
	}
}

// Only the events since the last round are asked for, with an overlap, also after a restart.
func TestRoundsContinueWhereTheLastOneEnded(t *testing.T) {
	t.Parallel()
	s, base := stripe(t, func(c *api.Config) { c.Accounts[0].History = made(3, "") })
	url := natstest.Start(t).URL()
	js := natstest.JetStream(t, url)
	for range 2 {
		r := healing(t, url, base, time.Second)
		asked := len(s.Requests())
		kit.Eventually(t, "a round", func() bool {
			bucket, err := js.KeyValue(t.Context(), "BILLBUS_RESOLVED")
			if err == nil {
				_, err = bucket.Get(t.Context(), "backfill.test.platform")
			}
			return err == nil && len(s.Requests()) > asked
		})
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	var since []string
	for _, q := range s.Requests() {
		since = append(since, q.Query.Get("created[gte]"))
	}
	days := func(text string) time.Duration {
		var seconds int64
		_, _ = fmt.Sscan(text, &seconds)
		return time.Since(time.Unix(seconds, 0)).Round(time.Minute)
	}
	if first, last := days(since[0]), days(since[len(since)-1]); first != 30*24*time.Hour || last != 15*time.Minute {
		t.Errorf("looked back %s, and then %s", first, last)
	}
}

// Nobody takes the turn of a bridge that is at work. Once its lease has expired, another does.
func TestBridgeThatDiesIsReplaced(t *testing.T) {
	t.Parallel()
	s, base := stripe(t, func(c *api.Config) { c.Accounts[0].History = made(3, "") })
	url := natstest.Start(t).URL()
	startedOn(t, url, "STRIPE_API_KEY="+apiKey, "STRIPE_API_BASE="+base)
	bucket, err := natstest.JetStream(t, url).KeyValue(t.Context(), "BILLBUS_RESOLVED")
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(4 * time.Second) // longer than a bridge takes to start
	value, _ := json.Marshal(map[string]time.Time{"until": until})
	if _, err := bucket.Put(t.Context(), "backfill.lease", value); err != nil {
		t.Fatal(err)
	}
	r := healing(t, url, base, 50*time.Millisecond)
	r.healed(t, kept(made(3, "")))
	if at := s.Requests()[0].At; at.Before(until) {
		t.Errorf("asked %s before the lease expired", until.Sub(at))
	}
}

// A key that is refused is logged without the key, and webhooks are received as ever.
func TestBackfillThatFailsHarmsNothing(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.Config.Handler = kit.StripeError(http.StatusUnauthorized, "")
	r := healing(t, natstest.Start(t).URL(), a.URL, 50*time.Millisecond)
	kit.Eventually(t, "the failure is logged", func() bool { return strings.Contains(r.log.String(), `"reason":"key_refused"`) })
	r.accept(t, event("evt_1"))
	if !r.ready() || strings.Contains(r.log.String(), "hunter2") {
		t.Errorf("ready %v, log:\n%s", r.ready(), r.log)
	}
}

func TestIntervalNeedsAKey(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"no key":      {"BACKFILL_INTERVAL": "1m"},
		"too short":   {"BACKFILL_INTERVAL": "9s", "STRIPE_API_KEY": apiKey},
		"not a time":  {"BACKFILL_INTERVAL": "often", "STRIPE_API_KEY": apiKey},
		"less than 0": {"BACKFILL_INTERVAL": "-1m", "STRIPE_API_KEY": apiKey},
	} {
		env["WEBHOOK_LIVEMODE"], env["STRIPE_WEBHOOK_SECRETS"] = "test", secret
		var cfg config.Bridge
		err := config.BridgeServe(&cfg).Load("bridge", nil, func(key string) string { return env[key] })
		if config.ExitCode(err) != 2 || !strings.Contains(fmt.Sprint(err), "BACKFILL_INTERVAL") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
