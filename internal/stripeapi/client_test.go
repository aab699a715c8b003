package stripeapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/test/kit"
)

var platform = stripeapi.Owner{}

// The answer keeps its bytes, including fields that no SDK knows.
func TestEventKeepsItsBytes(t *testing.T) {
	t.Parallel()
	const body = `{"id": "evt_1", "object": "event", "created": 1.0, "unknown": {"n": 12345678901234567890}}`
	s := kit.NewStripeAPI(t)
	s.On("/v1/events/evt_1", kit.StripeObject(body))
	got, err := client(t, stripeapi.Config{Base: s.URL}).Event(t.Context(), platform, "evt_1")
	if err != nil {
		t.Fatal(err)
	}
	want := stripeapi.Answer{Raw: []byte(body), At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "2025-09-30.clover"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	r := s.Requests()[0]
	if r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer "+key {
		t.Errorf("got %s with %v", r.Method, r.Header)
	}
	for _, header := range []string{"Stripe-Version", "Stripe-Account"} {
		if got, ok := r.Header[header]; ok {
			t.Errorf("got %s %q, want the default of the account", header, got)
		}
	}
}

func TestVersionAndAccountAreSent(t *testing.T) {
	t.Parallel()
	s := kit.NewStripeAPI(t)
	s.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription"}`))
	c := client(t, stripeapi.Config{Base: s.URL, Version: "2025-03-31.basil"})
	if _, err := c.Subscription(t.Context(), stripeapi.Owner{Account: "acct_1"}, "sub_1"); err != nil {
		t.Fatal(err)
	}
	header := s.Requests()[0].Header
	if header.Get("Stripe-Version") != "2025-03-31.basil" || header.Get("Stripe-Account") != "acct_1" {
		t.Errorf("got headers %v", header)
	}
}

func TestTruncatedItemsAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	s := kit.NewStripeAPI(t)
	s.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription","big":12345678901234567890,"text":"<&>",`+
		`"items":{"object":"list","data":[{"id":"si_1"}],"has_more":true,"total_count":3,"url":"/v1/x"}}`))
	pages := "/v1/subscription_items?limit=100&subscription=sub_1"
	s.On(pages, kit.StripeObject(`{"object":"list","data":[{"id":"si_1"},{"id":"si_2","odd":1.50}],"has_more":true}`))
	s.On(pages+"&starting_after=si_2", kit.StripeObject(`{"object":"list","data":[{"id":"si_3"}],"has_more":false}`))
	got, err := client(t, stripeapi.Config{Base: s.URL}).Subscription(t.Context(), stripeapi.Owner{Account: "acct_1"}, "sub_1")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"big":12345678901234567890,"id":"sub_1","items":{"data":[{"id":"si_1"},{"id":"si_2","odd":1.50},{"id":"si_3"}],` +
		`"has_more":false,"object":"list","total_count":3,"url":"/v1/x"},"object":"subscription","text":"<&>"}`
	if diff := cmp.Diff(want, string(got.Raw)); diff != "" {
		t.Errorf("subscription (-want +got):\n%s", diff)
	}
	for _, r := range s.Requests() {
		if r.Header.Get("Stripe-Account") != "acct_1" {
			t.Errorf("got account %q for %s", r.Header.Get("Stripe-Account"), r.URL)
		}
	}
}

func TestEntitlementsAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	const pages = "/v1/entitlements/active_entitlements?limit=100&customer="
	s := kit.NewStripeAPI(t)
	s.On(pages+"cus_1", kit.StripeObject(`{"object":"list","data":[{"id":"ent_1","odd":1.50}],"has_more":true}`))
	s.On(pages+"cus_1&starting_after=ent_1", answeredLater(`{"object":"list","data":[{"id":"ent_2","text":"<&>"}],"has_more":false}`))
	s.On(pages+"cus_2", kit.StripeObject(`{"object":"list","data":[],"has_more":false}`))
	s.On(pages+"cus_3", kit.StripeObject(`{"object":"customer"}`))
	c := client(t, stripeapi.Config{Base: s.URL})
	got, err := c.Entitlements(t.Context(), stripeapi.Owner{Account: "acct_1"}, "cus_1")
	want := stripeapi.Answer{
		Raw: []byte(`{"customer":"cus_1","entitlements":{"data":[{"id":"ent_1","odd":1.50},{"id":"ent_2","text":"<&>"}],"has_more":false,"object":"list"},` +
			`"livemode":false,"object":"entitlements.active_entitlement_summary"}`),
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "2025-09-30.clover",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	if asked := s.Asked(); len(asked) != 2 || !strings.HasSuffix(asked[1], " acct_1") {
		t.Errorf("asked %q", asked)
	}
	got, err = c.Entitlements(t.Context(), platform, "cus_2")
	if err != nil || !strings.Contains(string(got.Raw), `"data":[]`) {
		t.Errorf("without entitlements: got %s, %v", got.Raw, err)
	}
	if _, err := c.Entitlements(t.Context(), platform, "cus_3"); fault.ReasonOf(err) != fault.UnexpectedAnswer {
		t.Errorf("not a list: got %v", err)
	}
	if _, err := c.Entitlements(t.Context(), platform, "cus_4"); !errors.Is(err, stripeapi.ErrMissing) {
		t.Errorf("no customer: got %v", err)
	}
}

// answeredLater answers a second after [kit.StripeObject].
func answeredLater(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Fri, 02 Jan 2026 03:04:06 GMT")
		_, _ = fmt.Fprint(w, body)
	}
}

func TestListThatDoesNotEndIsAnError(t *testing.T) {
	t.Parallel()
	const pages = "/v1/subscription_items?limit=100&subscription=sub_1"
	for name, page := range map[string]string{
		"empty page":      `{"data":[],"has_more":true}`,
		"item without id": `{"data":[{}],"has_more":true}`,
		"hostile id":      `{"data":[{"id":"si_1&x=y"}],"has_more":true}`,
		"not a list":      `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kit.NewStripeAPI(t)
			s.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription","items":{"has_more":true}}`))
			s.On(pages, kit.StripeObject(page))
			_, err := client(t, stripeapi.Config{Base: s.URL}).Subscription(t.Context(), platform, "sub_1")
			if fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.UnexpectedAnswer || len(s.Requests()) != 2 {
				t.Errorf("got %v after %d requests", err, len(s.Requests()))
			}
		})
	}
}

