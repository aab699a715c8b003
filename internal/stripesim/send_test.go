package stripesim_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/billbus/billbus/internal/stripesim"
)

const secret = "whsec_simulated"

// receiver is an endpoint that records what it accepted.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	accepted []string // ids, in order
	stamps   map[string]map[string]bool
	requests int
}

// newReceiver answers the n-th request (from 1) of a body with the status that fault
// returns; 0 means 200.
func newReceiver(t *testing.T, fault func(n int) int) *receiver {
	t.Helper()
	r := &receiver{stamps: map[string]map[string]bool{}}
	seen := map[string]int{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		signature := req.Header.Get("Stripe-Signature")
		if webhook.ValidatePayload(body, signature, secret) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var event struct{ ID string }
		if err := json.Unmarshal(body, &event); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		seen[event.ID]++
		n := seen[event.ID]
		r.requests++
		if r.stamps[event.ID] == nil {
			r.stamps[event.ID] = map[string]bool{}
		}
		r.stamps[event.ID][signature] = true
		r.mu.Unlock()
		switch status := fault(n); status {
		case 0:
			r.mu.Lock()
			r.accepted = append(r.accepted, event.ID)
			r.mu.Unlock()
		case -1:
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Location", r.URL+"/elsewhere") // for 302, which is not to be followed
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func history() stripesim.History {
	return stripesim.Generate(stripesim.Config{Seed: 12, Subscriptions: 12, Ties: 0.5})
}

func ids(deliveries []stripesim.Delivery) []string {
	var all []string
	for _, d := range deliveries {
		all = append(all, d.ID)
	}
	return all
}

func TestSendInOrder(t *testing.T) {
	t.Parallel()
	r, h := newReceiver(t, func(int) int { return 0 }), history()
	last := 0
	report, err := stripesim.Send(t.Context(), h, stripesim.SendConfig{URL: r.URL, Secret: secret, Progress: func(done int, _ stripesim.Answer) { last = done }})
	n := len(h.Deliveries)
	if err != nil || report.Done != n || report.Requests != n || report.Answers[200] != n || last != n {
		t.Fatalf("got %+v, %v, progress %+v, want %d accepted", report, err, last, n)
	}
	subscription := map[string]string{}
	for _, d := range h.Deliveries {
		subscription[d.ID] = d.SubscriptionID
	}
	got := map[string][]string{}
	for _, id := range r.accepted {
		got[subscription[id]] = append(got[subscription[id]], id)
	}
	for sub, deliveries := range bySubscription(h) {
		if want := ids(deliveries); !slices.Equal(got[sub], want) {
			t.Errorf("%s arrived as %v, want %v", sub, got[sub], want)
		}
	}
}

// TestSendToFailingReceiver checks that everything arrives at a receiver that fails, drops
// connections and is slow, and that every try has a new signature.
func TestSendToFailingReceiver(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(n int) int {
		time.Sleep(time.Millisecond)
		return []int{503, -1, 302, 0}[min(n-1, 3)]
	})
	h := history()
	var mu sync.Mutex
	now := time.Now()
	report, err := stripesim.Send(t.Context(), h, stripesim.SendConfig{
		URL: r.URL, Secret: secret, Disorder: true, Duplicates: 0.3, Pause: time.Millisecond, Workers: 16,
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Second / 50) // every try another second or so
			return now
		},
	})
	n := len(h.Deliveries)
	if err != nil || report.Events != n || report.Done != n+report.Repeats || report.Repeats == 0 {
		t.Fatalf("got %+v, %v", report, err)
	}
	if report.Answers[503] != n || report.Answers[0] != n || report.Answers[302] != n || report.Answers[200] != report.Done {
		t.Errorf("got answers %v, want %d each of 503, 0 and 302", report.Answers, n)
	}
	if report.Requests != r.requests {
		t.Errorf("got %d requests reported, want %d", report.Requests, r.requests)
	}
	renewed := 0
	for _, signatures := range r.stamps {
		if len(signatures) > 1 {
			renewed++
		}
	}
	if len(r.stamps) != n || renewed < n/2 {
		t.Errorf("got %d of %d events signed anew", renewed, n)
	}
}

func TestSendGivesUpWithWrongSecret(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(int) int { return 0 })
	report, err := stripesim.Send(t.Context(), history(), stripesim.SendConfig{URL: r.URL, Secret: "whsec_other", Pause: time.Millisecond})
	if !errors.Is(err, stripesim.ErrRefused) || !strings.Contains(err.Error(), "signing secret") {
		t.Errorf("got %v, want %v", err, stripesim.ErrRefused)
	}
	if report.Done != 0 || report.Answers[400] < 10 || report.Answers[400] > 10+8 {
		t.Errorf("got %+v, want about 10 answers of 400", report)
	}
}

// The caller can make the requests itself, and go on after any number of refusals.
func TestSendWithOtherRequests(t *testing.T) {
	t.Parallel()
	const refusals = 30
	var n atomic.Int64
	cfg := stripesim.SendConfig{Refusals: -1, Pause: time.Millisecond, Request: func(_ context.Context, d stripesim.Delivery) stripesim.Answer {
		if d.ID == "" || n.Add(1) <= refusals {
			return stripesim.Answer{Status: http.StatusBadRequest}
		}
		return stripesim.Answer{Status: http.StatusOK}
	}}
	report, err := stripesim.Send(t.Context(), history(), cfg)
	if err != nil || report.Done != report.Events || report.Answers[400] != refusals {
		t.Errorf("got %+v, %v", report, err)
	}
}