func TestReasonsOfFailedCalls(t *testing.T) {
	t.Parallel()
	const body = `{"id":"evt_1","object":"event"}`
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		kind   fault.Kind
		reason string
		text   string
	}{
		"missing":            {kit.StripeError(404, "resource_missing"), fault.Permanent, "not_found", "not at Stripe"},
		"404 of a proxy":     {http.NotFound, fault.Transient, "unexpected_answer", "STRIPE_API_BASE"},
		"404 of another API": {kit.StripeError(404, ""), fault.Transient, "stripe_refused", "STRIPE_API_BASE"},
		"wrong key":          {kit.StripeError(401, ""), fault.Transient, "key_refused", "the key is not accepted"},
		"missing permission": {kit.StripeError(403, ""), fault.Transient, "no_permission", "read permission on Subscriptions, Events and Entitlements"},
		"wrong version":      {kit.StripeError(400, ""), fault.Transient, "stripe_refused", "STRIPE_API_VERSION"},
		"rate limit":         {kit.StripeError(429, "rate_limit"), fault.Transient, "rate_limited", "429"},
		"500":                {kit.StripeError(500, ""), fault.Transient, "stripe_failed", "500"},
		"503 of a proxy":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hunter2", http.StatusServiceUnavailable) }, fault.Transient, "stripe_failed", "503"},
		"not JSON":           {kit.StripeObject("hunter2"), fault.Transient, "unexpected_answer", ""},
		"truncated JSON":     {kit.StripeObject(body[:9]), fault.Transient, "unexpected_answer", ""},
		"a list":             {kit.StripeObject("[]"), fault.Transient, "unexpected_answer", ""},
		"another event":      {kit.StripeObject(`{"id":"evt_2","object":"event"}`), fault.Transient, "unexpected_answer", "another object"},
		"another object":     {kit.StripeObject(`{"id":"evt_1","object":"charge"}`), fault.Transient, "unexpected_answer", "another object"},
		"204":                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, fault.Transient, "redirected", ""},
		"no date": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			_, _ = fmt.Fprint(w, body)
		}, fault.Transient, "unexpected_answer", ""},
		"body cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = fmt.Fprint(w, body)
		}, fault.Transient, "unreachable", ""},
		"too large":         {kit.StripeObject(`{"id":"evt_1","object":"event","x":"` + strings.Repeat("x", 17<<20) + `"}`), fault.Transient, "unexpected_answer", ""},
		"connection closed": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.Transient, "unreachable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kit.NewStripeAPI(t)
			s.On("/v1/events/evt_1", tt.answer)
			_, err := client(t, stripeapi.Config{Base: s.URL}).Event(t.Context(), platform, "evt_1")
			if err == nil || fault.KindOf(err) != tt.kind || fault.ReasonOf(err) != fault.Reason(tt.reason) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v: %s, %s; want %v, %s", err, fault.KindOf(err), fault.ReasonOf(err), tt.kind, tt.reason)
			}
			if errors.Is(err, stripeapi.ErrMissing) != (tt.reason == "not_found") {
				t.Errorf("got %v, want ErrMissing for a missing object only", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got the answer or the key in %q", err)
			}
			if got := len(s.Requests()); got != 1 {
				t.Errorf("got %d requests, want one", got)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := kit.NewStripeAPI(t)
		s.On("/v1/events/evt_1", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/v1/events/evt_1", status)
		})
		_, err := client(t, stripeapi.Config{Base: s.URL}).Event(t.Context(), platform, "evt_1")
		if fault.ReasonOf(err) != fault.Redirected || followed.Load() {
			t.Errorf("%d: got %v, followed %v", status, err, followed.Load())
		}
	}
}

func TestSlowAnswerTimesOut(t *testing.T) {
	t.Parallel()
	s := kit.NewStripeAPI(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hang := func(w http.ResponseWriter, _ *http.Request) { <-release }
	s.On("/v1/events/evt_headers", hang)
	s.On("/v1/events/evt_body", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `{"id":`)
		_ = http.NewResponseController(w).Flush()
		hang(w, r)
	})
	c := client(t, stripeapi.Config{Base: s.URL, Timeout: 100 * time.Millisecond})
	for _, id := range []string{"evt_headers", "evt_body"} {
		if _, err := c.Event(t.Context(), platform, id); fault.ReasonOf(err) != fault.StripeTimeout || fault.KindOf(err) != fault.Transient {
			t.Errorf("%s: got %v for %s", id, err, fault.ReasonOf(err))
		}
	}
}

func TestCallStopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := kit.NewStripeAPI(t)
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.On("/v1/events/evt_1", func(http.ResponseWriter, *http.Request) { cancel(); <-release })
	if _, err := client(t, stripeapi.Config{Base: s.URL}).Event(ctx, platform, "evt_1"); fault.ReasonOf(err) != fault.Canceled {
		t.Errorf("got %v for %s", err, fault.ReasonOf(err))
	}
}

func TestRefusedConnectionIsTransient(t *testing.T) {
	t.Parallel()
	s := kit.NewStripeAPI(t)
	s.Close()
	_, err := client(t, stripeapi.Config{Base: s.URL}).Event(t.Context(), platform, "evt_1")
	if fault.ReasonOf(err) != fault.StripeUnreachable || fault.KindOf(err) != fault.Transient {
		t.Errorf("got %v for %s", err, fault.ReasonOf(err))
	}
}

// clock is a clock that a test sets.
type clock struct{ now atomic.Pointer[time.Time] }

func newClock() *clock {
	c := &clock{}
	c.set(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return c
}

func (c *clock) set(t time.Time)     { c.now.Store(&t) }
func (c *clock) read() time.Time     { return *c.now.Load() }
func (c *clock) add(d time.Duration) { c.set(c.read().Add(d)) }

func after(value string) http.Handler { return afterWith(http.StatusTooManyRequests, value) }

func afterWith(status int, value string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if value != "" {
			w.Header().Set("Retry-After", value)
		}
		w.WriteHeader(status)
	})
}