// TestSendRetriesSingle400s checks that a single 400 is retried like any other failure.
func TestSendRetriesSingle400s(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(n int) int { return []int{400, 0}[min(n-1, 1)] })
	h := history()
	report, err := stripesim.Send(t.Context(), h, stripesim.SendConfig{URL: r.URL, Secret: secret, Workers: 2, Pause: time.Millisecond})
	if err != nil || report.Answers[400] != len(h.Deliveries) || report.Done != len(h.Deliveries) {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestSendUntilInterrupted(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(int) int { return 500 })
	ctx, stop := context.WithCancel(t.Context())
	var once sync.Once
	began := time.Now()
	report, err := stripesim.Send(ctx, history(), stripesim.SendConfig{
		URL: r.URL, Secret: secret, Pause: time.Hour,
		Progress: func(_ int, last stripesim.Answer) {
			if last.Status != 500 || last.OK() {
				t.Errorf("got %+v, want 500", last)
			}
			once.Do(stop)
		},
	})
	if !errors.Is(err, context.Canceled) || report.Done != 0 || report.Answers[500] == 0 {
		t.Errorf("got %+v, %v", report, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s to stop", took)
	}
}

func TestSendRate(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(int) int { return 0 })
	h := history()
	h.Deliveries = h.Deliveries[:21]
	report, err := stripesim.Send(t.Context(), h, stripesim.SendConfig{URL: r.URL, Secret: secret, Rate: 100})
	if err != nil || report.Elapsed < 200*time.Millisecond {
		t.Errorf("21 events at 100/s took %s, %v", report.Elapsed, err)
	}
}

func TestPost(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(int) int { return 0 })
	body := history().Deliveries[0].Body
	if got := stripesim.Post(t.Context(), stripesim.SendConfig{URL: r.URL, Secret: secret}, body); !got.OK() || got.Err != nil {
		t.Errorf("got %+v, want 200", got)
	}
	if got := stripesim.Post(t.Context(), stripesim.SendConfig{URL: r.URL, Secret: "whsec_other"}, body); got.Status != 400 || got.OK() {
		t.Errorf("got %+v, want 400", got)
	}
	r.Close()
	if got := stripesim.Post(t.Context(), stripesim.SendConfig{URL: r.URL, Secret: secret}, body); got.Status != 0 || got.Err == nil {
		t.Errorf("got %+v, want no answer", got)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 12, Subscriptions: 60, Ties: 0.5})
	if got := stripesim.Schedule(h, stripesim.SendConfig{}); !reflect.DeepEqual(got, h.Deliveries) {
		t.Error("want the true order by default")
	}
	cfg := stripesim.SendConfig{Duplicates: 0.2, Disorder: true}
	got := stripesim.Schedule(h, cfg)
	if !reflect.DeepEqual(got, stripesim.Schedule(h, cfg)) {
		t.Error("got two schedules for one history")
	}
	times := map[string]int{}
	for _, d := range got {
		times[d.ID]++
	}
	repeated := 0
	for n := range maps.Values(times) {
		if n > 1 {
			repeated++
		}
	}
	if n := len(h.Deliveries); len(times) != n || repeated < n/8 || repeated > n/3 {
		t.Errorf("got %d of %d events, %d repeated", len(times), n, repeated)
	}
}

func TestDroppedEventsAreNeverSent(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 12, Subscriptions: 60})
	r := newReceiver(t, func(int) int { return 200 })
	report, err := stripesim.Send(t.Context(), h, stripesim.SendConfig{URL: r.URL, Secret: secret, Drop: 0.1, Duplicates: 0.3})
	if n := len(h.Deliveries); err != nil || report.Events < n*8/10 || report.Events > n*95/100 || report.Done != report.Events+report.Repeats {
		t.Errorf("got %+v, %v, want nine tenths of %d events", report, err, n)
	}
}

// TestDisorderReachesEverySubscription checks that events change places even if they are
// weeks apart, with events of hundreds of other subscriptions between them.
func TestDisorderReachesEverySubscription(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 12, Subscriptions: 300})
	got := stripesim.Schedule(h, stripesim.SendConfig{Disorder: true})
	moved := 0
	for _, deliveries := range bySubscription(stripesim.History{Deliveries: got}) {
		later := time.Time{}
		for _, d := range deliveries {
			if d.Created.Before(later.Add(-24 * time.Hour)) {
				moved++
				break
			}
			later = d.Created
		}
	}
	if moved < 200 {
		t.Errorf("only %d of 300 subscriptions have events that come days too late", moved)
	}
}

func TestSignedCurl(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	got := stripesim.SignedCurl("http://localhost:8080/webhooks/stripe?a=1&b=2", secret, []byte(`{"a":1}`), at)
	want := "curl -sS -X POST 'http://localhost:8080/webhooks/stripe?a=1&b=2' -H 'Content-Type: application/json; charset=utf-8'" +
		" -H 'Stripe-Signature: " + stripesim.Sign([]byte(`{"a":1}`), secret, at) + `' --data-raw '{"a":1}'`
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// TestSignedCurlInShell lets a shell parse the command.
func TestSignedCurlInShell(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"quotes":      `it's "quoted" '' `,
		"expansions":  "$HOME `id` $(id) !! \\ * ~ ; | & > <",
		"line breaks": "{\n  \"a\": 1\n}\n",
		"a file name": "@/etc/passwd",
		"unicode":     "Größe 😀",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := stripesim.SignedCurl("http://localhost/", secret, []byte(body), time.Unix(1, 0))
			script := `curl() { while [ "$1" != --data-raw ]; do shift; done; [ $# -eq 2 ] && printf %s "$2"; }` + "\n" + command
			got, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
			if err != nil || string(got) != body {
				t.Errorf("got %q, %v, want %q", got, err, body)
			}
		})
	}
}