func TestRetryAfterStopsAllCalls(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer http.Handler
		want   time.Duration
	}{
		"seconds":            {after("7"), 7 * time.Second},
		"date":               {after("Fri, 02 Jan 2026 03:05:05 GMT"), time.Minute},
		"date in the past":   {after("Fri, 02 Jan 2026 03:04:04 GMT"), time.Second},
		"no header":          {after(""), time.Second},
		"negative":           {after("-5"), time.Second},
		"a year":             {after("31536000"), 15 * time.Minute},
		"unavailable":        {afterWith(503, "7"), 7 * time.Second},
		"500 without header": {afterWith(500, ""), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, now := kit.NewStripeAPI(t), newClock()
			s.On("/v1/events/evt_1", tt.answer.ServeHTTP)
			s.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription"}`))
			c := client(t, stripeapi.Config{Base: s.URL, Now: now.read})
			if _, err := c.Event(t.Context(), platform, "evt_1"); err == nil {
				t.Fatal("got no error")
			}
			if got := c.Paused(); got != tt.want {
				t.Errorf("got a pause of %s, want %s", got, tt.want)
			}
			_, err := c.Subscription(t.Context(), platform, "sub_1")
			if paused := fault.ReasonOf(err) == fault.RateLimited; paused != (tt.want > 0) || paused && len(s.Requests()) != 1 {
				t.Errorf("got %v and %d requests during the pause", err, len(s.Requests()))
			}
			now.add(tt.want)
			if _, err := c.Subscription(t.Context(), platform, "sub_1"); err != nil {
				t.Errorf("after the pause: %v", err)
			}
		})
	}
}

// An id from a payload never becomes part of another path, header or query.
func TestHostileIDsAreRefused(t *testing.T) {
	t.Parallel()
	s := kit.NewStripeAPI(t)
	c := client(t, stripeapi.Config{Base: s.URL})
	for _, id := range []string{
		"", "1", "../accounts", "evt_1/../../v1/charges", "evt_1?expand[]=data", "evt_1#x", "evt_%2e%2e", "evt_1\r\nX: y",
		"//evil.example/evt_1", "https://evil.example/", "evt_" + strings.Repeat("a", 300), "cus_1",
	} {
		for kind, ask := range map[string]func(context.Context, stripeapi.Owner, string) (stripeapi.Answer, error){
			"event": c.Event, "subscription": c.Subscription, "entitlements": c.Entitlements,
		} {
			if kind == "entitlements" && events.SafeID(id) == id {
				continue // old customers can have ids of any form
			}
			_, err := ask(t.Context(), platform, id)
			if fault.KindOf(err) != fault.Permanent || fault.ReasonOf(err) != fault.BadID || strings.ContainsAny(err.Error(), "\r?#%/") {
				t.Errorf("%s %q: got %v", kind, id, err)
			}
		}
	}
	for _, account := range []string{"acct_1\r\nX: y", "acct 1", "cus_1", "acct_" + strings.Repeat("a", 300)} {
		if _, err := c.Event(t.Context(), stripeapi.Owner{Account: account}, "evt_1"); fault.ReasonOf(err) != fault.BadID {
			t.Errorf("account %q: got %v", account, err)
		}
	}
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("got %d requests, want none", len(got))
	}
}

// In the other mode the object is missing, which would look like a deletion.
func TestObjectInTheOtherModeIsRefused(t *testing.T) {
	t.Parallel()
	for secret, tt := range map[string]struct{ test, live bool }{
		"sk_test_hunter2": {true, false}, "rk_test_hunter2": {true, false}, "sk_live_hunter2": {false, true}, "rk_live_hunter2": {false, true},
		"sk_org_live_hunter2": {false, true}, "sk_hunter2": {true, true},
	} {
		s := kit.NewStripeAPI(t)
		s.On("/v1/events/evt_1", kit.StripeObject(`{"id":"evt_1","object":"event"}`))
		c := client(t, stripeapi.Config{Base: s.URL, Keys: stripeapi.Keys{Main: secret}})
		for live, want := range map[bool]bool{false: tt.test, true: tt.live} {
			_, err := c.Event(t.Context(), stripeapi.Owner{Account: "acct_1", Livemode: live}, "evt_1")
			if (err == nil) != want || err != nil && (fault.ReasonOf(err) != fault.WrongMode || fault.KindOf(err) != fault.Permanent) {
				t.Errorf("%s, live %v: got %v", secret[:7], live, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got the key in %q", err)
			}
		}
	}
}
